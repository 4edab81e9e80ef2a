//! `end`: the server ends the meeting, then the balancer forgets it. If the server does not respond
//! or refuses, the meeting stays recorded, so that a retry can succeed.

use bbb::Query;
use bytes::Bytes;
use domain::Timestamp;
use domain::poll::PendingEnd;

use crate::backend::meeting_query;
use crate::context::App;
use crate::end_callbacks;
use crate::meeting_owner::{MeetingOwner, find_owner};
use crate::ports::MeetingOnServer;
use crate::sessions;
use crate::tenancy::Caller;

use super::errors::ApiError;
use super::request::{MEETING_UNREACHABLE, RequestLog, forward_reply, is_own_meeting, meeting_key};

/// How often [`forget_ended_meeting`] is tried again when the meeting was confirmed meanwhile.
const MAX_FORGET_ATTEMPTS: usize = 3;

/// Ends a meeting.
///
/// # Errors
/// When the meeting is unknown, or the server refuses the call or does not respond.
pub async fn end(
    app: &App,
    caller: &Caller,
    query: &Query,
    log: &mut RequestLog,
) -> Result<Bytes, ApiError> {
    let key = meeting_key(caller, query, log)?;
    let mut recorded = app.pool.find_meeting(&key).await?.ok_or(ApiError::NotFound)?;
    log.name_server(app, &recorded.server);
    if recorded.is_detached_or_offline() {
        // A pending end is recorded: if the server comes back with the meeting, the meeting is
        // ended there.
        if forget_ended_meeting(app, &recorded, false).await? {
            return Err(ApiError::NotFound);
        }
        // The server has come back with the meeting meanwhile.
        recorded = app.pool.find_meeting(&key).await?.ok_or(ApiError::NotFound)?;
    }
    end_on_server(app, &recorded, &query.get("password").unwrap_or_default()).await
}

/// Forgets a meeting that was ended, and records a pending end, so that polls end the meeting if
/// its server still reports it.
///
/// If the server has confirmed the meeting since it was read, a create may have started it again:
/// if the server has a meeting, that stays recorded, and the result is false. `has_ended` says that the
/// server has ended the one that was read, so that only another one counts.
pub(crate) async fn forget_ended_meeting(
    app: &App,
    ended: &MeetingOnServer,
    has_ended: bool,
) -> Result<bool, ApiError> {
    let since = app.clock.now();
    let mut recorded = ended.clone();
    for _ in 0..MAX_FORGET_ATTEMPTS {
        let MeetingOnServer { meeting, server } = &recorded;
        // Whatever has this id there when it is ended is meant, whenever it was created.
        let pending_end = PendingEnd::of_unnamed(meeting, Timestamp::default(), since);
        let seen_at = Some(meeting.seen_at);
        if app.pool.forget_meeting(&meeting.key, &server.id, seen_at, Some(&pending_end)).await? {
            sessions::record_ended_meeting(app, meeting, Some(since)).await;
            end_callbacks::suspect_ends(app, std::slice::from_ref(&meeting.key)).await;
            return Ok(true);
        }
        let current = app.pool.find_meeting(&meeting.key).await?;
        let Some(current) = current.filter(|current| current.server.id == server.id) else {
            return Ok(true);
        };
        if has_ended && current.meeting.origin.is_same_meeting(meeting.origin.identity.as_ref()) {
            // What has confirmed it meanwhile, such as a poll, was told of it before it ended.
            recorded = current;
            continue;
        }
        let query = meeting_query(&meeting.key.id);
        let reply = app.call_server_briefly(&current.server, "getMeetingInfo", &query).await;
        // If the server does not respond, polls decide later.
        if reply.map_or(true, |reply| reply.response.success) {
            return Ok(false);
        }
        recorded = current;
    }
    Ok(true)
}

/// Ends a meeting on its server, and forgets it if the server has ended it or does not have it. While its create is under way, the
/// server may have another tenant's meeting of that id, which is left alone.
pub(crate) async fn end_on_server(
    app: &App,
    recorded: &MeetingOnServer,
    password: &str,
) -> Result<Bytes, ApiError> {
    if !is_own_meeting(&recorded.meeting) {
        let owner = find_owner(app, recorded).await;
        let owner = owner.map_err(|error| ApiError::Unanswered(MEETING_UNREACHABLE, error))?;
        if owner == MeetingOwner::Another {
            // What the create under way may still make is ended by polls.
            forget_ended_meeting(app, recorded, false).await?;
            return Err(ApiError::NotFound);
        }
    }
    let mut query = meeting_query(&recorded.meeting.key.id);
    // The password is always sent, as the original does: old servers refuse a call without it.
    query.set("password", password);
    let reply = app.call_server(&recorded.server, "end", &query, None).await;
    let result = forward_reply(reply, MEETING_UNREACHABLE);
    let has_ended = match &result {
        Ok(_) => true,
        Err(error) => matches!(error, ApiError::Backend(key, _) if key == "notFound"),
    };
    if has_ended {
        forget_ended_meeting(app, recorded, true).await?;
    }
    result
}

#[cfg(test)]
mod tests {
    use bbb::response::build_success;
    use domain::{Claim, Meeting, MeetingIdentity, MeetingOrigin};

    use super::*;
    use crate::test_app::{START, replace_record, test_app_with_changes, test_meeting};

    /// A poll that was sent before the end confirms the meeting while the server ends it, and then the server is silent.
    /// Returns whether the meeting is still recorded.
    async fn is_recorded_after_late_poll(polled_id: &'static str) -> bool {
        let meeting = |internal_id: &str| {
            let identity = MeetingIdentity::from_parts(Some(internal_id.to_owned()), START);
            let origin = MeetingOrigin::proven(identity);
            Meeting { origin, ..test_meeting(None, "m", "a") }
        };
        let (app, _) = test_app_with_changes(&["a"], move |app, (_, call, _)| {
            if call != "end" {
                return None;
            }
            let confirmed = Meeting { seen_at: START.plus_ms(5), ..meeting(polled_id) };
            replace_record(app, "a", &confirmed);
            Some((build_success(&[]), 10))
        })
        .await;
        assert!(app.pool.restore_meeting(&meeting("i")).await.unwrap());
        let recorded = app.pool.find_meeting(&meeting("i").key).await.unwrap().unwrap();
        end_on_server(&app, &recorded, "").await.unwrap();
        app.pool.find_meeting(&recorded.meeting.key).await.unwrap().is_some()
    }

    #[tokio::test(start_paused = true)]
    async fn a_poll_that_comes_late_does_not_keep_an_ended_meeting() {
        assert!(!is_recorded_after_late_poll("i").await);
        assert!(is_recorded_after_late_poll("j").await, "a create may have made another one");
    }

    /// Ends the meeting of a tenant whose create is under way, on a server that has one of this owner.
    async fn end_claimed(owner: &'static str) -> (bool, Vec<String>) {
        let (app, servers) = test_app_with_changes(&["a"], move |_, _| {
            let metadata =
                format!("<metadata><tenant-id>{owner}</tenant-id></metadata></response>");
            Some((build_success(&[]).replace("</response>", &metadata), 10))
        })
        .await;
        let claim = Claim { token: "t".to_owned(), until: START.plus_ms(30_000) };
        let meeting = Meeting { claim: Some(claim), ..test_meeting(Some("t"), "m", "a") };
        assert!(app.pool.restore_meeting(&meeting).await.unwrap());
        let recorded = app.pool.find_meeting(&meeting.key).await.unwrap().unwrap();
        let is_ended = end_on_server(&app, &recorded, "").await.is_ok();
        assert_eq!(app.pool.find_meeting(&meeting.key).await.unwrap(), None);
        assert_eq!(app.pool.list_pending_ends().await.unwrap().len(), 1);
        (is_ended, servers.calls())
    }

    #[tokio::test(start_paused = true)]
    async fn the_meeting_of_another_tenant_is_left_running_while_a_create_is_under_way() {
        let (is_ended, calls) = end_claimed("t").await;
        assert!(is_ended);
        assert_eq!(calls, ["a getMeetingInfo", "a end"]);
        let (is_ended, calls) = end_claimed("other").await;
        assert!(!is_ended);
        assert_eq!(calls, ["a getMeetingInfo"]);
    }
}
