//! Brings deleted recordings back.

use domain::recording::Recording;

use super::file_moves::{self, FileMoveError};
use super::import::{Importer, ScanError};
use crate::audit::{self, AuditEvent};
use crate::context::App;
use crate::ports::{RecordingStore, SpooledArchive, StoreError};

/// What became of a deleted recording.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UndeletedRecording {
    /// Whether it was restored from the trash.
    pub restored: bool,
    /// The archives of it that had been set aside. They are in the spool now, to be imported.
    pub archives: Vec<SpooledArchive>,
}

/// Why a recording was not brought back.
#[derive(Debug, thiserror::Error)]
pub enum UndeleteError {
    /// There is no deleted recording of this id.
    #[error("no deleted recording has this id")]
    NotDeleted,
    /// The files of the recording are still being removed.
    #[error("its files are still being removed; try again in a minute")]
    BeingRemoved,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Files could not be moved.
    #[error(transparent)]
    Files(#[from] FileMoveError),
    /// The spool cannot be used.
    #[error(transparent)]
    Spool(#[from] ScanError),
}

/// Lifts the deletion of a recording: it is restored from the trash, if it is there, and archives of
/// it that had been set aside are moved back to the spool. From now on archives of it are imported.
///
/// # Errors
/// When there is no such recording, or the store or files fail.
pub async fn undelete_recording(
    app: &App,
    records: &dyn RecordingStore,
    importer: Option<&Importer>,
    record_id: &str,
) -> Result<UndeletedRecording, UndeleteError> {
    let mut undeleted = UndeletedRecording::default();
    let is_deleted = async || {
        let found = records.find_recording(record_id).await?;
        Ok::<bool, StoreError>(found.as_ref().is_some_and(Recording::is_deleted))
    };
    let was_deleted = is_deleted().await?;
    if was_deleted {
        undeleted.restored = file_moves::restore_recording(app, records, record_id).await?;
        let lifted = undeleted.restored || records.forget_tombstone(record_id).await?;
        if !lifted && is_deleted().await? {
            return Err(UndeleteError::BeingRemoved);
        }
    }
    if let Some(importer) = importer {
        undeleted.archives = importer.release_archives_of(record_id).await?;
    }
    if !was_deleted && undeleted.archives.is_empty() {
        return Err(UndeleteError::NotDeleted);
    }
    tracing::info!(record_id, restored = undeleted.restored, "deletion of recording lifted");
    audit::record(app, AuditEvent::new("recording.undelete").on_recording(record_id)).await;
    Ok(undeleted)
}
