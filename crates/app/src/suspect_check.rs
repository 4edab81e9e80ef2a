//! Asks a suspect server something quickly before users are sent to it. A healthy server is never asked.

use std::time::Duration;

use domain::Server;
use tokio::time::{Instant, timeout};

use crate::backend::{BackendError, CallOptions, meeting_query};
use crate::context::App;
use crate::live_failures;
use crate::ports::{CallPriority, CallTimeouts};

/// The server has so long to answer the quick question, in ms.
const QUICK_MS: u64 = 300;
/// Joins that come so soon after one that asked use the same answer.
const MAX_AGE: Duration = Duration::from_secs(1);
/// Whether a suspect server is alive: it answers a quick question about the meeting, or a poll right after
/// that, since slow is not dead. The poll may find that it is offline.
pub(crate) async fn is_alive(app: &App, server: &Server, meeting_id: &str) -> bool {
    let last = app.suspect_checks.last_answer(&server.id);
    let mut last = last.lock().await;
    let count = |is_alive| match is_alive {
        true => app.meters.suspect_joins.count(),
        false => app.meters.silent_suspect_joins.count(),
    };
    if let Some((asked_at, is_alive)) = *last
        && asked_at.elapsed() < MAX_AGE
    {
        count(is_alive);
        return is_alive;
    }
    let is_alive =
        answers_quickly(app, server, meeting_id).await || answers_poll(app, server).await;
    count(is_alive);
    *last = Some((Instant::now(), is_alive));
    is_alive
}

async fn answers_quickly(app: &App, server: &Server, meeting_id: &str) -> bool {
    let timeouts = CallTimeouts { connect_ms: QUICK_MS, response_ms: QUICK_MS };
    let options = CallOptions { priority: CallPriority::Internal, timeouts };
    let query = meeting_query(meeting_id);
    let call = app.call_server_with(options, server, "isMeetingRunning", &query, None);
    let answer = timeout(Duration::from_millis(QUICK_MS), call).await;
    matches!(answer, Ok(Ok(_) | Err(BackendError::Refused(_))))
}

async fn answers_poll(app: &App, server: &Server) -> bool {
    let known_answer = server.health.answered_at;
    let polled = live_failures::confirm_offline(app, server.clone()).await;
    polled.is_some_and(|polled| polled.is_online() && polled.health.answered_at != known_answer)
}
