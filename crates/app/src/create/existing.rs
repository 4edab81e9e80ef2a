//! A create of a meeting that has a server: that server is asked again. If it is offline, or no longer has the meeting and gets
//! no new ones, the meeting needs another place.

use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use domain::poll::PendingEnd;
use domain::{Meeting, Timestamp};

use crate::api::{ApiError, forward_reply};
use crate::backend::BbbReply;
use crate::ports::MeetingOnServer;

use super::info_reply::create_reply_from_info;
use super::keep::seal_create;
use super::leaving_server::{ServerCheck, check_server};
use super::reply_origin::origin_of_reply;
use super::request::CreateRequest;
use super::retry::{MAX_ASKS, RetryOutcome, ask_until_answered};
use super::send::{ALREADY_EXISTS, NO_RESPONSE_MESSAGE, SendMode, send_create};
use super::tenant_check::check_tenant;

/// What came of a create of a known meeting.
pub(super) enum ExistingOutcome {
    /// The front-end gets this answer.
    Answered(Result<Bytes, ApiError>),
    /// The meeting is to be placed anew.
    NeedsPlace,
    /// The meeting is no longer recorded on the server, and is to be found again. If it is elsewhere, what the server may make of
    /// the create is to be ended; if it is recorded nowhere, it may just have been lost with the store.
    Moved(Option<PendingEnd>),
}

/// Sends the create to the meeting's server.
pub(super) async fn create_existing(
    request: &CreateRequest<'_>,
    target: &MeetingOnServer,
) -> ExistingOutcome {
    match check_server(request, target).await {
        ServerCheck::Usable => repeat_create(request, target).await,
        ServerCheck::MeetingOver => forget(request, target).await,
        ServerCheck::Offline => ExistingOutcome::NeedsPlace,
        ServerCheck::Failed(error) => ExistingOutcome::Answered(Err(error)),
    }
}

async fn forget(request: &CreateRequest<'_>, target: &MeetingOnServer) -> ExistingOutcome {
    let (meeting, pool) = (&target.meeting, &request.app.pool);
    // It may still run there, without users.
    let end = PendingEnd::of_replaced_record(meeting, request.app.clock.now());
    let seen_at = Some(meeting.seen_at);
    let forgotten = pool.forget_meeting(&meeting.key, &target.server.id, seen_at, end.as_ref());
    match forgotten.await {
        Ok(_) => ExistingOutcome::NeedsPlace,
        Err(error) => ExistingOutcome::Answered(Err(error.into())),
    }
}

/// Repeats the create, which BBB treats as one. The last time, the server is asked about the meeting instead.
async fn repeat_create(request: &CreateRequest<'_>, target: &MeetingOnServer) -> ExistingOutcome {
    let asks = AtomicUsize::new(0);
    // Until its first create has ended, the meeting may be of any time since it was placed.
    let is_claimed = target.meeting.claim.is_some();
    let asked_at = if is_claimed { target.meeting.placed_at } else { request.app.clock.now() };
    let ask = || match asks.fetch_add(1, Ordering::Relaxed) {
        before if before + 1 < MAX_ASKS => send_create(request, target, SendMode::Repeated),
        _ => Some(create_reply_from_info(request, target)),
    };
    ExistingOutcome::Answered(match ask_until_answered(request, target, ask).await {
        RetryOutcome::Answered(reply) => {
            record_reply(request, target, reply, asks.into_inner(), asked_at).await
        }
        RetryOutcome::Failed(error) => forward_reply(Err(error), NO_RESPONSE_MESSAGE),
        RetryOutcome::Offline => return ExistingOutcome::NeedsPlace,
        RetryOutcome::Moved { elsewhere } => {
            let now = request.app.clock.now();
            let unwanted =
                elsewhere.then(|| PendingEnd::of_unnamed(&target.meeting, asked_at, now));
            return ExistingOutcome::Moved(unwanted);
        }
    })
}

/// Confirms the meeting if its server started it anew, now or when an earlier call got no answer: a poll that asked before
/// must not forget it, and no pending end must apply to it.
async fn record_reply(
    request: &CreateRequest<'_>,
    target: &MeetingOnServer,
    mut reply: BbbReply,
    asks: usize,
    asked_at: Timestamp,
) -> Result<Bytes, ApiError> {
    let app = request.app;
    let is_claimed = target.meeting.claim.is_some();
    if is_claimed {
        // The first create has not ended, so it is not known yet whose meeting is there.
        match check_tenant(request, target, Ok(reply)).await {
            Ok(checked) => reply = checked,
            Err(error) => return forward_reply(Err(error), NO_RESPONSE_MESSAGE),
        }
    }
    let is_new = asks > 1 || reply.response.message_key != ALREADY_EXISTS;
    if reply.response.success && (is_new || is_claimed) {
        let asked_before = (asks > 1 || is_claimed).then_some(asked_at);
        let origin = origin_of_reply(app, &reply, asked_before);
        let meeting = Meeting { origin, ..target.meeting.clone() };
        let kept = seal_create(request, &meeting.origin, &reply);
        app.pool.confirm_meeting(&meeting, app.clock.now(), &[], kept.as_ref()).await?;
    }
    forward_reply(Ok(reply), NO_RESPONSE_MESSAGE)
}
