//! What is kept of meetings that have ended.

use domain::{Meeting, Session, Timestamp};

use crate::context::App;
use crate::planner;
use crate::ports::StoreError;

/// Sessions older than this are of no use, in ms: eight weeks.
pub const KEPT_MS: i64 = 56 * 24 * 3_600_000;
/// Sessions kept at most.
pub const KEPT_MAX: usize = 200_000;

/// What is kept of meetings (`PLACEMENT_HISTORY`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HistoryMode {
    /// Their sizes and times, under their ids.
    #[default]
    On,
    /// The same, under a hash of their ids that needs the balancer's secret.
    Pseudonymous,
    /// Nothing.
    Off,
}

/// A meeting has ended: keeps what its next time can be foreseen from.
pub(crate) async fn ended(app: &App, meeting: &Meeting, now: Option<Timestamp>) {
    planner::ended(app, &meeting.key);
    if app.policy.history == HistoryMode::Off || meeting.claim.is_some() {
        return;
    }
    let mut course = meeting.course;
    // Joins since the last poll are known as well.
    if meeting.seats.users > 0 {
        course.observe(meeting.seats.users, now.unwrap_or(meeting.seen_at));
    }
    let key = app.policy.known_as(&meeting.key);
    let Some(session) = course.session(&key, meeting.placed_at) else {
        return;
    };
    if let Err(error) = app.history.record_session(&session).await {
        tracing::warn!(%error, "session not kept");
    }
    planner::learn(app, session);
}

/// Forgets what is too old.
pub(crate) async fn sweep(app: &App) -> Result<(), StoreError> {
    let before = app.clock.now().plus_ms(-KEPT_MS);
    app.history.forget_sessions(before, KEPT_MAX).await
}

/// All that is known.
pub(crate) async fn all(app: &App) -> Result<Vec<Session>, StoreError> {
    let since = app.clock.now().plus_ms(-KEPT_MS);
    app.history.sessions(since, KEPT_MAX).await
}
