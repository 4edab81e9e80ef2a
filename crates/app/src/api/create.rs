//! `create`: a known meeting goes to its server again; a new one gets a place, atomically, before
//! its server is asked, and the next best place if that server does not answer. A place that did
//! not become a meeting is lost without a trace.

use std::time::Duration;

use bbb::Query;
use bytes::Bytes;
use domain::forecast::NewMeeting;
use domain::parameters::{SERVER_TAG, effective_tag};
use domain::placement::{PlacementCriteria, TagRequest, meeting_seed};
use domain::voice_bridge::generate_candidates;
use domain::{Claim, MeetingKey, Timestamp};
use tokio::time::Instant;

use crate::callbacks::{self, CreateOrigin};
use crate::context::App;
use crate::forecaster;
use crate::ports::{BackendBody, MeetingOnServer, PlaceOutcome, PlaceRequest};
use crate::replayable_body::ReplayableBody;
use crate::tenancy::Caller;

use super::asking::Call;
use super::attempts;
use super::closed;
use super::errors::ApiError;
use super::lrs;
use super::repeat;
use super::request::{RequestLog, meeting_key};

/// How often a create looks whether another one for the same meeting has ended.
const RECHECK: Duration = Duration::from_millis(20);
/// How long a create waits for another one of the same meeting before it goes on as if that one
/// had succeeded. Above the time of a healthy server, below a client's patience.
const WAIT_MAX: Duration = Duration::from_secs(3);
/// How often a meeting may turn out to be stale within one create.
const ROUNDS: usize = 3;
/// A claim stands a little longer than its create may take, in ms.
const CLAIM_MS_MORE: u64 = 3_000;
/// What front-ends announce the number of users with.
const SIZE_HINT: &str = "meta_bbb-meeting-size-hint";
/// No meeting is larger, whatever is announced.
const SIZE_MAX: u32 = 10_000;

/// Creates a meeting, or hands a repeated create to the meeting's server. What it says of callbacks is kept.
///
/// # Errors
/// When there is no server for it, or servers refuse or cannot be asked.
pub async fn create(
    app: &App,
    caller: &Caller,
    asked: CreateOrigin<'_>,
    mut query: Query,
    body: Option<BackendBody>,
    trail: &mut RequestLog,
) -> Result<Bytes, ApiError> {
    let reports = callbacks::extract_callbacks(app, caller, asked, &mut query).await;
    let created = send(app, caller, query, body, trail).await;
    if let (true, true, Some(id), Some(server)) =
        (reports, created.is_ok(), &trail.meeting, &trail.server)
    {
        callbacks::set_meeting_server(app, &caller.meeting_key(id.clone()), server).await;
    }
    created
}

async fn send(
    app: &App,
    caller: &Caller,
    query: Query,
    body: Option<BackendBody>,
    trail: &mut RequestLog,
) -> Result<Bytes, ApiError> {
    let deadline = Instant::now() + Duration::from_millis(busy_ms(app, body.is_some()));
    let key = meeting_key(caller, &query, trail)?;
    // Before there is a claim, which runs out.
    let access = lrs::find_lrs_access(app, caller.tenant()).await;
    let mut request = place_request(app, caller, key, &query, body.is_some());
    let body = body.map(ReplayableBody::new);
    let call = Call { app, caller, query: &query, body: body.as_ref(), access, deadline };
    // Before there is a place: a client may hang up, or the store's answer be lost, in between.
    let mut guard = ClaimGuard {
        app,
        key: request.key.clone(),
        token: request.claim.token.clone(),
        armed: true,
    };
    let mut homes = Vec::new();
    for _ in 0..ROUNDS {
        let placed = find_place(app, &request, deadline).await?;
        guard.armed = matches!(placed, PlaceOutcome::Claimed(_));
        match placed {
            PlaceOutcome::Claimed(located) => {
                forecaster::record_placement(app, &located);
                let result = attempts::first(&call, &mut request, located, homes, trail).await;
                // Confirmed or released, with everything that was tried.
                guard.armed = false;
                return result;
            }
            PlaceOutcome::Existing(located) => {
                trail.server = Some(located.server.id.clone());
                homes.push(located.server.id.clone());
                // If its server is gone, or the meeting, it gets a new place.
                if let Some(result) = known(&call, &located).await {
                    return result;
                }
            }
            PlaceOutcome::Refused(refusal) => return Err(ApiError::NoServer(refusal)),
            PlaceOutcome::NoVoiceBridge => return Err(ApiError::NoVoiceBridge),
        }
    }
    Err(ApiError::Timeout)
}

/// How long a create may be under way, in ms.
fn busy_ms(app: &App, has_body: bool) -> u64 {
    let without = app.policy.max_create_ms();
    let with = u64::try_from(app.policy.max_upload_ms).unwrap_or(0);
    if has_body { with.max(without) } else { without }
}

/// Everything that placing needs; pure but for the password and the token that it may need.
fn place_request(
    app: &App,
    caller: &Caller,
    key: MeetingKey,
    query: &Query,
    has_body: bool,
) -> PlaceRequest {
    let policy = &app.policy;
    let now = app.clock.now();
    let requested_tag = query.get(SERVER_TAG);
    let rules = caller.create_rules(policy);
    let tags = effective_tag(requested_tag.as_deref(), rules).unwrap_or_default();
    let password = query.get("moderatorPW").filter(|password| !password.is_empty());
    let claim_ms = busy_ms(app, has_body).saturating_add(CLAIM_MS_MORE);
    let until = now.plus_ms(i64::try_from(claim_ms).unwrap_or(i64::MAX));
    let number = |name: &str| {
        let number = query.get(name).and_then(|text| text.trim().parse::<u32>().ok());
        number.filter(|number| (1..=SIZE_MAX).contains(number))
    };
    let known_as = policy.history_key(&key);
    let newcomer = NewMeeting {
        key: &known_as,
        size_hint: number(SIZE_HINT),
        max_users: number("maxParticipants"),
    };
    let load = policy.poll.load;
    let forecast = forecaster::forecast_new_meeting(app, &newcomer, now);
    PlaceRequest {
        criteria: PlacementCriteria {
            tags: TagRequest::parse(tags),
            expected_users: forecast.expected_users,
            source: forecast.source,
            seed: meeting_seed(&key.id),
            now,
            tried_servers: Vec::new(),
            same_id_servers: Vec::new(),
            rules: policy.placement,
            costs: forecast.costs,
        },
        voice_bridges: generate_candidates(
            policy.voice_bridge,
            &key.id,
            query.get("voiceBridge").as_deref(),
        ),
        moderator_pw: Some(password.map_or_else(|| app.entropy.generate_password(), Into::into)),
        claim: Claim { token: app.entropy.generate_uuid(), until },
        load: load.meeting_load(now, forecast.expected_users, 0),
        now,
        pending_ends: Vec::new(),
        key,
    }
}

/// A create of a meeting that has a place: its server's answer; nothing if it needs a new one.
async fn known(call: &Call<'_>, located: &MeetingOnServer) -> Option<Result<Bytes, ApiError>> {
    match closed::keeps(call, located).await? {
        Ok(true) => repeat::again(call, located).await,
        Ok(false) => {
            let (meeting, server) = (&located.meeting, &located.server);
            let (key, seen_at) = (&meeting.key, Some(meeting.seen_at));
            let forgotten = call.app.pool.forget_meeting(key, &server.id, seen_at, None).await;
            forgotten.err().map(|error| Err(error.into()))
        }
        Err(error) => Some(Err(error)),
    }
}

/// Places the meeting, waiting for another create of it that is under way.
async fn find_place(
    app: &App,
    request: &PlaceRequest,
    deadline: Instant,
) -> Result<PlaceOutcome, ApiError> {
    let until = deadline.min(Instant::now() + WAIT_MAX);
    loop {
        let now = app.clock.now();
        let placed = app.pool.place_meeting(at(app, request, now)).await?;
        let waits = matches!(&placed, PlaceOutcome::Existing(located) if located.meeting.is_being_created(now));
        if !waits || Instant::now() >= until {
            return Ok(placed);
        }
        tokio::time::sleep(RECHECK).await;
    }
}

/// The request as of now: what it waited for must not shorten its own claim and reserve.
pub(super) fn at(app: &App, request: &PlaceRequest, now: Timestamp) -> PlaceRequest {
    let later_ms = now.ms_since(request.now);
    let mut later = request.clone();
    later.claim.until = later.claim.until.plus_ms(later_ms);
    later.load = app.policy.poll.load.meeting_load(now, request.load.expected_users, 0);
    later.criteria.now = now;
    later.now = now;
    later
}

/// Gives a claim back if the client hangs up in the middle of the create.
struct ClaimGuard<'a> {
    app: &'a App,
    key: MeetingKey,
    token: String,
    armed: bool,
}

impl Drop for ClaimGuard<'_> {
    fn drop(&mut self) {
        if !self.armed {
            return;
        }
        let (cluster, key) = (self.app.pool.clone(), self.key.clone());
        let token = self.token.clone();
        tokio::spawn(async move {
            if let Err(error) = cluster.release_claim(&key, &token, &[]).await {
                tracing::warn!(meeting = key.id, %error, "claim not released; it runs out by itself");
            }
        });
    }
}
