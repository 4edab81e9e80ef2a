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
    /// Recordings of the archive were deleted before, so that it is kept aside.
    SetAside(SetAsideArchive),
    /// Another process has claimed the archive, it is not due yet, or its file is missing.
    NotClaimed,
}

/// An archive that is kept aside since recordings in it were deleted before.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SetAsideArchive {
    /// The recordings that were deleted before.
    pub deleted_ids: Vec<String>,
    /// The other recordings of the archive, which were imported.
    pub record_ids: Vec<String>,
    /// The reason, for administrators.
    pub reason: String,
}

/// Maximum number of texts that are joined to one reason.
const MAX_JOINED: usize = 20;

/// Joins the first texts of a list to one.
pub(super) fn join_some(texts: &[String]) -> String {
    let shown = texts[..texts.len().min(MAX_JOINED)].join("; ");
    match texts.len().saturating_sub(MAX_JOINED) {
        0 => shown,
        more => format!("{shown}; and {more} more"),
    }
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
    /// The recordings that were not imported since they had been deleted.
    pub(super) deleted_ids: Vec<String>,
    /// What was left out, one text for each.
    pub(super) left_out: Vec<String>,
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
