//! Moves the files of recordings where their rows say that they belong, and out of sight when they are deleted.
//!
//! The row changes first: from then on a recording is shown, hidden or gone, whatever happens to its files. A
//! crash in between leaves a journey behind, which [`finish_abandoned_moves`] ends.

use domain::Timestamp;
use domain::recording::catalog::TenantScope;
use domain::recording::{Recording, RecordingFormatId};

use crate::context::App;
use crate::ports::{
    BlobError, Blobs, Destination, FileMove, MoveOutcome, RecordingStore, StoreError, Visibility,
};

/// Who has been under way for so long is not heard of any more, in ms.
const ABANDONED_AFTER_MS: i64 = 60_000;
/// Journeys that are finished in one go.
const BATCH_SIZE: u32 = 50;

/// Why files are not where they belong.
#[derive(Clone, Debug, thiserror::Error)]
pub enum FileMoveError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The files.
    #[error(transparent)]
    Files(#[from] BlobError),
    /// A format of the recording is on no shelf, or has a name that cannot be one of a directory.
    #[error("{format} of {record_id} has no files")]
    NoFiles {
        /// The recording.
        record_id: String,
        /// The format.
        format: String,
    },
}

impl From<Visibility> for Destination {
    fn from(shelf: Visibility) -> Self {
        match shelf {
            Visibility::Published => Self::Published,
            Visibility::Unpublished => Self::Unpublished,
            Visibility::Trash => Self::Trash,
        }
    }
}

/// Puts a recording on a shelf: the row at once, then its files. False if there is no such
/// recording in the scope.
///
/// # Errors
/// When a format has no files: nothing has changed then. When files cannot be moved: then the row says
/// where they belong, and they follow later.
pub async fn set_visibility(
    app: &App,
    records: &dyn RecordingStore,
    recording: &Recording,
    scope: &TenantScope,
    shelf: Visibility,
) -> Result<bool, FileMoveError> {
    for format in &recording.formats {
        let missing = || FileMoveError::NoFiles {
            record_id: recording.record_id.clone(),
            format: format.format.clone(),
        };
        let book =
            RecordingFormatId::parse(&recording.record_id, &format.format).ok_or_else(missing)?;
        if app.blobs.locate_format(&book).await?.is_empty() {
            return Err(missing());
        }
    }
    move_recording(app, records, &recording.record_id, scope, shelf.into()).await
}

/// Deletes a recording: the row at once, then its files, which lie in the trash for as long as the administrator
/// wants. False if there is none in the scope.
///
/// # Errors
/// When files cannot be removed: the row says that it is deleted, and they go later.
pub async fn delete_recording(
    app: &App,
    records: &dyn RecordingStore,
    record_id: &str,
    scope: &TenantScope,
) -> Result<bool, FileMoveError> {
    let to =
        if app.policy.recordings.trash_ms > 0 { Destination::Trash } else { Destination::Removed };
    move_recording(app, records, record_id, scope, to).await
}

/// Deletes a recording and its files at once, also from the trash. False if there is none.
///
/// # Errors
/// When files cannot be removed: the row says that it is deleted, and they go later.
pub async fn erase_recording(
    app: &App,
    records: &dyn RecordingStore,
    record_id: &str,
) -> Result<bool, FileMoveError> {
    move_recording(app, records, record_id, &TenantScope::All, Destination::Removed).await
}

/// Brings a recording back from the trash, as it was: the row at once, then its files. False if it is not there.
///
/// # Errors
/// When files cannot be moved: the row says where they belong, and they follow later.
pub async fn restore_recording(
    app: &App,
    records: &dyn RecordingStore,
    record_id: &str,
) -> Result<bool, FileMoveError> {
    let now = app.clock.now();
    let Some(journey) = records.restore_recording(record_id, now).await? else {
        return Ok(false);
    };
    run_file_move(records, app.blobs.as_ref(), &journey).await?;
    Ok(true)
}

async fn move_recording(
    app: &App,
    records: &dyn RecordingStore,
    record_id: &str,
    scope: &TenantScope,
    to: Destination,
) -> Result<bool, FileMoveError> {
    let now = app.clock.now();
    let Some(journey) = records.begin_file_move(record_id, scope, to, now).await? else {
        return Ok(false);
    };
    run_file_move(records, app.blobs.as_ref(), &journey).await?;
    Ok(true)
}

/// Moves the files of a journey, and ends it unless somebody may still be moving them elsewhere.
///
/// # Errors
/// When the files cannot be moved or the store fails: the journey goes on later.
pub async fn run_file_move(
    records: &dyn RecordingStore,
    blobs: &dyn Blobs,
    journey: &FileMove,
) -> Result<(), FileMoveError> {
    move_files(blobs, journey).await?;
    if !journey.replaced_running {
        // If it is no longer the one, whoever changed the destination looks after the files.
        records.end_file_move(journey).await?;
    }
    Ok(())
}

async fn move_files(blobs: &dyn Blobs, journey: &FileMove) -> Result<(), BlobError> {
    for format in &journey.formats {
        let Some(book) = RecordingFormatId::parse(&journey.record_id, format) else { continue };
        let moved = match journey.destination {
            Destination::Published => blobs.move_format(&book, Visibility::Published).await?,
            Destination::Unpublished => blobs.move_format(&book, Visibility::Unpublished).await?,
            Destination::Trash => blobs.move_format(&book, Visibility::Trash).await?,
            Destination::Removed => {
                blobs.remove_format(&book, &Visibility::ALL).await?;
                MoveOutcome::Moved
            }
        };
        if moved == MoveOutcome::Missing {
            tracing::warn!(record_id = journey.record_id, format, "a format has no files");
        }
    }
    Ok(())
}

/// Ends journeys whose travellers have not been heard of for a minute; returns how many.
///
/// # Errors
/// When the store fails. Files that cannot be moved stay on their way, and the log says so.
pub async fn finish_abandoned_moves(app: &App) -> Result<usize, StoreError> {
    let Some(records) = &app.recording_store else { return Ok(0) };
    finish_moves(records.as_ref(), app.blobs.as_ref(), app.clock.now()).await
}

async fn finish_moves(
    records: &dyn RecordingStore,
    blobs: &dyn Blobs,
    now: Timestamp,
) -> Result<usize, StoreError> {
    let lost = records.list_file_moves(now.plus_ms(-ABANDONED_AFTER_MS), BATCH_SIZE).await?;
    let mut ended = 0;
    for journey in &lost {
        match move_files(blobs, journey).await {
            Ok(()) => ended += usize::from(records.end_file_move(journey).await?),
            Err(error) => {
                let record_id = &journey.record_id;
                tracing::warn!(record_id, %error, "the files of a recording are not moved yet");
            }
        }
    }
    Ok(ended)
}

/// Removes the files of recordings that have been in the trash for long enough; returns of how many.
///
/// # Errors
/// When the store fails. Files that cannot be removed go later, and the log says so.
pub async fn empty_trash(app: &App) -> Result<usize, StoreError> {
    let Some(records) = &app.recording_store else { return Ok(0) };
    let now = app.clock.now();
    let before = now.plus_ms(-app.policy.recordings.trash_ms);
    let ended = records.empty_trash(before, now, BATCH_SIZE).await?;
    for journey in &ended {
        if let Err(error) = run_file_move(records.as_ref(), app.blobs.as_ref(), journey).await {
            let record_id = &journey.record_id;
            tracing::warn!(record_id, %error, "the files of a deleted recording are not removed yet");
        }
    }
    Ok(ended.len())
}

/// Removes the last trace of recordings that were deleted long ago, if an administrator wants that.
///
/// # Errors
/// When the store fails.
pub async fn forget_deleted_recordings(app: &App) -> Result<usize, StoreError> {
    let (Some(records), Some(after_ms)) = (&app.recording_store, app.policy.recordings.forget_ms)
    else {
        return Ok(0);
    };
    let before = app.clock.now().plus_ms(-after_ms);
    Ok(records.forget_deleted_recordings(before, BATCH_SIZE).await?.len())
}

#[cfg(test)]
mod tests;
