//! Draining a server: it gets no new meetings, its meetings come to an end, and at a deadline the
//! remaining ones are ended after a warning.

use domain::{AdminState, Server};
use futures_util::stream::{self, StreamExt as _};

use super::servers::{self, AdminError};
use crate::api::forget_ended_meeting;
use crate::audit::{self, AuditEvent};
use crate::backend::{CallOptions, end_query, meeting_query};
use crate::context::App;
use crate::poll;
use crate::ports::{CallPriority, MeetingOnServer, ServerChange};

/// Maximum number of calls to a server at the same time.
const MAX_CONCURRENT_CALLS: usize = 8;

/// The meetings and users that are left on a server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RemainingLoad {
    /// Meetings, including those without users and those of other balancers.
    pub meetings: u32,
    /// Users in these meetings.
    pub users: u32,
}

/// Cordons a server if it is enabled, so that it gets no new meetings.
///
/// # Errors
/// When there is no server of this id, or the store fails.
pub async fn begin_drain(app: &App, id: &str) -> Result<Server, AdminError> {
    let server = servers::find(app, id).await?;
    if server.state != AdminState::Enabled {
        return Ok(server);
    }
    servers::update(app, id, ServerChange::with_state(AdminState::Cordoned)).await
}

/// Polls a server; returns what is left on it, or why that is unknown.
///
/// # Errors
/// When there is no server of this id, or the store fails.
pub async fn poll_remaining_load(
    app: &App,
    id: &str,
) -> Result<Result<RemainingLoad, String>, AdminError> {
    let server = servers::find(app, id).await?;
    let id = server.id.clone();
    let polled = poll::poll_server(app, server, false, None).await?;
    let server = polled.ok_or(AdminError::Unknown(id))?.server;
    if server.health.unhealthy_count > 0 || !server.is_online() {
        let reason = server.health.last_failure.map(|failure| failure.reason);
        return Ok(Err(reason.unwrap_or_else(|| "offline".to_owned())));
    }
    Ok(Ok(RemainingLoad { meetings: server.stats.meetings, users: server.stats.users }))
}

/// Returns what the chat says before meetings are ended.
#[must_use]
pub fn warning_text(seconds: u64) -> String {
    let time = match seconds {
        0..120 => format!("{seconds} seconds"),
        _ => format!("{} minutes", seconds.div_ceil(60)),
    };
    format!("This server is taken out of service for maintenance. This meeting ends in {time}.")
}

/// Sends a chat message to every meeting on a server; returns the number of meetings that were
/// reached. Servers before BBB 3.0 do not support this call.
///
/// # Errors
/// When there is no server of this id, or the store fails.
pub async fn warn_users(app: &App, id: &str, text: &str) -> Result<usize, AdminError> {
    let server = servers::find(app, id).await?;
    let meetings = app.pool.list_meetings(Some(&server.id)).await?;
    let after = serde_json::json!({ "meetings": meetings.len() });
    audit::record(app, AuditEvent::new("server.warn").on_server(&server).after(after)).await;
    let calls = stream::iter(meetings).map(|meeting| {
        let mut query = meeting_query(&meeting.key.id);
        query.set("message", text);
        query.set("userName", "Administrator");
        let server = &server;
        async move {
            let reply = app.call_server_briefly(server, "sendChatMessage", &query).await;
            reply.is_ok_and(|reply| reply.response.success)
        }
    });
    let reached =
        calls.buffer_unordered(MAX_CONCURRENT_CALLS).filter(|reached| std::future::ready(*reached));
    Ok(reached.count().await)
}

/// Ends and forgets every meeting that this deployment created on a server; returns how many ends
/// the server confirmed. Later polls end the other ones of these.
///
/// # Errors
/// When there is no server of this id, or the store fails.
pub async fn end_remaining_meetings(app: &App, id: &str) -> Result<usize, AdminError> {
    let server = servers::find(app, id).await?;
    let mut meetings = app.pool.list_meetings(Some(&server.id)).await?;
    meetings.retain(|meeting| !meeting.origin.is_adopted);
    let after = serde_json::json!({ "meetings": meetings.len() });
    let event = AuditEvent::new("server.end_meetings").on_server(&server).after(after);
    audit::record(app, event).await;
    let options = CallOptions {
        priority: CallPriority::Internal,
        timeouts: app.policy.timeouts_for(server.is_online()),
    };
    let calls = stream::iter(meetings).map(|meeting| {
        let server = &server;
        async move {
            let query = end_query(&meeting);
            let reply = app.call_server_with(options, server, "end", &query, None).await;
            let has_ended = reply.as_ref().is_ok_and(|reply| reply.response.success);
            let ended = MeetingOnServer { meeting, server: server.clone() };
            if let Err(error) = forget_ended_meeting(app, &ended, has_ended).await {
                let meeting = &ended.meeting.key.id;
                tracing::warn!(meeting, %error, "ended meeting not forgotten");
            }
            has_ended
        }
    });
    let confirmed =
        calls.buffer_unordered(MAX_CONCURRENT_CALLS).filter(|ended| std::future::ready(*ended));
    Ok(confirmed.count().await)
}
