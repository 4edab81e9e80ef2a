//! Archives of recordings that are sent to us, piece by piece if need be.

use std::io;

use async_trait::async_trait;
use bytes::Bytes;
use domain::recording::RecordId;
use futures_util::stream::BoxStream;

/// The bytes of an upload as they come; an error ends it.
pub type UploadBytes = BoxStream<'static, io::Result<Bytes>>;

/// Why an upload did not go on.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum UploadError {
    /// Somebody else is sending this one.
    #[error("this recording is being uploaded already")]
    Busy,
    /// It goes on elsewhere: so many bytes are here.
    #[error("{0} bytes were received")]
    WrongOffset(u64),
    /// It is longer than it may be, or than it said.
    #[error("the archive is too large")]
    TooLarge,
    /// The sender stopped; what came is kept.
    #[error("the upload broke off")]
    Interrupted,
    /// What came is not what was sent; it is forgotten.
    #[error("the digest does not fit")]
    DigestMismatch,
    /// There is no room left; what came is kept.
    #[error("no space left")]
    Full,
    /// Anything else; it may pass.
    #[error("files: {0}")]
    Unavailable(String),
}

/// Uploads under way. What was received survives crashes.
#[async_trait]
pub trait Uploads: Send + Sync {
    /// Bytes that were received of a recording's archive.
    async fn count_received_bytes(&self, record_id: &RecordId) -> Result<u64, UploadError>;

    /// Writes what comes from that offset on, which must be where it goes on, or 0 to begin anew; never beyond
    /// `total` bytes. Returns how many there are now.
    async fn append_upload(
        &self,
        record_id: &RecordId,
        offset: u64,
        total: u64,
        bytes: UploadBytes,
    ) -> Result<u64, UploadError>;

    /// Hands an archive that is whole over to the import, if this is its SHA-256.
    async fn complete_upload(
        &self,
        record_id: &RecordId,
        sha256: [u8; 32],
    ) -> Result<(), UploadError>;
}
