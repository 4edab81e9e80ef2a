//! `create`: a known meeting goes to its server again; a new one gets a place, atomically, before
//! its server is asked, and loses it without a trace if that server does not create it.

use std::time::Duration;

use bbb::Query;
use bytes::Bytes;
use domain::parameters::{Placed as Decided, SERVER_TAG, create_edits, wanted_tag};
use domain::placement::{Ask, TagRequest, seed};
use domain::voice_bridge::candidates;
use domain::{AdminState, Claim, MeetingKey, Timestamp};
use tokio::time::Instant;

use crate::backend::meeting_query;
use crate::context::App;
use crate::ports::{BackendBody, CallError, Located, PlaceRequest, Placed};
use crate::tenancy::Caller;

use super::errors::ApiError;
use super::lrs;
use super::request::{Trail, apply, meeting_key, pass_on};

/// How often a create looks whether another one for the same meeting has ended.
const RECHECK: Duration = Duration::from_millis(20);
/// How long a create waits for another one of the same meeting before it goes on as if that one
/// had succeeded. Above the time of a healthy server, below a client's patience.
const WAIT_MAX: Duration = Duration::from_secs(3);
/// How often a meeting may turn out to be stale within one create.
const ROUNDS: usize = 3;

/// Creates a meeting, or hands a repeated create to the meeting's server.
///
/// # Errors
/// When there is no server for it, or the server refuses or cannot be asked.
pub async fn create(
    app: &App,
    caller: &Caller,
    query: Query,
    body: Option<BackendBody>,
    trail: &mut Trail,
) -> Result<Bytes, ApiError> {
    let key = meeting_key(caller, &query, trail)?;
    // Before there is a claim, which runs out.
    let access = lrs::access(app, caller.tenant()).await;
    let request = place_request(app, caller, key, &query, body.is_some());
    // Before there is a place: a client may hang up, or the store's answer be lost, in between.
    let mut guard = ClaimGuard { app, request: &request, armed: true };
    let placed = find_place(app, &request).await?;
    guard.armed = matches!(placed, Placed::Won(_));
    let (located, is_new) = match placed {
        Placed::Won(located) => (located, true),
        Placed::Known(located) => (located, false),
        Placed::Refused(refusal) => return Err(ApiError::NoServer(refusal)),
        Placed::NoVoiceBridge => return Err(ApiError::NoVoiceBridge),
    };
    trail.server = Some(located.server.id.clone());
    let mut query = forwarded(app, caller, query, &located, is_new);
    if let Some(sealed) = lrs::sealed(app, &located.server, access).await {
        query.set(bbb::lrs::PARAMETER, &sealed);
    }
    let busy_ms = u64::try_from(busy_ms(app, body.is_some())).unwrap_or(0);
    let asked = app.ask(&located.server, "create", &query, body);
    // Not longer than the claim stands, or the meeting could be placed a second time meanwhile.
    let reply = match tokio::time::timeout(Duration::from_millis(busy_ms), asked).await {
        Ok(reply) => reply,
        Err(_) => Err(CallError::Timeout(busy_ms).into()),
    };
    let result = pass_on(reply, "Unable to create meeting on server.");
    match &result {
        Ok(_) => {
            // The server has it, whatever becomes of our record: the next poll would settle that.
            guard.disarm();
            app.cluster.confirm(&located.meeting, app.clock.now()).await?;
        }
        Err(_) => guard.release().await?,
    }
    result
}

/// How long a create may be under way, and how long its claim stands, in ms.
fn busy_ms(app: &App, has_body: bool) -> i64 {
    let without = app.policy.create_ms_max();
    if has_body { app.policy.upload_ms_max.max(without) } else { without }
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
    let tags = wanted_tag(requested_tag.as_deref(), rules).unwrap_or_default();
    let seats = policy.poll.load.expected_seats();
    let password = query.get("moderatorPW").filter(|password| !password.is_empty());
    let busy_ms = busy_ms(app, has_body);
    PlaceRequest {
        ask: Ask { tags: TagRequest::parse(tags), seats, seed: seed(&key.id) },
        voice_bridges: candidates(
            policy.voice_bridge,
            &key.id,
            query.get("voiceBridge").as_deref(),
        ),
        moderator_pw: Some(password.map_or_else(|| app.entropy.password(), Into::into)),
        claim: Claim { token: app.entropy.uuid(), until: now.plus_ms(busy_ms) },
        seats: policy.poll.load.seats(now, 0),
        now,
        key,
    }
}

/// Places the meeting, waiting for another create of it that is under way, and forgetting it where
/// it turns out to be stale.
async fn find_place(app: &App, request: &PlaceRequest) -> Result<Placed, ApiError> {
    let deadline = Instant::now() + WAIT_MAX;
    let mut stale = 0;
    loop {
        let now = app.clock.now();
        let placed = app.cluster.place(at(app, request, now)).await?;
        let Placed::Known(located) = &placed else {
            return Ok(placed);
        };
        if located.meeting.is_being_created(now) && Instant::now() < deadline {
            tokio::time::sleep(RECHECK).await;
        } else if stale < ROUNDS && is_stale(app, located).await {
            stale += 1;
            app.cluster.forget(&located.meeting.key, &located.server.id).await?;
        } else {
            return Ok(placed);
        }
    }
}

/// The request as of now: what it waited for must not shorten its own claim and reserve.
fn at(app: &App, request: &PlaceRequest, now: Timestamp) -> PlaceRequest {
    let later_ms = now.ms_since(request.now);
    let mut claim = request.claim.clone();
    claim.until = claim.until.plus_ms(later_ms);
    PlaceRequest { claim, seats: app.policy.poll.load.seats(now, 0), now, ..request.clone() }
}

/// A meeting on a cordoned server is stale if that server says that nobody is in it.
async fn is_stale(app: &App, located: &Located) -> bool {
    if located.server.state != AdminState::Cordoned {
        return false;
    }
    let query = meeting_query(&located.meeting.key.id);
    let reply = app.ask(&located.server, "isMeetingRunning", &query, None).await;
    reply.is_ok_and(|reply| reply.answer.success && reply.answer.running == Some(false))
}

/// The query as the server gets it.
fn forwarded(
    app: &App,
    caller: &Caller,
    mut query: Query,
    located: &Located,
    is_new: bool,
) -> Query {
    let policy = &app.policy;
    let has_password = query.get("moderatorPW").is_some_and(|password| !password.is_empty());
    let decided = Decided {
        voice_bridge: located.meeting.voice_bridge.as_deref(),
        // Only the first create may bring a password of ours: on a repeat the server would compare.
        moderator_pw: located.meeting.moderator_pw.as_deref().filter(|_| is_new && !has_password),
        server_tag: located.server.tag.as_deref(),
    };
    let duration = query.get("duration").map(std::borrow::Cow::into_owned);
    let edits = create_edits(
        decided,
        caller.tenant(),
        duration.as_deref(),
        policy.max_meeting_duration_min,
        caller.create_rules(policy),
    );
    apply(&mut query, edits);
    query
}

/// Gives a claim back, also when the client hangs up in the middle of the create.
struct ClaimGuard<'a> {
    app: &'a App,
    request: &'a PlaceRequest,
    armed: bool,
}

impl ClaimGuard<'_> {
    fn disarm(mut self) {
        self.armed = false;
    }

    async fn release(mut self) -> Result<(), ApiError> {
        if self.armed {
            self.armed = false;
            self.app.cluster.release(&self.request.key, &self.request.claim.token).await?;
        }
        Ok(())
    }
}

impl Drop for ClaimGuard<'_> {
    fn drop(&mut self) {
        if !self.armed {
            return;
        }
        let (cluster, key) = (self.app.cluster.clone(), self.request.key.clone());
        let token = self.request.claim.token.clone();
        tokio::spawn(async move {
            if let Err(error) = cluster.release(&key, &token).await {
                tracing::warn!(meeting = key.id, %error, "claim not released; it runs out by itself");
            }
        });
    }
}
