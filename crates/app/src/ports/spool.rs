//! Where archives of recordings arrive, and a place to unpack them.

use std::path::{Path, PathBuf};

use async_trait::async_trait;

use domain::recording::RecordingFormatId;

/// An archive that is whole, as far as anybody can tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpooledArchive {
    /// The name of its file: `<record_id>.tar`, or `<record_id>-<format>.tar`; also `.tar.gz` and `.tgz`.
    pub name: String,
    /// Bytes.
    pub size: u64,
}

/// What lies in the spool.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SpoolListing {
    /// Archives that are whole, in the order of their names.
    pub complete: Vec<SpooledArchive>,
    /// Whether some may still be growing: it is worth looking again soon.
    pub has_incomplete: bool,
}

/// A playback format that was in an archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnpackedFormat {
    /// Which one, by the names of its directories.
    pub format_id: RecordingFormatId,
    /// Where its files lie now.
    pub dir: PathBuf,
    /// Its `metadata.xml`, or why the format cannot be imported.
    pub metadata: Result<Vec<u8>, String>,
}

/// Why an archive was not unpacked, or moved.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum SpoolError {
    /// There is no room left; that is not the archive's fault.
    #[error("no space left: {0}")]
    Full(String),
    /// The archive is broken, or a trap.
    #[error("{0}")]
    InvalidArchive(String),
    /// It is not there: somebody else was faster.
    #[error("the archive is gone")]
    Missing,
    /// Anything else; it may pass.
    #[error("files: {0}")]
    Unavailable(String),
}

/// The spool, and the directory for work. Every method may be repeated after a crash.
#[async_trait]
pub trait Spool: Send + Sync {
    /// Archives that lie there. What is not yet whole, or has a name that is none, is left alone.
    async fn scan_spool(&self) -> Result<SpoolListing, SpoolError>;

    /// Puts a copy of a file into the spool, under its own name.
    async fn copy_into_spool(&self, file: &Path) -> Result<SpooledArchive, SpoolError>;

    /// Unpacks an archive into a directory that has the token's name and is new.
    async fn unpack_archive(
        &self,
        name: &str,
        token: &str,
    ) -> Result<Vec<UnpackedFormat>, SpoolError>;

    /// Removes what was unpacked, and the archive if it is the one that was unpacked: a
    /// newer one of the same name stays.
    async fn remove_archive(&self, name: &str, token: &str) -> Result<(), SpoolError>;

    /// Removes what was unpacked; the archive stays.
    async fn discard_unpacked(&self, token: &str) -> Result<(), SpoolError>;

    /// Removes what was unpacked, and puts the archive aside, with the reason beside it.
    async fn quarantine_archive(
        &self,
        name: &str,
        token: &str,
        reason: &str,
    ) -> Result<(), SpoolError>;

    /// Brings an archive back from quarantine; `None` if it is not there.
    async fn release_quarantined(&self, name: &str) -> Result<Option<SpooledArchive>, SpoolError>;

    /// Removes what crashes have left, and tells whose it was: the archives' names and the tokens of their
    /// importers, which are no more.
    async fn clean_up_after_crash(&self) -> Result<Vec<(String, String)>, SpoolError>;
}
