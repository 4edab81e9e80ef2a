//! The spool, where archives of recordings arrive and are unpacked.

use std::path::{Path, PathBuf};

use async_trait::async_trait;
use domain::Timestamp;
use domain::recording::RecordingFormatId;

/// An archive in the spool that seems to be complete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpooledArchive {
    /// The file name, which ends in `.tar`, `.tar.gz`, `.tgz`, `.tar.zst` or `.tzst`.
    pub name: String,
    /// The size in bytes.
    pub size: u64,
}

/// The archives in the spool.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SpoolListing {
    /// Archives that seem to be complete, in the order of their names.
    pub complete: Vec<SpooledArchive>,
    /// Whether other archives may still be growing, so that the next scan should be soon.
    pub has_incomplete: bool,
}

/// A playback format that was unpacked from an archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnpackedFormat {
    /// The recording and the format, by the names of the directories in the archive.
    pub format_id: RecordingFormatId,
    /// The directory with the unpacked files.
    pub dir: PathBuf,
    /// The content of `metadata.xml`, or why the format cannot be imported.
    pub metadata: Result<Vec<u8>, String>,
    /// Files that were left out, and why.
    pub left_out: Vec<String>,
}

/// Where an archive is kept that was not imported, or not as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeptPlace {
    /// The quarantine, for archives with faults.
    Quarantine,
    /// The place for archives of deleted recordings.
    Aside,
}

/// An archive that is kept, in quarantine or aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptArchive {
    /// The file name.
    pub name: String,
    /// Why it is kept.
    pub reason: String,
}

/// Why an archive could not be unpacked or moved.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum SpoolError {
    /// No space is left. The archive is not to blame.
    #[error("no space left: {0}")]
    Full(String),
    /// The archive is broken or malicious.
    #[error("{0}")]
    InvalidArchive(String),
    /// The archive does not exist: another process was faster.
    #[error("the archive is missing")]
    Missing,
    /// Any other error. The same call may succeed later.
    #[error("files: {0}")]
    Unavailable(String),
}

/// The spool, the work directory and the quarantine. Every method may be repeated after a crash.
///
/// Where the errors of a method are not described, [`SpoolError::Full`] and
/// [`SpoolError::Unavailable`] are possible.
#[async_trait]
pub trait Spool: Send + Sync {
    /// Lists the archives in the spool. Files that are incomplete, or do not have the name of an
    /// archive, are left out.
    async fn scan_spool(&self) -> Result<SpoolListing, SpoolError>;

    /// Returns how many bytes imports may still take, where the least space is left; `None` if the
    /// file systems do not tell.
    async fn count_free_bytes(&self) -> Result<Option<u64>, SpoolError>;

    /// Copies a local file into the spool, under the same name. A file that is in the spool already
    /// stays as it is.
    ///
    /// # Errors
    /// [`SpoolError::InvalidArchive`] if it cannot be read, is not a regular file, or does not have
    /// the name of an archive.
    async fn copy_into_spool(&self, file: &Path) -> Result<SpooledArchive, SpoolError>;

    /// Unpacks an archive into a new directory, which belongs to the token, and returns the formats
    /// in it.
    ///
    /// # Errors
    /// [`SpoolError::InvalidArchive`] if it cannot be unpacked; [`SpoolError::Missing`] if it is
    /// not in the spool.
    async fn unpack_archive(
        &self,
        name: &str,
        token: &str,
    ) -> Result<Vec<UnpackedFormat>, SpoolError>;

    /// Removes the unpacked files of the token, and the archive. If a newer archive has taken its
    /// name since it was unpacked, that one stays.
    async fn remove_archive(&self, name: &str, token: &str) -> Result<(), SpoolError>;

    /// Removes the unpacked files of the token. The archive stays.
    async fn discard_unpacked(&self, token: &str) -> Result<(), SpoolError>;

    /// Removes the unpacked files of the token, and moves the archive to where it is kept, together
    /// with the reason. Returns the name that it has there, which is another one if an archive with
    /// other contents has its name; `None` if it is not in the spool any more.
    async fn keep_archive(
        &self,
        name: &str,
        token: &str,
        place: KeptPlace,
        reason: &str,
    ) -> Result<Option<String>, SpoolError>;

    /// Lists the archives that are kept, in the order of their names.
    async fn list_kept_archives(&self) -> Result<Vec<KeptArchive>, SpoolError>;

    /// Moves an archive that is kept back to the spool; `None` if there is none of this name.
    async fn release_kept(&self, name: &str) -> Result<Option<SpooledArchive>, SpoolError>;

    /// Removes archives that were set aside before that time; returns their names.
    async fn remove_set_aside(&self, before: Timestamp) -> Result<Vec<String>, SpoolError>;

    /// Removes the unpacked files of processes that were killed, and returns the names of their
    /// archives and the tokens of their claims.
    async fn clean_up_after_crash(&self) -> Result<Vec<(String, String)>, SpoolError>;
}
