//! A create of a known meeting: its own server is asked again. If that is silent, it is polled: one
//! that is gone loses the meeting to another server, one that answers is asked once more.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use tokio::time::{Instant, sleep_until, timeout_at};

use crate::backend::{BackendError, BbbReply};
use crate::live_failures;
use crate::ports::{CallError, MeetingOnServer};

use super::asking::{Call, asking, is_the_servers};
use super::attempts::{SLOW, UNANSWERED};
use super::errors::ApiError;
use super::owner;
use super::request::forward_reply;
use super::vouched;

/// How often the server is asked at most: a repeated create is the same however often it comes. The last
/// time it is asked about the meeting.
const ASKS_MAX: usize = 3;
/// What BBB says of a create whose meeting was there already.
pub(super) const EXISTS: &str = "duplicateWarning";
/// After a failure a server gets this time before it is asked again.
const RECOVER: Duration = Duration::from_secs(1);

/// What a server said, or why it did not.
pub(super) type Answered = Result<BbbReply, BackendError>;

/// What the meeting's own server answers; nothing if it turns out to be offline.
pub(super) async fn again(
    call: &Call<'_>,
    located: &MeetingOnServer,
) -> Option<Result<Bytes, ApiError>> {
    let asks = AtomicUsize::new(0);
    let ask = || match asks.fetch_add(1, Ordering::Relaxed) {
        before if before + 1 < ASKS_MAX => asking(call, located, false),
        _ => Some(vouched::asking(call, located)),
    };
    Some(match insist(call, located, ask).await? {
        Ok(reply) => answered(call, located, reply, asks.into_inner()).await,
        Err(error) => forward_reply(Err(error), UNANSWERED),
    })
}

/// Asks the meeting's own server until it answers; nothing if it turns out to be offline. `ask` is a
/// question that may be asked twice, or nothing if it cannot.
pub(super) async fn insist(
    call: &Call<'_>,
    located: &MeetingOnServer,
    ask: impl Fn() -> Option<BoxFuture<'static, Answered>>,
) -> Option<Answered> {
    let app = call.app;
    let hedge = Duration::from_millis(app.policy.hedge_ms());
    let mut error: BackendError = CallError::Timeout(app.policy.max_create_ms()).into();
    let (mut under_way, mut asks) = (FuturesUnordered::new(), 0);
    loop {
        let asked_at = app.clock.now();
        let may_ask = asks < ASKS_MAX && Instant::now() < call.deadline;
        if may_ask && let Some(asking) = ask() {
            under_way.push(asking);
            asks += 1;
        }
        let silent_at = call.deadline.min(Instant::now() + hedge);
        let reason = match timeout_at(silent_at, under_way.next()).await {
            Ok(Some(Ok(reply))) => return Some(Ok(reply)),
            Ok(Some(Err(theirs))) => {
                error = theirs;
                let may_be_again = is_the_servers(&error) && call.body.is_none();
                if !may_be_again {
                    return Some(Err(error));
                }
                error.to_string()
            }
            Ok(None) => return Some(Err(error)),
            Err(_) if Instant::now() >= call.deadline => return Some(Err(error)),
            Err(_) => SLOW.to_owned(),
        };
        // Is it slow, or is it gone?
        live_failures::report_failure(app, &located.server, asked_at, &reason).await;
        if under_way.is_empty() {
            sleep_until(call.deadline.min(Instant::now() + RECOVER)).await;
        }
        let confirming =
            timeout_at(call.deadline, live_failures::confirm_offline(app, located.server.clone()));
        tokio::select! {
            biased;
            Some(Ok(reply)) = under_way.next() => return Some(Ok(reply)),
            server = confirming => if server.ok().flatten().is_some_and(|server| !server.is_online()) {
                return None;
            }
        }
    }
}

/// The meeting's own server has answered. If it began the meeting anew, now or when it was asked before
/// without an answer, it is confirmed: a poll that asked earlier must not forget it, nor an ending be
/// about it.
async fn answered(
    call: &Call<'_>,
    located: &MeetingOnServer,
    mut reply: BbbReply,
    asks: usize,
) -> Result<Bytes, ApiError> {
    let app = call.app;
    if located.meeting.claim.is_some() {
        // Nobody knows yet what is there.
        match owner::checked(call, located, reply).await {
            Ok(checked) => reply = checked,
            Err(error) => return forward_reply(Err(error), UNANSWERED),
        }
    }
    let is_new = asks > 1 || reply.response.message_key != EXISTS;
    if reply.response.success && (is_new || located.meeting.claim.is_some()) {
        app.pool.confirm_meeting(&located.meeting, app.clock.now(), &[]).await?;
    }
    forward_reply(Ok(reply), UNANSWERED)
}
