//! Makes a meeting anew whose server is offline, by the same steps as a create of a front-end.

use bytes::Bytes;
use domain::poll::PendingEnd;
use domain::{Meeting, MeetingKey, Server, ServerId};
use futures_util::StreamExt as _;
use futures_util::stream;

use crate::api::ApiError;
use crate::backend::end_query;
use crate::callbacks;
use crate::context::App;
use crate::forecaster;
use crate::kept_create::CreateParameters;
use crate::ports::{BackendBody, KeptCreate, MeetingOnServer, PlaceOutcome, StoreError};
use crate::tenancy::Caller;

use super::failover;
use super::place::{self, ClaimGuard};
use super::request::{CreateRequest, RevivedMeeting};

/// What came of it.
pub(crate) enum Recreated {
    /// The meeting is on this server now.
    Made(ServerId),
    /// It is recorded elsewhere by now, or its server is back.
    Elsewhere,
    /// It was ended or forgotten meanwhile.
    Ended,
    /// No server has made it.
    Failed(ApiError),
}

/// Makes a meeting anew on another server, if its record is still the one that is given.
pub(crate) async fn recreate_meeting(
    app: &App,
    caller: &Caller,
    offline: &MeetingOnServer,
    kept: &KeptCreate,
    parameters: CreateParameters,
) -> Recreated {
    let record = &offline.meeting;
    let former_create_times = record
        .origin
        .identity
        .as_ref()
        .map_or_else(Vec::new, |identity| parameters.create_times_with(identity.created_at));
    let CreateParameters { query, body, .. } = parameters;
    let body = body.map(to_backend_body);
    let mut request = CreateRequest::new(app, caller, record.key.clone(), &query, body).await;
    let internal_id = kept.internal_id.as_str();
    request.revived = Some(RevivedMeeting { record, internal_id, former_create_times });
    let mut place_request = place::build_place_request(&request);
    let mut guard = ClaimGuard::new(app, &place_request);
    let placed = place::find_place(&request, &place_request).await;
    guard.set_armed(matches!(placed, Ok(PlaceOutcome::Claimed(_))));
    let target = match placed {
        Ok(PlaceOutcome::Claimed(target)) => target,
        Ok(PlaceOutcome::Existing(_)) => return Recreated::Elsewhere,
        Ok(PlaceOutcome::NothingToReplace) => return Recreated::Ended,
        Ok(PlaceOutcome::Refused(refusal)) => {
            return Recreated::Failed(ApiError::NoServer(refusal));
        }
        Ok(PlaceOutcome::NoVoiceBridge) => return Recreated::Failed(ApiError::NoVoiceBridge),
        Err(error) => return Recreated::Failed(error),
    };
    forecaster::record_placement(app, &target);
    let previous = vec![record.server.clone()];
    let outcome = failover::create_new(&request, &mut place_request, target, previous).await;
    guard.set_armed(false);
    match (outcome.result, outcome.server) {
        (Ok(_), Some(server)) => {
            if query.contains(callbacks::ANALYTICS_URL_PARAMETER) {
                callbacks::set_meeting_server(app, &record.key, &server).await;
            }
            Recreated::Made(server)
        }
        (Ok(_), None) => Recreated::Elsewhere,
        (Err(ApiError::NotFound), _) => Recreated::Ended,
        (Err(error), _) => {
            restore_record(app, record, kept).await;
            Recreated::Failed(error)
        }
    }
}

fn to_backend_body((content_type, bytes): (String, Bytes)) -> BackendBody {
    let length = u64::try_from(bytes.len()).ok();
    let stream = stream::once(async move { Ok(bytes) }).boxed();
    BackendBody { content_type, length, stream }
}

/// Writes the record of the meeting again as it was before a revival that has failed: the next join tries
/// again, and the server may come back with the meeting. Not if somebody has ended it meanwhile.
async fn restore_record(app: &App, record: &Meeting, kept: &KeptCreate) {
    let restored = async {
        let detached = Meeting { detached: true, ..record.clone() };
        if is_end_requested(app, &record.key).await? || !app.pool.restore_meeting(&detached).await?
        {
            return Ok(false);
        }
        // An end that came in between has found no record.
        if is_end_requested(app, &record.key).await? {
            let seen_at = Some(record.seen_at);
            app.pool.forget_meeting(&record.key, &record.server, seen_at, None).await?;
            return Ok(false);
        }
        app.kept_creates.keep_create(&record.key, kept).await
    };
    let restored: Result<bool, StoreError> = restored.await;
    if let Err(error) = restored {
        tracing::warn!(meeting = record.key.id, %error, "record of a meeting not restored");
    }
}

/// Whether somebody has ended the meeting of a revival meanwhile: its record is gone, and an end was requested. A record that is
/// gone without a request was lost with the store or with the entry of its server, and the meeting is wanted.
pub(super) async fn was_ended(request: &CreateRequest<'_>) -> bool {
    // If the store does not say, the meeting is confirmed like any other.
    let pool = &request.app.pool;
    if !matches!(pool.find_meeting(&request.key).await, Ok(None)) {
        return false;
    }
    is_end_requested(request.app, &request.key).await.unwrap_or(false)
}

/// Whether somebody has ended a meeting, and that is not done everywhere yet.
async fn is_end_requested(app: &App, key: &MeetingKey) -> Result<bool, StoreError> {
    let ends = app.pool.list_pending_ends().await?;
    Ok(ends.iter().any(|end| end.key == *key && end.is_requested()))
}

/// Ends a meeting that was made for a revival and is not wanted any more, there and wherever a server may
/// have made it.
pub(super) async fn end_unwanted(
    request: &CreateRequest<'_>,
    server: &Server,
    meeting: &Meeting,
    ends: &[PendingEnd],
) {
    let (app, host) = (request.app, server.hostname());
    forecaster::record_end(app, &request.key);
    for end in ends {
        if let Err(error) = app.pool.forget_meeting(&end.key, &end.server, None, Some(end)).await {
            let (host, id) = (app.known_hosts.find(&end.server), &meeting.key.id);
            let host = host.as_deref();
            tracing::warn!(server = %end.server, host, meeting = id, %error, "end not recorded");
        }
    }
    // If it fails, a poll ends the meeting.
    let ended = app.call_server_briefly(server, "end", &end_query(meeting)).await;
    let ended = ended.is_ok_and(|reply| reply.response.success);
    tracing::info!(server = %server.id, host, meeting = meeting.key.id, ended, "meeting was ended during its revival");
}

#[cfg(test)]
mod tests {
    use bbb::Query;
    use bbb::response::build_success;
    use domain::{MeetingIdentity, MeetingOrigin, Timestamp};
    use futures_util::FutureExt as _;

    use super::*;
    use crate::test_app::{START, test_app_with_changes, test_meeting, test_server};

    /// Makes a meeting of the offline server `a` anew on `b`, while its record disappears with or without a request.
    async fn recreate_forgotten(is_requested: bool) -> (bool, bool, bool) {
        let (app, servers) = test_app_with_changes(&["b"], move |app, (_, call, _)| {
            if call == "create" {
                let record = test_meeting(None, "m", "b");
                let end = PendingEnd::of_unnamed(&record, Timestamp::default(), START);
                let end = Some(&end).filter(|_| is_requested);
                let forgotten =
                    app.pool.forget_meeting(&record.key, &record.server, None, end).now_or_never();
                assert!(matches!(forgotten, Some(Ok(true))));
            }
            let fields = [("internalMeetingID", "anew"), ("createTime", "1800000000005")];
            Some((build_success(&fields), 10))
        })
        .await;
        let mut offline = test_server("a");
        offline.health.online = false;
        assert!(app.pool.add_server(offline.clone()).await.unwrap());
        let mut meeting = test_meeting(None, "m", "a");
        meeting.detached = true;
        let identity = MeetingIdentity::from_parts(Some("old".to_owned()), START);
        meeting.origin = MeetingOrigin::proven(identity);
        assert!(app.pool.restore_meeting(&meeting).await.unwrap());
        let parameters =
            CreateParameters::of_create(Query::default(), None, &bbb::Response::default(), &[])
                .unwrap();
        let kept = parameters.seal(&app, &meeting.key, "old").unwrap();
        assert!(app.kept_creates.keep_create(&meeting.key, &kept).await.unwrap());
        let recorded = MeetingOnServer { meeting: meeting.clone(), server: offline };
        let caller = Caller::default();
        let outcome = recreate_meeting(&app, &caller, &recorded, &kept, parameters).await;
        let is_recorded = app.pool.find_meeting(&meeting.key).await.unwrap().is_some();
        let is_ended = servers.calls().iter().any(|call| call == "b end");
        (matches!(outcome, Recreated::Made(_)), is_recorded, is_ended)
    }

    #[tokio::test(start_paused = true)]
    async fn a_revived_meeting_is_ended_only_if_somebody_ended_it_meanwhile() {
        assert_eq!(recreate_forgotten(true).await, (false, false, true));
        assert_eq!(recreate_forgotten(false).await, (true, true, false), "the store lost it");
    }
}
