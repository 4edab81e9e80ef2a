//! Reads the stored sessions, and deletes old ones.

use domain::MeetingSession;

use crate::context::App;
use crate::ports::StoreError;

/// Maximum age of sessions that are used, in ms: eight weeks.
pub const MAX_SESSION_AGE_MS: i64 = 56 * 24 * 3_600_000;
/// Maximum number of sessions that are kept.
pub const MAX_SESSIONS: usize = 200_000;

/// Deletes the sessions that are too old, and the oldest above the maximum number.
pub(crate) async fn forget_old_sessions(app: &App) -> Result<(), StoreError> {
    let oldest_kept = app.clock.now().plus_ms(-MAX_SESSION_AGE_MS);
    app.history.forget_sessions(oldest_kept, MAX_SESSIONS).await
}

/// Lists all sessions that are in use, the newest first.
pub(crate) async fn list_sessions(app: &App) -> Result<Vec<MeetingSession>, StoreError> {
    let since = app.clock.now().plus_ms(-MAX_SESSION_AGE_MS);
    app.history.list_sessions(since, MAX_SESSIONS).await
}
