//! Uploads of archives, which may come in several parts.

use std::io;

use async_trait::async_trait;
use bytes::Bytes;
use domain::recording::RecordId;
use futures_util::stream::BoxStream;

/// The bytes of an upload in chunks. An error ends the upload.
pub type UploadBytes = BoxStream<'static, io::Result<Bytes>>;

/// An upload: a recording, and the server that sends it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UploadId {
    /// The recording.
    pub record_id: RecordId,
    /// The server, as [`domain::recording::catalog::uploader_mark`] names it.
    pub uploader: String,
}

impl UploadId {
    /// Returns the name of the archive in the spool.
    #[must_use]
    pub fn archive_name(&self) -> String {
        format!("{}~{}.upload.tar", self.record_id, self.uploader)
    }

    /// Returns the upload of an archive of that name; `None` if it was not uploaded.
    #[must_use]
    pub fn from_archive_name(name: &str) -> Option<Self> {
        let stem = name.strip_suffix(".tar")?;
        // Of several archives of one name that are kept, the later ones have a number.
        let (stem, number) = stem.rsplit_once(".upload")?;
        if !(number.is_empty() || number.starts_with('~')) {
            return None;
        }
        let (record_id, uploader) = stem.rsplit_once('~')?;
        let is_mark = uploader.len() == 16 && uploader.bytes().all(|byte| byte.is_ascii_hexdigit());
        let record_id = RecordId::parse(record_id);
        is_mark.then_some(Self { record_id: record_id?, uploader: uploader.to_owned() })
    }
}

/// Why an upload failed.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum UploadError {
    /// Another request is uploading this archive.
    #[error("this recording is being uploaded already")]
    Busy,
    /// The offset is not the end of the received bytes; this many bytes are stored.
    #[error("{0} bytes were received")]
    WrongOffset(u64),
    /// The archive is longer than allowed, or than announced.
    #[error("the archive is too large")]
    TooLarge,
    /// The server has too many bytes in uploads that are not complete.
    #[error("the server has too many bytes in uploads that are not complete")]
    QuotaExceeded,
    /// The sender was too slow, and has lost its place. The received bytes are kept.
    #[error("the upload was too slow: continue it")]
    Stalled,
    /// The sender stopped. The received bytes are kept.
    #[error("the upload was interrupted")]
    Interrupted,
    /// The received bytes do not have the announced digest. They are deleted.
    #[error("the SHA-256 digest does not match")]
    DigestMismatch,
    /// No space is left. The received bytes are kept.
    #[error("no space left")]
    Full,
    /// Any other error. The same call may succeed later.
    #[error("files: {0}")]
    Unavailable(String),
}

/// Stores uploads until they are complete. Received bytes survive a crash.
#[async_trait]
pub trait Uploads: Send + Sync {
    /// Returns how many bytes of an upload's archive were received; 0 without an upload.
    ///
    /// # Errors
    /// When files cannot be read.
    async fn count_received_bytes(&self, upload: &UploadId) -> Result<u64, UploadError>;

    /// Appends bytes to the archive of a recording, `total` bytes in all at most, and returns how
    /// many bytes are received then. `offset` must be the number of bytes that were received
    /// before, or 0 to start anew.
    ///
    /// # Errors
    /// [`UploadError::Busy`] while another request appends bytes; [`UploadError::WrongOffset`];
    /// [`UploadError::TooLarge`]; [`UploadError::QuotaExceeded`]; [`UploadError::Stalled`];
    /// [`UploadError::Interrupted`]; [`UploadError::Full`]; [`UploadError::Unavailable`].
    async fn append_upload(
        &self,
        upload: &UploadId,
        offset: u64,
        total: u64,
        bytes: UploadBytes,
    ) -> Result<u64, UploadError>;

    /// Puts a complete archive into the spool, if this is its SHA-256 digest.
    ///
    /// # Errors
    /// [`UploadError::DigestMismatch`] if the digest differs; [`UploadError::WrongOffset`] if there
    /// is no upload; [`UploadError::Busy`] while another request appends bytes; otherwise when
    /// files cannot be read or moved.
    async fn complete_upload(&self, upload: &UploadId, sha256: [u8; 32])
    -> Result<(), UploadError>;
}
