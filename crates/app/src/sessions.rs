//! Sessions: what is kept of meetings that have ended, for the forecast of their next time.

pub(crate) mod stored;

use domain::history::HistoryMode;
use domain::{Meeting, Timestamp};

use crate::context::App;
use crate::forecaster;

pub(crate) use stored::forget_old_sessions;
pub use stored::{MAX_SESSION_AGE_MS, MAX_SESSIONS};

/// Records the session of a meeting that has ended, and updates the forecast. `now` is the time of
/// the end, if it is known; otherwise the meeting counts as ended when it was last seen. A meeting
/// whose first create is still under way has no session, nor has one of which it is not proven that
/// this deployment made it. An error of the store is only logged.
pub(crate) async fn record_ended_meeting(app: &App, meeting: &Meeting, now: Option<Timestamp>) {
    forecaster::record_end(app, &meeting.key);
    let is_ours = meeting.claim.is_none() && meeting.origin.is_proven;
    if app.policy.history == HistoryMode::Off || !is_ours {
        return;
    }
    let mut usage = meeting.usage;
    // The recorded users include joins since the last poll.
    if meeting.load.users > 0 {
        usage.record_users(meeting.load.users, now.unwrap_or(meeting.seen_at));
    }
    let key = app.policy.history_key(&meeting.key);
    let Some(session) = usage.to_session(&key, meeting.placed_at) else {
        return;
    };
    let tenant = meeting.key.tenant.as_deref();
    if !app.session_budget.take(&meeting.server, tenant) {
        tracing::debug!(server = %meeting.server, "too many sessions in a minute, not recorded");
        return;
    }
    if let Err(error) = app.history.record_session(&session).await {
        tracing::warn!(%error, "session not recorded");
    }
    forecaster::learn_session(app, session);
}
