//! Asks a meeting's own server until it answers, is known to be offline, or the create's time is over.

use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::time::{Instant, sleep_until, timeout_at};

use crate::backend::{BackendError, BbbReply};
use crate::live_failures;
use crate::ports::{CallError, MeetingOnServer};

use super::liveness::{SignOfLife, watch_for_death};
use super::request::CreateRequest;
use super::send::{CreateReply, PendingReply, is_server_failure, is_timeout};

/// How often the server is asked at most.
pub(super) const MAX_ASKS: usize = 3;
/// After a failure the server is left alone for so long.
const PAUSE: Duration = Duration::from_secs(1);

/// What came of it.
pub(super) enum RetryOutcome {
    /// The server answered.
    Answered(BbbReply),
    /// There was no answer in time, or a failure that asking again cannot mend.
    Failed(BackendError),
    /// The server turned out to be offline.
    Offline,
    /// The meeting is recorded on another server by now, or nowhere.
    Moved { elsewhere: bool },
}

/// What happens while a reply is awaited.
enum RetryEvent {
    Replied(CreateReply),
    /// The server does not answer anything.
    Dead(BackendError),
    /// Nothing more can come.
    Over,
}

/// Asks the meeting's server, several times if need be. As long as the server answers something else, the reply is awaited; a
/// failure is reported and the server polled, and if that finds it offline, no more is asked. `ask` makes a call that may
/// safely be made twice, or returns `None` if it cannot.
pub(super) async fn ask_until_answered(
    request: &CreateRequest<'_>,
    target: &MeetingOnServer,
    ask: impl Fn() -> Option<PendingReply>,
) -> RetryOutcome {
    let app = request.app;
    let mut error: BackendError = CallError::Timeout(app.policy.max_attempt_ms()).into();
    let (mut replies, mut asks) = (FuturesUnordered::new(), 0);
    loop {
        let asked_at = app.clock.now();
        let may_ask = asks < MAX_ASKS && Instant::now() < request.deadline;
        if may_ask
            && asks > 0
            && let Some(moved) = find_moved(request, target).await
        {
            return moved;
        }
        if may_ask && let Some(reply) = ask() {
            replies.push(reply);
            asks += 1;
        }
        let sign_of_life = SignOfLife::default();
        match next_event(request, target, &mut replies, sign_of_life.clone()).await {
            RetryEvent::Replied(Ok(reply)) => return RetryOutcome::Answered(reply),
            RetryEvent::Replied(Err(failure)) | RetryEvent::Dead(failure) => error = failure,
            RetryEvent::Over => return RetryOutcome::Failed(error),
        }
        if error == BackendError::NotThere && !replies.is_empty() {
            // The server is alive, and an earlier reply may still come.
            continue;
        }
        let may_ask_again = is_server_failure(&error) && request.body.is_none();
        if !may_ask_again {
            return RetryOutcome::Failed(error);
        }
        if is_timeout(&error) && replies.is_empty() && sign_of_life.is_seen() {
            // The server is alive: it is asked the same once more, or something else.
            continue;
        }
        live_failures::report_failure(app, &target.server, asked_at, &error).await;
        if replies.is_empty() {
            sleep_until(request.deadline.min(Instant::now() + PAUSE)).await;
        }
        let poll = live_failures::confirm_offline(app, target.server.clone());
        let polled = timeout_at(request.deadline, poll);
        tokio::select! {
            biased;
            Some(Ok(reply)) = replies.next() => return RetryOutcome::Answered(reply),
            server = polled => if server.ok().flatten().is_some_and(|server| !server.is_online()) {
                return RetryOutcome::Offline;
            }
        }
    }
}

/// Returns where the meeting is, if it is no longer recorded on the server. While an answer was awaited, another create may have
/// gone on to another server, or the meeting may have ended: asked once more, this server would make a second one.
async fn find_moved(request: &CreateRequest<'_>, target: &MeetingOnServer) -> Option<RetryOutcome> {
    match request.app.pool.find_meeting(&request.key).await {
        Ok(Some(found)) if found.server.id == target.server.id => None,
        Ok(found) => Some(RetryOutcome::Moved { elsewhere: found.is_some() }),
        Err(_) => None,
    }
}

async fn next_event(
    request: &CreateRequest<'_>,
    target: &MeetingOnServer,
    replies: &mut FuturesUnordered<PendingReply>,
    sign_of_life: SignOfLife,
) -> RetryEvent {
    let id = target.meeting.key.id.clone();
    let (app, server) = (request.app.clone(), target.server.clone());
    let death = watch_for_death(app, server, id, request.deadline, sign_of_life);
    tokio::select! {
        biased;
        reply = replies.next() => reply.map_or(RetryEvent::Over, RetryEvent::Replied),
        () = sleep_until(request.deadline) => RetryEvent::Over,
        error = death => RetryEvent::Dead(error),
    }
}

#[cfg(test)]
mod tests {
    use bbb::Query;
    use bbb::response::build_success;

    use super::*;
    use crate::create::send::{SendMode, send_create};
    use crate::tenancy::Caller;
    use crate::test_app::{replace_record, test_app_with_changes, test_meeting, test_server};

    #[tokio::test(start_paused = true)]
    async fn a_server_is_not_asked_again_for_a_meeting_that_has_moved() {
        let (app, servers) = test_app_with_changes(&["a", "b"], |app, (_, call, _)| match call {
            "create" => Some(("<html>".to_owned(), 10)),
            _ => {
                // Another create has gone on to `b` meanwhile.
                replace_record(app, "a", &test_meeting(None, "m", "b"));
                Some((build_success(&[]), 10))
            }
        })
        .await;
        let meeting = test_meeting(None, "m", "a");
        assert!(app.pool.restore_meeting(&meeting).await.unwrap());
        let (caller, query) = (Caller::default(), Query::default());
        let request = CreateRequest::new(&app, &caller, meeting.key.clone(), &query, None).await;
        let target = MeetingOnServer { meeting, server: test_server("a") };
        let ask = || send_create(&request, &target, SendMode::Repeated);
        let outcome = ask_until_answered(&request, &target, ask).await;
        assert!(matches!(outcome, RetryOutcome::Moved { elsewhere: true }));
        let calls = servers.calls();
        assert_eq!(calls.iter().filter(|call| *call == "a create").count(), 1, "{calls:?}");
    }
}
