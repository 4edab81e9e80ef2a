//! Results and errors of imports.

use crate::ports::{BlobError, SpoolError, StoreError};

/// The result of the import of one archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ImportResult {
    /// The archive was imported: the ids of its recordings, and a note for administrators.
    Done(Vec<String>, Option<String>),
    /// The import failed for this reason and is tried again.
    Postponed(String),
    /// No space is left, so that no other archive can be imported either.
    Full(String),
    /// The archive cannot be imported for this reason and is in quarantine.
    Quarantined(String),
    /// Another process has claimed the archive, it is not due yet, or its file is missing.
    NotClaimed,
}

/// Why a step of an import failed.
pub(super) enum ImportFailure {
    /// No space is left.
    Full(String),
    /// The archive is broken or malicious.
    InvalidArchive(String),
    /// The file of the archive is missing.
    Missing,
    /// Any other error; a retry may succeed.
    Temporary(String),
}

impl From<SpoolError> for ImportFailure {
    fn from(error: SpoolError) -> Self {
        match error {
            SpoolError::Full(_) => Self::Full(error.to_string()),
            SpoolError::InvalidArchive(reason) => Self::InvalidArchive(reason),
            SpoolError::Missing => Self::Missing,
            SpoolError::Unavailable(_) => Self::Temporary(error.to_string()),
        }
    }
}

impl From<BlobError> for ImportFailure {
    fn from(error: BlobError) -> Self {
        match error {
            BlobError::Full(_) => Self::Full(error.to_string()),
            BlobError::Unavailable(_) => Self::Temporary(error.to_string()),
        }
    }
}

impl From<StoreError> for ImportFailure {
    fn from(error: StoreError) -> Self {
        Self::Temporary(error.to_string())
    }
}

/// What an import changed.
#[derive(Default)]
pub(super) struct ImportedArchive {
    /// The recordings that were imported.
    pub(super) record_ids: Vec<String>,
    /// Why formats were not imported, one text for each.
    pub(super) errors: Vec<String>,
    /// A note for administrators.
    pub(super) note: Option<String>,
}

/// Why archives could not be imported, or their state could not be recorded.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ScanError {
    /// The spool cannot be used.
    #[error(transparent)]
    Spool(#[from] SpoolError),
    /// The store cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
}
