//! Taking a server out of service without hurting anybody: no new meetings, then waiting for those it
//! has, and at the deadline ending the rest after a warning.

use domain::{AdminState, Server};
use futures_util::stream::{self, StreamExt as _};

use super::servers::{self, AdminError};
use crate::api::forget_ended_meeting;
use crate::backend::{CallOptions, end_query, meeting_query};
use crate::context::App;
use crate::poll;
use crate::ports::{CallPriority, MeetingOnServer, ServerChange};

/// Calls to a server at the same time.
const MAX_CONCURRENT_CALLS: usize = 8;

/// What is left on a server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RemainingLoad {
    /// Meetings, those without users and those of other balancers as well.
    pub meetings: u32,
    /// Users in them.
    pub users: u32,
}

/// Lets the server get no new meetings.
///
/// # Errors
/// When there is none of that id.
pub async fn begin_drain(app: &App, id: &str) -> Result<Server, AdminError> {
    let server = servers::find(app, id).await?;
    if server.state != AdminState::Enabled {
        return Ok(server);
    }
    servers::update(app, id, ServerChange::with_state(AdminState::Cordoned)).await
}

/// Polls the server: what is left on it, or why that cannot be told.
///
/// # Errors
/// When there is none of that id.
pub async fn poll_remaining_load(
    app: &App,
    id: &str,
) -> Result<Result<RemainingLoad, String>, AdminError> {
    let server = servers::find(app, id).await?;
    let known = server.id.clone();
    let polled = poll::poll_server(app, server, false, None).await?;
    let server = polled.ok_or(AdminError::Unknown(known))?.server;
    if server.health.unhealthy_count > 0 || !server.is_online() {
        let reason = server.health.last_failure.map(|failure| failure.reason);
        return Ok(Err(reason.unwrap_or_else(|| "offline".to_owned())));
    }
    Ok(Ok(RemainingLoad { meetings: server.stats.meetings, users: server.stats.users }))
}

/// Writes into the chat of every meeting on the server; returns how many were reached. Servers
/// before BBB 3.0 do not know the call.
///
/// # Errors
/// When there is none of that id, or the store fails.
pub async fn warn_users(app: &App, id: &str, text: &str) -> Result<usize, AdminError> {
    let server = servers::find(app, id).await?;
    let meetings = app.pool.list_meetings(Some(&server.id)).await?;
    let asked = stream::iter(meetings).map(|meeting| {
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
        asked.buffer_unordered(MAX_CONCURRENT_CALLS).filter(|reached| std::future::ready(*reached));
    Ok(reached.count().await)
}

/// Ends every meeting that is recorded on the server; returns how many it confirmed. What it does not
/// confirm is ended by later polls.
///
/// # Errors
/// When there is none of that id, or the store fails.
pub async fn end_remaining_meetings(app: &App, id: &str) -> Result<usize, AdminError> {
    let server = servers::find(app, id).await?;
    let meetings = app.pool.list_meetings(Some(&server.id)).await?;
    let way = CallOptions {
        priority: CallPriority::Internal,
        timeouts: app.policy.timeouts_for(server.is_online()),
    };
    let ended = stream::iter(meetings).map(|meeting| {
        let server = &server;
        async move {
            let query = end_query(&meeting);
            let reply = app.call_server_with(way, server, "end", &query, None).await;
            let located = MeetingOnServer { meeting, server: server.clone() };
            if let Err(error) = forget_ended_meeting(app, &located).await {
                tracing::warn!(meeting = located.meeting.key.id, %error, "not forgotten");
            }
            reply.is_ok_and(|reply| reply.response.success)
        }
    });
    let confirmed =
        ended.buffer_unordered(MAX_CONCURRENT_CALLS).filter(|ended| std::future::ready(*ended));
    Ok(confirmed.count().await)
}
