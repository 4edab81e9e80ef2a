//! Makes a meeting anew whose server is offline, by the same steps as a create of a front-end.

use bytes::Bytes;
use domain::poll::PendingEnd;
use domain::{Meeting, Server, ServerId};
use futures_util::StreamExt as _;
use futures_util::stream;

use crate::api::ApiError;
use crate::backend::end_query;
use crate::callbacks;
use crate::context::App;
use crate::forecaster;
use crate::kept_create::CreateParameters;
use crate::ports::{BackendBody, KeptCreate, MeetingOnServer, PlaceOutcome};
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
        let ends = app.pool.list_pending_ends().await?;
        if ends.iter().any(|end| end.key == record.key && end.is_requested()) {
            return Ok(false);
        }
        let detached = Meeting { detached: true, ..record.clone() };
        Ok(app.pool.restore_meeting(&detached).await?
            && app.kept_creates.keep_create(&record.key, kept).await?)
    };
    let restored: Result<bool, crate::ports::StoreError> = restored.await;
    if let Err(error) = restored {
        tracing::warn!(meeting = record.key.id, %error, "record of a meeting not restored");
    }
}

/// Whether the meeting of a revival is still recorded: an end that came meanwhile has deleted the record.
pub(super) async fn is_recorded(request: &CreateRequest<'_>) -> bool {
    // If the store does not say, the meeting is confirmed like any other.
    request.app.pool.find_meeting(&request.key).await.map_or(true, |found| found.is_some())
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
