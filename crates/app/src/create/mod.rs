//! Creating a meeting.
//!
//! The modules, in the order in which a create enters them:
//!
//! 1. [`request`]: the create as it came in, and what all attempts of it need.
//! 2. [`place`]: the store finds the meeting, or claims a place for a new one.
//! 3. [`failover`]: a new meeting. Its server is asked, and the next best ones if that fails; [`attempts`] holds what is
//!    known of each server that was asked, [`late_replies`] ends what a server creates too late.
//! 4. [`existing`]: a meeting that has a server. That server is asked again ([`retry`]), unless it gets no new meetings and
//!    no longer has this one ([`leaving_server`]).
//!
//! [`recreate`] makes a meeting of a dead server anew by the same steps, from what [`keep`] has kept of its create.
//!
//! Both ways send the create by [`send`] and seek evidence that a silent server is dead ([`liveness`]), believe no reply about another tenant's meeting ([`tenant_check`]), and make a
//! reply from getMeetingInfo ([`info_reply`]) where a server has the meeting and does not answer creates.

mod attempts;
mod existing;
mod failover;
mod info_reply;
mod keep;
mod late_replies;
mod leaving_server;
mod liveness;
mod place;
mod recreate;
mod reply_origin;
mod request;
mod retry;
mod send;
mod tenant_check;

use bbb::Query;
use bytes::Bytes;
use domain::{MeetingKey, ServerId};

use crate::api::{ApiError, RequestLog, meeting_key};
use crate::callbacks::{self, CreateOrigin};
use crate::context::App;
use crate::end_callbacks;
use crate::forecaster;
use crate::ports::{BackendBody, PlaceOutcome};
use crate::tenancy::Caller;

use existing::ExistingOutcome;
use place::ClaimGuard;
pub(crate) use recreate::{Recreated, recreate_meeting};
use request::CreateRequest;

/// How often a known meeting may turn out to be gone within one create.
const MAX_PLACEMENTS: usize = 3;

/// How a create ended.
struct CreateOutcome {
    /// The server that was asked last, or that has the meeting.
    server: Option<ServerId>,
    /// What the front-end gets.
    result: Result<Bytes, ApiError>,
}

/// Creates a meeting, or hands a repeated create to the meeting's server. The callback addresses in the query are kept by the
/// balancer. Returns the answer and the request's log record.
///
/// # Errors
/// When no server can take the meeting, or servers refuse or cannot be asked.
pub async fn create(
    app: &App,
    caller: &Caller,
    origin: CreateOrigin<'_>,
    mut query: Query,
    body: Option<BackendBody>,
) -> (Result<Bytes, ApiError>, RequestLog) {
    let mut log = RequestLog::for_caller(caller);
    let reports = callbacks::extract_callbacks(app, caller, origin, &mut query).await;
    let key = match meeting_key(caller, &query, &mut log) {
        Ok(key) => key,
        Err(error) => return (Err(error), log),
    };
    let has_body = body.is_some();
    let kept =
        end_callbacks::take_over_end_callbacks(app, caller, &key, has_body, &mut query).await;
    let outcome = create_meeting(app, caller, key.clone(), &query, body).await;
    log.host = outcome.server.as_ref().and_then(|server| app.known_hosts.find(server));
    log.server = outcome.server;
    let answer = outcome.result.as_ref().ok().zip(log.server.as_ref());
    let answer = answer.map(|(reply, server)| (server, &reply[..]));
    end_callbacks::close_create(app, &kept, answer).await;
    if let (true, true, Some(server)) = (reports, outcome.result.is_ok(), &log.server) {
        callbacks::set_meeting_server(app, &key, server).await;
    }
    (outcome.result, log)
}

async fn create_meeting(
    app: &App,
    caller: &Caller,
    key: MeetingKey,
    query: &Query,
    body: Option<BackendBody>,
) -> CreateOutcome {
    let request = CreateRequest::new(app, caller, key, query, body).await;
    let mut place_request = place::build_place_request(&request);
    // Set up before the meeting is placed: the client may hang up, or the store's answer be lost, in between.
    let mut guard = ClaimGuard::new(app, &place_request);
    let mut previous_servers: Vec<ServerId> = Vec::new();
    for _ in 0..MAX_PLACEMENTS {
        let placed = place::find_place(&request, &place_request).await;
        guard.set_armed(matches!(placed, Ok(PlaceOutcome::Claimed(_))));
        let error = match placed {
            Ok(PlaceOutcome::Claimed(meeting)) => {
                forecaster::record_placement(app, &meeting);
                let outcome =
                    failover::create_new(&request, &mut place_request, meeting, previous_servers)
                        .await;
                // The claim was confirmed or released with the attempts.
                guard.set_armed(false);
                return outcome;
            }
            Ok(PlaceOutcome::Existing(meeting)) => {
                previous_servers.push(meeting.server.id.clone());
                match existing::create_existing(&request, &meeting).await {
                    ExistingOutcome::Answered(result) => {
                        return CreateOutcome { server: Some(meeting.server.id), result };
                    }
                    ExistingOutcome::NeedsPlace => continue,
                    ExistingOutcome::Moved(unwanted) => {
                        previous_servers.pop();
                        place_request.pending_ends.extend(unwanted);
                        continue;
                    }
                }
            }
            Ok(PlaceOutcome::Refused(refusal)) => ApiError::NoServer(refusal),
            Ok(PlaceOutcome::NoVoiceBridge) => ApiError::NoVoiceBridge,
            Ok(PlaceOutcome::NothingToReplace) => ApiError::NotFound,
            Err(error) => error,
        };
        return CreateOutcome { server: previous_servers.pop(), result: Err(error) };
    }
    CreateOutcome { server: previous_servers.pop(), result: Err(ApiError::Timeout) }
}
