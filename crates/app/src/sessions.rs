//! What is kept of meetings that have ended.

use domain::history::HistoryMode;
use domain::{Meeting, MeetingSession, Timestamp};

use crate::context::App;
use crate::forecaster;
use crate::ports::StoreError;

/// Sessions older than this are of no use, in ms: eight weeks.
pub const MAX_SESSION_AGE_MS: i64 = 56 * 24 * 3_600_000;
/// Sessions kept at most.
pub const MAX_SESSIONS: usize = 200_000;

/// A meeting has ended: keeps what its next time can be foreseen from.
pub(crate) async fn record_ended_meeting(app: &App, meeting: &Meeting, now: Option<Timestamp>) {
    forecaster::record_end(app, &meeting.key);
    if app.policy.history == HistoryMode::Off || meeting.claim.is_some() {
        return;
    }
    let mut course = meeting.usage;
    // Joins since the last poll are known as well.
    if meeting.load.users > 0 {
        course.record_users(meeting.load.users, now.unwrap_or(meeting.seen_at));
    }
    let key = app.policy.history_key(&meeting.key);
    let Some(session) = course.to_session(&key, meeting.placed_at) else {
        return;
    };
    if let Err(error) = app.history.record_session(&session).await {
        tracing::warn!(%error, "session not kept");
    }
    forecaster::learn_session(app, session);
}

/// Forgets what is too old.
pub(crate) async fn forget_old_sessions(app: &App) -> Result<(), StoreError> {
    let before = app.clock.now().plus_ms(-MAX_SESSION_AGE_MS);
    app.history.forget_sessions(before, MAX_SESSIONS).await
}

/// All that is known.
pub(crate) async fn list_sessions(app: &App) -> Result<Vec<MeetingSession>, StoreError> {
    let since = app.clock.now().plus_ms(-MAX_SESSION_AGE_MS);
    app.history.list_sessions(since, MAX_SESSIONS).await
}
