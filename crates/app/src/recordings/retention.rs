//! Deletes recordings that are older than they are to be kept.

use domain::recording::Recording;
pub use domain::recording::retention::Retention;

use super::file_moves::{self, FileMoveError};
use crate::context::App;
use crate::origin;
use crate::ports::{RecordingCursor, RecordingStore};

/// Number of recordings that are read at once.
const PAGE_SIZE: u32 = 200;
/// Maximum number of recordings that [`delete_expired_by_settings`] deletes in one call.
pub const MAX_DELETIONS_PER_RUN: usize = 100;

/// Deletes the recordings that are expired by a rule, `limit` at most, and returns their number.
/// `report` is called for each of them before it is deleted; in a dry run, recordings are only
/// reported.
///
/// # Errors
/// When the store fails.
pub async fn delete_expired(
    app: &App,
    records: &dyn RecordingStore,
    rule: &Retention,
    limit: usize,
    mut report: impl FnMut(&Recording),
    dry_run: bool,
) -> Result<usize, FileMoveError> {
    let now = app.clock.now();
    if !dry_run && !app.clock_watch.may_delete_by_age(now) {
        return Ok(0);
    }
    let (mut after, mut count) = (None, 0);
    loop {
        let (filter, scope) = (&rule.filter, &rule.scope);
        let page = records.search_recordings(filter, scope, after.as_ref(), PAGE_SIZE).await?;
        let Some(last) = page.last() else { return Ok(count) };
        after = Some(RecordingCursor::from_recording(last));
        for recording in page.iter().filter(|recording| rule.is_expired(recording, now)) {
            if count == limit {
                return Ok(count);
            }
            report(recording);
            count += 1;
            if dry_run {
                continue;
            }
            let record_id = &recording.record_id;
            match file_moves::delete_recording(app, records, record_id, scope).await {
                Ok(_) => {}
                Err(FileMoveError::Store(error)) => return Err(error.into()),
                // The recording is deleted; its files are removed later.
                Err(error) => {
                    tracing::warn!(record_id, %error, "files of expired recording not removed");
                }
            }
        }
    }
}

/// Deletes the recordings that are expired by `RECORDING_RETENTION_DAYS`, and returns their number.
/// More may be left if the number is [`MAX_DELETIONS_PER_RUN`].
///
/// # Errors
/// When the store fails or files cannot be removed.
pub async fn delete_expired_by_settings(app: &App) -> Result<usize, FileMoveError> {
    let (Some(records), Some(rule)) = (&app.recording_store, &app.policy.recordings.retention)
    else {
        return Ok(0);
    };
    let report = |recording: &Recording| {
        tracing::info!(record_id = recording.record_id, "deleting expired recording");
    };
    let work = delete_expired(app, records.as_ref(), rule, MAX_DELETIONS_PER_RUN, report, false);
    origin::run_automatically("retention", work).await
}
