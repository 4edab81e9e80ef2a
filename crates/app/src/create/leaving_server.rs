//! Meetings on servers that get no new ones. A create that reaches a cordoned or disabled server after its meeting ended would
//! start a new meeting there, so such a server is first asked whether the meeting still runs.

use domain::AdminState;
use futures_util::FutureExt as _;
use tokio::time::timeout_at;

use crate::api::ApiError;
use crate::backend::{BbbReply, meeting_query};
use crate::ports::{CallError, MeetingOnServer};

use super::request::CreateRequest;
use super::retry::{RetryOutcome, ask_until_answered};
use super::send::NO_RESPONSE_MESSAGE;

/// Whether a repeated create may go to the meeting's server.
pub(super) enum ServerCheck {
    /// The server has the meeting, or may get it anew.
    Usable,
    /// The meeting is over, and the server gets no new ones.
    MeetingOver,
    /// The server turned out to be offline.
    Offline,
    /// The server did not say.
    Failed(ApiError),
}

/// Checks whether the meeting's server may get the create.
pub(super) async fn check_server(
    request: &CreateRequest<'_>,
    target: &MeetingOnServer,
) -> ServerCheck {
    let state = target.server.state;
    if target.meeting.claim.is_some() {
        // Its first create is under way there.
        return ServerCheck::Usable;
    }
    let call = match state {
        AdminState::Enabled => return ServerCheck::Usable,
        // As in the original, a meeting without users moves to another server.
        AdminState::Cordoned => "isMeetingRunning",
        AdminState::Disabled => "getMeetingInfo",
    };
    let ask = || {
        let (app, server, deadline) =
            (request.app.clone(), target.server.clone(), request.deadline);
        let query = meeting_query(&target.meeting.key.id);
        let reply = async move {
            let timeout = CallError::Timeout(app.policy.max_create_ms());
            let reply = timeout_at(deadline, app.call_server(&server, call, &query, None)).await;
            reply.unwrap_or_else(|_| Err(timeout.into()))
        };
        Some(reply.boxed())
    };
    match ask_until_answered(request, target, ask).await {
        RetryOutcome::Answered(reply) if is_over(state, &reply) => ServerCheck::MeetingOver,
        RetryOutcome::Answered(_) => ServerCheck::Usable,
        RetryOutcome::Failed(error) => {
            ServerCheck::Failed(ApiError::Unanswered(NO_RESPONSE_MESSAGE, error))
        }
        RetryOutcome::Offline | RetryOutcome::Moved { .. } => ServerCheck::Offline,
    }
}

fn is_over(state: AdminState, reply: &BbbReply) -> bool {
    let response = &reply.response;
    match state {
        AdminState::Enabled => false,
        AdminState::Cordoned => response.success && response.running == Some(false),
        AdminState::Disabled => !response.success && response.message_key == "notFound",
    }
}

#[cfg(test)]
mod tests {
    use bbb::Query;
    use bbb::response::build_success;
    use domain::Claim;

    use super::*;
    use crate::tenancy::Caller;
    use crate::test_app::{START, test_app, test_meeting, test_server};

    #[tokio::test(start_paused = true)]
    async fn a_meeting_whose_create_is_under_way_stays_on_a_server_that_was_just_closed() {
        let (app, servers) =
            test_app(&["a"], |_| Some((build_success(&[("running", "false")]), 10))).await;
        let (caller, query) = (Caller::default(), Query::default());
        let key = test_meeting(None, "m", "a").key;
        let request = CreateRequest::new(&app, &caller, key, &query, None).await;
        for state in [AdminState::Cordoned, AdminState::Disabled] {
            let (mut meeting, mut server) = (test_meeting(None, "m", "a"), test_server("a"));
            server.state = state;
            meeting.claim = Some(Claim { token: "other".to_owned(), until: START.plus_ms(9_000) });
            let target = MeetingOnServer { meeting, server };
            assert!(matches!(check_server(&request, &target).await, ServerCheck::Usable));
        }
        assert_eq!(servers.calls(), [] as [&str; 0], "it is not asked");
        let (meeting, mut server) = (test_meeting(None, "m", "a"), test_server("a"));
        server.state = AdminState::Cordoned;
        let target = MeetingOnServer { meeting, server };
        assert!(matches!(check_server(&request, &target).await, ServerCheck::MeetingOver));
    }
}
