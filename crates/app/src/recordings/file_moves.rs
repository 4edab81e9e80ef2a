//! Moves the files of recordings to where their rows say that they belong, and removes those of
//! deleted recordings.
//!
//! The row changes first: from then on the recording is published, unpublished or deleted, whatever
//! happens to its files. A crash in between leaves a file move that is under way, which
//! [`finish_abandoned_moves`] finishes.

use domain::Timestamp;
use domain::recording::catalog::TenantScope;
use domain::recording::{Recording, RecordingFormatId};

use super::trash_time::find_trash_ms;
use crate::audit::{self, AuditEvent};
use crate::context::App;
use crate::ports::{
    BlobError, Blobs, Destination, FileMove, MoveOutcome, RecordingStore, StoreError, Visibility,
};

/// The age at which a file move is considered abandoned, in ms.
const ABANDONED_AFTER_MS: i64 = 60_000;
/// Maximum number of recordings that are processed in one call.
const BATCH_SIZE: u32 = 50;

/// Why the files of a recording could not be moved.
#[derive(Clone, Debug, thiserror::Error)]
pub enum FileMoveError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Files cannot be read, moved or removed.
    #[error(transparent)]
    Files(#[from] BlobError),
    /// A format of the recording has no files, or its name is invalid.
    #[error("{format} of {record_id} has no files")]
    NoFiles {
        /// The recording.
        record_id: String,
        /// The format.
        format: String,
    },
}

impl From<Visibility> for Destination {
    fn from(visibility: Visibility) -> Self {
        match visibility {
            Visibility::Published => Self::Published,
            Visibility::Unpublished => Self::Unpublished,
            Visibility::Trash => Self::Trash,
        }
    }
}

/// Changes the visibility of a recording: first its row, then its files. False if there is no such
/// recording in the scope.
///
/// # Errors
/// When a format has no files: then nothing has changed. When files cannot be moved: then the row
/// has changed, and the files are moved later.
pub async fn set_visibility(
    app: &App,
    records: &dyn RecordingStore,
    recording: &Recording,
    scope: &TenantScope,
    visibility: Visibility,
) -> Result<bool, FileMoveError> {
    for format in &recording.formats {
        let no_files = || FileMoveError::NoFiles {
            record_id: recording.record_id.clone(),
            format: format.format.clone(),
        };
        let format_id = RecordingFormatId::parse(&recording.record_id, &format.format);
        let format_id = format_id.ok_or_else(no_files)?;
        if app.blobs.locate_format(&format_id).await?.is_empty() {
            return Err(no_files());
        }
    }
    move_recording(app, records, &recording.record_id, scope, visibility.into()).await
}

/// Deletes a recording: first its row, then its files, which stay in the trash for as long as the
/// store says (`trash_time`). False if there is no such recording in the scope.
///
/// # Errors
/// When files cannot be removed: then the row says that the recording is deleted, and the files are
/// removed later.
pub async fn delete_recording(
    app: &App,
    records: &dyn RecordingStore,
    record_id: &str,
    scope: &TenantScope,
) -> Result<bool, FileMoveError> {
    let has_trash = find_trash_ms(records, app.policy.recordings.trash_ms).await? > 0;
    let to = if has_trash { Destination::Trash } else { Destination::Removed };
    move_recording(app, records, record_id, scope, to).await
}

/// Deletes a recording and its files at once, also from the trash. False if there is no such
/// recording.
///
/// # Errors
/// When files cannot be removed: then the row says that the recording is deleted, and the files are
/// removed later.
pub async fn erase_recording(
    app: &App,
    records: &dyn RecordingStore,
    record_id: &str,
) -> Result<bool, FileMoveError> {
    move_recording(app, records, record_id, &TenantScope::All, Destination::Removed).await
}

/// Restores a recording from the trash as it was: first its row, then its files. False if it is not
/// in the trash.
///
/// # Errors
/// When files cannot be moved: then the row is restored, and the files are moved later.
pub async fn restore_recording(
    app: &App,
    records: &dyn RecordingStore,
    record_id: &str,
) -> Result<bool, FileMoveError> {
    let now = app.clock.now();
    let Some(file_move) = records.restore_recording(record_id, now).await? else {
        return Ok(false);
    };
    audit::record(app, AuditEvent::new("recording.restore").on_recording(record_id)).await;
    run_file_move(records, app.blobs.as_ref(), &file_move).await?;
    Ok(true)
}

/// What the audit calls a change of visibility.
fn action_name(to: Destination) -> &'static str {
    match to {
        Destination::Published => "recording.publish",
        Destination::Unpublished => "recording.unpublish",
        Destination::Trash => "recording.delete",
        Destination::Removed => "recording.erase",
    }
}

async fn move_recording(
    app: &App,
    records: &dyn RecordingStore,
    record_id: &str,
    scope: &TenantScope,
    to: Destination,
) -> Result<bool, FileMoveError> {
    let now = app.clock.now();
    let Some(file_move) = records.begin_file_move(record_id, scope, to, now).await? else {
        return Ok(false);
    };
    let event = AuditEvent::new(action_name(to)).on_recording(record_id);
    let tenant = match scope {
        TenantScope::Tenant(tenant) => Some(tenant.as_str()),
        _ => None,
    };
    audit::record(app, event.of_tenant(tenant)).await;
    run_file_move(records, app.blobs.as_ref(), &file_move).await?;
    Ok(true)
}

/// Moves the files of a file move, and ends it, unless another process may still be moving them
/// elsewhere.
///
/// # Errors
/// When the files cannot be moved or the store fails: then the file move is finished later.
pub async fn run_file_move(
    records: &dyn RecordingStore,
    blobs: &dyn Blobs,
    file_move: &FileMove,
) -> Result<(), FileMoveError> {
    move_files(blobs, file_move).await?;
    if !file_move.replaced_running {
        // If the file move was replaced meanwhile, the process that replaced it moves the files.
        records.end_file_move(file_move).await?;
    }
    Ok(())
}

async fn move_files(blobs: &dyn Blobs, file_move: &FileMove) -> Result<(), BlobError> {
    for format in &file_move.formats {
        let Some(format_id) = RecordingFormatId::parse(&file_move.record_id, format) else {
            continue;
        };
        let outcome = match file_move.destination {
            Destination::Published => blobs.move_format(&format_id, Visibility::Published).await?,
            Destination::Unpublished => {
                blobs.move_format(&format_id, Visibility::Unpublished).await?
            }
            Destination::Trash => blobs.move_format(&format_id, Visibility::Trash).await?,
            Destination::Removed => {
                blobs.remove_format(&format_id, &Visibility::ALL).await?;
                MoveOutcome::Moved
            }
        };
        if outcome == MoveOutcome::Missing {
            tracing::warn!(
                record_id = file_move.record_id,
                format,
                "recording format has no files"
            );
        }
    }
    Ok(())
}

/// Finishes file moves that are considered abandoned; returns their number.
///
/// # Errors
/// When the store fails. If files cannot be moved, that is logged, and the file move stays under
/// way.
pub async fn finish_abandoned_moves(app: &App) -> Result<usize, StoreError> {
    let Some(records) = &app.recording_store else { return Ok(0) };
    finish_moves(records.as_ref(), app.blobs.as_ref(), app.clock.now()).await
}

async fn finish_moves(
    records: &dyn RecordingStore,
    blobs: &dyn Blobs,
    now: Timestamp,
) -> Result<usize, StoreError> {
    let abandoned = records.list_file_moves(now.plus_ms(-ABANDONED_AFTER_MS), BATCH_SIZE).await?;
    let mut finished = 0;
    for file_move in &abandoned {
        match move_files(blobs, file_move).await {
            Ok(()) => finished += usize::from(records.end_file_move(file_move).await?),
            Err(error) => {
                let record_id = &file_move.record_id;
                tracing::warn!(record_id, %error, "recording files not moved yet");
                // Others must not wait behind one that always fails.
                records.postpone_file_move(file_move, now).await?;
            }
        }
    }
    Ok(finished)
}

/// Removes the files of recordings that have been in the trash for `RECORDING_TRASH_DAYS`; returns
/// the number of recordings.
///
/// # Errors
/// When the store fails. If files cannot be removed, that is logged, and they are removed later.
pub async fn empty_trash(app: &App) -> Result<usize, StoreError> {
    let Some(records) = &app.recording_store else { return Ok(0) };
    let now = app.clock.now();
    if !app.clock_watch.may_delete_by_age(now) {
        return Ok(0);
    }
    let trash_ms = find_trash_ms(records.as_ref(), app.policy.recordings.trash_ms).await?;
    let before = now.plus_ms(-trash_ms);
    let file_moves = records.empty_trash(before, now, BATCH_SIZE).await?;
    for file_move in &file_moves {
        let event = AuditEvent::new("recording.erase").on_recording(&file_move.record_id);
        audit::note_automatic(app, "trash", event);
        if let Err(error) = run_file_move(records.as_ref(), app.blobs.as_ref(), file_move).await {
            let record_id = &file_move.record_id;
            tracing::warn!(record_id, %error, "files of deleted recording not removed yet");
        }
    }
    Ok(file_moves.len())
}

/// Deletes the tombstones of recordings that were deleted more than `RECORDING_FORGET_DAYS` ago, if
/// that is set; returns their number.
///
/// # Errors
/// When the store fails.
pub async fn forget_deleted_recordings(app: &App) -> Result<usize, StoreError> {
    let (Some(records), Some(after_ms)) = (&app.recording_store, app.policy.recordings.forget_ms)
    else {
        return Ok(0);
    };
    let now = app.clock.now();
    if !app.clock_watch.may_delete_by_age(now) {
        return Ok(0);
    }
    let before = now.plus_ms(-after_ms);
    Ok(records.forget_deleted_recordings(before, BATCH_SIZE).await?.len())
}

#[cfg(test)]
mod tests;
