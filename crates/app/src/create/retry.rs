//! Asks a meeting's own server until it answers, is known to be offline, or the create's time is over.

use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::time::{Instant, sleep_until, timeout_at};

use crate::backend::{BackendError, BbbReply};
use crate::live_failures;
use crate::ports::{CallError, MeetingOnServer};

use super::request::CreateRequest;
use super::send::{PendingReply, SLOW, is_server_failure};

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
}

/// Asks the meeting's server, several times if need be. A failure or silence is reported and the server polled: if that
/// finds it offline, no more is asked. `ask` makes a call that may safely be made twice, or returns `None` if it cannot.
pub(super) async fn ask_until_answered(
    request: &CreateRequest<'_>,
    target: &MeetingOnServer,
    ask: impl Fn() -> Option<PendingReply>,
) -> RetryOutcome {
    let app = request.app;
    let hedge = Duration::from_millis(app.policy.hedge_ms());
    let mut error: BackendError = CallError::Timeout(app.policy.max_create_ms()).into();
    let (mut pending, mut asks) = (FuturesUnordered::new(), 0);
    loop {
        let asked_at = app.clock.now();
        let may_ask = asks < MAX_ASKS && Instant::now() < request.deadline;
        if may_ask && let Some(reply) = ask() {
            pending.push(reply);
            asks += 1;
        }
        let slow_at = request.deadline.min(Instant::now() + hedge);
        let reason = match timeout_at(slow_at, pending.next()).await {
            Ok(Some(Ok(reply))) => return RetryOutcome::Answered(reply),
            Ok(Some(Err(failure))) => {
                error = failure;
                let may_ask_again = is_server_failure(&error) && request.body.is_none();
                if !may_ask_again {
                    return RetryOutcome::Failed(error);
                }
                error.to_string()
            }
            Ok(None) => return RetryOutcome::Failed(error),
            Err(_) if Instant::now() >= request.deadline => return RetryOutcome::Failed(error),
            Err(_) => SLOW.to_owned(),
        };
        live_failures::report_failure(app, &target.server, asked_at, &reason).await;
        if pending.is_empty() {
            sleep_until(request.deadline.min(Instant::now() + PAUSE)).await;
        }
        let poll = live_failures::confirm_offline(app, target.server.clone());
        let polled = timeout_at(request.deadline, poll);
        tokio::select! {
            biased;
            Some(Ok(reply)) = pending.next() => return RetryOutcome::Answered(reply),
            server = polled => if server.ok().flatten().is_some_and(|server| !server.is_online()) {
                return RetryOutcome::Offline;
            }
        }
    }
}
