//! Known meetings on servers that get no new ones. A create that reaches such a server when the
//! meeting is over would begin a new one there: first the server is asked whether it is.

use domain::AdminState;
use futures_util::FutureExt as _;
use tokio::time::timeout_at;

use crate::backend::{BbbReply, meeting_query};
use crate::ports::{CallError, MeetingOnServer};

use super::asking::Call;
use super::attempts::UNANSWERED;
use super::errors::ApiError;
use super::repeat::insist;

/// Whether the server still has the meeting, so that a create may go there; nothing if the server
/// turns out to be offline.
pub(super) async fn keeps(
    call: &Call<'_>,
    located: &MeetingOnServer,
) -> Option<Result<bool, ApiError>> {
    let state = located.server.state;
    if located.meeting.claim.is_some() {
        // Its first create is under way there.
        return Some(Ok(true));
    }
    let name = match state {
        AdminState::Enabled => return Some(Ok(true)),
        // As the original does it, one that nobody is in moves to another server.
        AdminState::Cordoned => "isMeetingRunning",
        AdminState::Disabled => "getMeetingInfo",
    };
    let ask = || {
        let (app, server, deadline) = (call.app.clone(), located.server.clone(), call.deadline);
        let query = meeting_query(&located.meeting.key.id);
        let asking = async move {
            let late = CallError::Timeout(app.policy.max_create_ms());
            let asked = timeout_at(deadline, app.call_server(&server, name, &query, None)).await;
            asked.unwrap_or_else(|_| Err(late.into()))
        };
        Some(asking.boxed())
    };
    let reply = insist(call, located, ask).await?;
    let reply = reply.map_err(|error| ApiError::Unanswered(UNANSWERED, error));
    Some(reply.map(|reply| !is_over(state, &reply)))
}

fn is_over(state: AdminState, reply: &BbbReply) -> bool {
    let answer = &reply.response;
    match state {
        AdminState::Enabled => false,
        AdminState::Cordoned => answer.success && answer.running == Some(false),
        AdminState::Disabled => !answer.success && answer.message_key == "notFound",
    }
}
