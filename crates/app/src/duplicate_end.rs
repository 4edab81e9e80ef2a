//! Ends one of two copies of a meeting, after a last look at both.

use domain::Server;
use domain::poll::UnwantedMeeting;

use crate::backend::{BackendError, BbbReply, meeting_query};
use crate::context::App;

/// Sends the `end` of an unwanted meeting to its server.
pub(crate) async fn send_end(
    app: &App,
    server: &Server,
    unwanted: &UnwantedMeeting,
) -> Result<bool, BackendError> {
    let mut query = meeting_query(&unwanted.key.id);
    if let Some(password) = &unwanted.moderator_pw {
        query.set("password", password);
    }
    let reply = app.call_server_briefly(server, "end", &query).await?;
    Ok(reply.response.success)
}

/// Whether the copy on `server` may be ended in favour of the one that `other` has: both run, they
/// are different meetings, the unwanted one is still the one that was decided about, and it has no
/// more users than the other, or none at all if `must_be_empty`. The servers are asked, since all of that
/// may have changed.
pub(crate) async fn may_end_copy(
    app: &App,
    server: &Server,
    unwanted: &UnwantedMeeting,
    other: &Server,
    must_be_empty: bool,
) -> bool {
    if server.id == other.id || unwanted.internal_id.is_none() {
        return false;
    }
    let (Some(kept), Some(ended)) = (
        fetch_running(app, other, &unwanted.key.id).await,
        fetch_running(app, server, &unwanted.key.id).await,
    ) else {
        return false;
    };
    let (kept, ended) = (kept.response, ended.response);
    ended.internal_id == unwanted.internal_id
        && kept.internal_id.is_some_and(|kept| ended.internal_id.is_some_and(|id| id != kept))
        && ended.participants.zip(kept.participants).is_some_and(|(ended, kept)| ended <= kept)
        && (!must_be_empty || ended.participants == Some(0))
}

/// What a server tells of a meeting, if it has it.
async fn fetch_running(app: &App, server: &Server, id: &str) -> Option<BbbReply> {
    let reply = app.call_server_briefly(server, "getMeetingInfo", &meeting_query(id)).await;
    reply.ok().filter(|reply| reply.response.success)
}
