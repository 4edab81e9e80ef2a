//! Taking a server out of service without hurting anybody: no new meetings, then waiting for those it
//! has, and at the deadline ending the rest after a warning.

use domain::{AdminState, Server};
use futures_util::stream::{self, StreamExt as _};

use super::servers::{self, AdminError};
use crate::api::forget;
use crate::backend::{Way, end_query, meeting_query};
use crate::context::App;
use crate::poll;
use crate::ports::{Lane, Located, ServerChange};

/// Calls to a server at the same time.
const AT_ONCE: usize = 8;

/// What is left on a server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Left {
    /// Meetings, those without users and those of other balancers as well.
    pub meetings: u32,
    /// Users in them.
    pub users: u32,
}

/// Lets the server get no new meetings.
///
/// # Errors
/// When there is none of that id.
pub async fn begin(app: &App, id: &str) -> Result<Server, AdminError> {
    let server = servers::find(app, id).await?;
    if server.state != AdminState::Enabled {
        return Ok(server);
    }
    servers::update(app, id, ServerChange::state(AdminState::Cordoned)).await
}

/// Polls the server: what is left on it, or why that cannot be told.
///
/// # Errors
/// When there is none of that id.
pub async fn look(app: &App, id: &str) -> Result<Result<Left, String>, AdminError> {
    let server = servers::find(app, id).await?;
    let known = server.id.clone();
    let polled = poll::one(app, server, false, None).await?;
    let server = polled.ok_or(AdminError::Unknown(known))?.server;
    if server.health.unhealthy_count > 0 || !server.online() {
        let reason = server.health.last_failure.map(|failure| failure.reason);
        return Ok(Err(reason.unwrap_or_else(|| "offline".to_owned())));
    }
    Ok(Ok(Left { meetings: server.stats.meetings, users: server.stats.users }))
}

/// Writes into the chat of every meeting on the server; returns how many were reached. Servers
/// before BBB 3.0 do not know the call.
///
/// # Errors
/// When there is none of that id, or the store fails.
pub async fn warn(app: &App, id: &str, text: &str) -> Result<usize, AdminError> {
    let server = servers::find(app, id).await?;
    let meetings = app.cluster.meetings(Some(&server.id)).await?;
    let asked = stream::iter(meetings).map(|meeting| {
        let mut query = meeting_query(&meeting.key.id);
        query.set("message", text);
        query.set("userName", "Administrator");
        let server = &server;
        async move {
            let reply = app.ask_briefly(server, "sendChatMessage", &query).await;
            reply.is_ok_and(|reply| reply.answer.success)
        }
    });
    let reached = asked.buffer_unordered(AT_ONCE).filter(|reached| std::future::ready(*reached));
    Ok(reached.count().await)
}

/// Ends every meeting that is recorded on the server; returns how many it confirmed. What it does not
/// confirm is ended by later polls.
///
/// # Errors
/// When there is none of that id, or the store fails.
pub async fn end_rest(app: &App, id: &str) -> Result<usize, AdminError> {
    let server = servers::find(app, id).await?;
    let meetings = app.cluster.meetings(Some(&server.id)).await?;
    let way = Way { lane: Lane::Poller, patience: app.policy.patience_with(server.online()) };
    let ended = stream::iter(meetings).map(|meeting| {
        let server = &server;
        async move {
            let query = end_query(&meeting);
            let reply = app.ask_by(way, server, "end", &query, None).await;
            let located = Located { meeting, server: server.clone() };
            if let Err(error) = forget(app, &located).await {
                tracing::warn!(meeting = located.meeting.key.id, %error, "not forgotten");
            }
            reply.is_ok_and(|reply| reply.answer.success)
        }
    });
    let confirmed = ended.buffer_unordered(AT_ONCE).filter(|ended| std::future::ready(*ended));
    Ok(confirmed.count().await)
}
