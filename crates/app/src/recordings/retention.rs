//! Deletes recordings that have been kept for as long as somebody wants.

use domain::recording::Recording;
pub use domain::recording::Retention;

use super::file_moves::{self, FileMoveError};
use crate::context::App;
use crate::ports::{RecordingCursor, RecordingStore};

/// Recordings that are read at once.
const PAGE_SIZE: u32 = 200;
/// Recordings that are deleted in one go without anybody who waits for them.
pub const MAX_DELETIONS_PER_RUN: usize = 100;

/// Finds recordings that are kept for too long, so many at most, and deletes them, or only tells; returns how many.
///
/// # Errors
/// When the store fails or files cannot be removed.
pub async fn delete_expired(
    app: &App,
    records: &dyn RecordingStore,
    rule: &Retention,
    limit: usize,
    mut tell: impl FnMut(&Recording),
    dry_run: bool,
) -> Result<usize, FileMoveError> {
    let before = app.clock.now().plus_ms(-rule.keep_ms);
    let (mut after, mut count) = (None, 0);
    loop {
        let (filter, scope) = (&rule.filter, &rule.scope);
        let page = records.search_recordings(filter, scope, after.as_ref(), PAGE_SIZE).await?;
        let Some(last) = page.last() else { return Ok(count) };
        after = Some(RecordingCursor::from_recording(last));
        // What has no time at all is nobody's to judge.
        let is_old =
            |one: &&Recording| one.ended_at.or(one.started_at).is_some_and(|at| at < before);
        for recording in page.iter().filter(is_old) {
            if count == limit {
                return Ok(count);
            }
            tell(recording);
            count += 1;
            if !dry_run {
                file_moves::delete_recording(app, records, &recording.record_id, scope).await?;
            }
        }
    }
}

/// Does what the settings say, in one go; returns how many recordings were deleted. More may be left if it was
/// [`AT_ONCE`].
///
/// # Errors
/// When the store fails or files cannot be removed.
pub async fn delete_expired_by_settings(app: &App) -> Result<usize, FileMoveError> {
    let (Some(records), Some(rule)) = (&app.recording_store, &app.policy.recordings.retention)
    else {
        return Ok(0);
    };
    let tell = |one: &Recording| tracing::info!(record_id = one.record_id, "too old: deleted");
    delete_expired(app, records.as_ref(), rule, MAX_DELETIONS_PER_RUN, tell, false).await
}
