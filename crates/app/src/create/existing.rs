//! A create of a meeting that has a server: that server is asked again. If it is offline, or no longer has the meeting and gets
//! no new ones, the meeting needs another place.

use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use domain::poll::PendingEnd;
use domain::{Meeting, Timestamp};

use crate::api::{ApiError, forward_reply};
use crate::backend::{BackendError, BbbReply};
use crate::meeting_owner::MeetingOwner;
use crate::ports::MeetingOnServer;

use super::info_reply::create_reply_from_info;
use super::keep::seal_create;
use super::leaving_server::{ServerCheck, check_server};
use super::reply_origin::origin_of_reply;
use super::request::CreateRequest;
use super::retry::{MAX_ASKS, RetryOutcome, ask_until_answered};
use super::send::{ALREADY_EXISTS, NO_RESPONSE_MESSAGE, SendMode, send_create};
use super::tenant_check::{find_owner, tells_of_earlier_meeting};

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
    match ask_until_answered(request, target, ask).await {
        RetryOutcome::Answered(reply) => {
            settle(request, target, reply, asks.into_inner(), asked_at).await
        }
        RetryOutcome::Failed(error) => {
            ExistingOutcome::Answered(forward_reply(Err(error), NO_RESPONSE_MESSAGE))
        }
        RetryOutcome::Offline => ExistingOutcome::NeedsPlace,
        RetryOutcome::Moved { elsewhere } => {
            let now = request.app.clock.now();
            let unwanted =
                elsewhere.then(|| PendingEnd::of_unnamed(&target.meeting, asked_at, now));
            ExistingOutcome::Moved(unwanted)
        }
    }
}

/// Hands the reply on, unless it is about another tenant's meeting: servers know no tenants. Then that has taken the place of the
/// recorded one, and the meeting is placed anew; while its first create is under way, that finds a place.
async fn settle(
    request: &CreateRequest<'_>,
    target: &MeetingOnServer,
    reply: BbbReply,
    asks: usize,
    asked_at: Timestamp,
) -> ExistingOutcome {
    let meeting = &target.meeting;
    let is_other = meeting.origin.is_other_meeting(reply.identity().as_ref());
    let may_be_others = tells_of_earlier_meeting(&reply) && (meeting.claim.is_some() || is_other);
    let owner = match may_be_others {
        true => find_owner(request, target).await,
        false => Some(MeetingOwner::Tenant),
    };
    ExistingOutcome::Answered(match owner {
        Some(MeetingOwner::Tenant) => record_reply(request, target, reply, asks, asked_at).await,
        // What the reply was about, or the recorded meeting, is over.
        Some(_) if meeting.claim.is_none() => return forget(request, target).await,
        _ => forward_reply(Err(BackendError::Occupied), NO_RESPONSE_MESSAGE),
    })
}

/// Confirms the meeting if its server started it anew, now or when an earlier call got no answer: an end or a poll that asked before
/// must not forget it, and no pending end must apply to it.
async fn record_reply(
    request: &CreateRequest<'_>,
    target: &MeetingOnServer,
    reply: BbbReply,
    asks: usize,
    asked_at: Timestamp,
) -> Result<Bytes, ApiError> {
    let app = request.app;
    let is_claimed = target.meeting.claim.is_some();
    // Another create, which has got no answer yet, may have started it anew.
    let is_other = target.meeting.origin.is_other_meeting(reply.identity().as_ref());
    let is_new = asks > 1 || reply.response.message_key != ALREADY_EXISTS || is_other;
    if reply.response.success && (is_new || is_claimed) {
        let asked_before = (asks > 1 || is_claimed).then_some(asked_at);
        let origin = origin_of_reply(app, &reply, asked_before);
        let meeting = Meeting { origin, ..target.meeting.clone() };
        let kept = seal_create(request, &meeting.origin, &reply);
        app.pool.confirm_meeting(&meeting, app.clock.now(), &[], kept.as_ref()).await?;
    }
    forward_reply(Ok(reply), NO_RESPONSE_MESSAGE)
}

#[cfg(test)]
mod tests {
    use bbb::Query;
    use bbb::response::build_success;
    use domain::tenant::Lrs;
    use domain::{MeetingIdentity, MeetingOrigin, Tenant};

    use super::*;
    use crate::test_app::{START, test_app, test_meeting, test_server};

    /// Creates the recorded meeting of a tenant again, whose server answers with a meeting of this identity and owner.
    async fn create_again(
        internal_id: &'static str,
        owner: &'static str,
    ) -> (ExistingOutcome, Option<MeetingOnServer>) {
        let (app, _) = test_app(&["a"], move |(_, call, _)| {
            let fields = [
                ("internalMeetingID", internal_id),
                ("createTime", "1800000000005"),
                ("messageKey", ALREADY_EXISTS),
            ];
            let metadata =
                format!("<metadata><tenant-id>{owner}</tenant-id></metadata></response>");
            let body = build_success(&fields);
            let info = body.replace("</response>", &metadata);
            Some((if call == "getMeetingInfo" { info } else { body }, 10))
        })
        .await;
        let tenant = Tenant {
            id: "t".to_owned(),
            name: "t".to_owned(),
            secrets: "s".to_owned(),
            lrs: Lrs::default(),
        };
        assert!(app.tenants.add_tenant(tenant).await.unwrap());
        let caller = app.tenant_cache.find_caller("t").await.unwrap().unwrap();
        let mut meeting = test_meeting(Some("t"), "m", "a");
        let identity = MeetingIdentity::from_parts(Some("known".to_owned()), START);
        meeting.origin = MeetingOrigin::proven(identity);
        assert!(app.pool.restore_meeting(&meeting).await.unwrap());
        let query = Query::default();
        let request = CreateRequest::new(&app, &caller, meeting.key.clone(), &query, None).await;
        let target = MeetingOnServer { meeting: meeting.clone(), server: test_server("a") };
        let outcome = create_existing(&request, &target).await;
        (outcome, app.pool.find_meeting(&meeting.key).await.unwrap())
    }

    #[tokio::test(start_paused = true)]
    async fn a_tenant_does_not_get_the_meeting_of_another_one_that_has_replaced_its_own() {
        let (replaced, recorded) = create_again("another", "other").await;
        assert!(matches!(replaced, ExistingOutcome::NeedsPlace));
        assert_eq!(recorded, None);
        for (internal_id, owner) in [("another", "t"), ("known", "other")] {
            let (outcome, recorded) = create_again(internal_id, owner).await;
            assert!(matches!(outcome, ExistingOutcome::Answered(Ok(_))), "{internal_id} {owner}");
            let identity = recorded.unwrap().meeting.origin.identity.unwrap();
            assert_eq!(identity.internal_id, internal_id, "what the server has is recorded");
        }
    }
}
