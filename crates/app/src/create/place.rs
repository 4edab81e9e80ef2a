//! Finds the server of a meeting, or claims a place for a new one.

use std::time::Duration;

use domain::parameters::SERVER_TAG;
use domain::placement::PlacementRefusal;
use domain::voice_bridge::generate_candidates;
use domain::{Claim, MeetingKey, Timestamp};
use tokio::time::Instant;

use crate::api::ApiError;
use crate::context::App;
use crate::placement::{self, PlacementInput};
use crate::ports::{PlaceOutcome, PlaceRequest, ReplacedRecord};
use crate::store_recovery;

use super::request::CreateRequest;

/// How often a create looks whether another create of the same meeting has ended.
const CHECK_INTERVAL: Duration = Duration::from_millis(20);
/// How long a create waits for another create of the same meeting before it goes on as if that one had succeeded: longer
/// than a healthy server takes, shorter than clients wait.
const MAX_WAIT: Duration = Duration::from_secs(3);
/// A claim outlasts the time that its create may take by so much, in ms.
const CLAIM_MARGIN_MS: u64 = 3_000;
/// The parameter by which front-ends announce the number of users.
const SIZE_HINT: &str = "meta_bbb-meeting-size-hint";
/// Announced sizes above this are ignored.
const MAX_SIZE: u32 = 10_000;

/// Everything that the store needs to place the meeting.
pub(super) fn build_place_request(request: &CreateRequest<'_>) -> PlaceRequest {
    let CreateRequest { app, caller, key, query, .. } = request;
    let policy = &app.policy;
    let now = app.clock.now();
    let size = |name: &str| {
        let size = query.get(name).and_then(|text| text.trim().parse::<u32>().ok());
        size.filter(|size| (1..=MAX_SIZE).contains(size))
    };
    let tag = query.get(SERVER_TAG);
    // As many users as were in the meeting come back to it.
    let lost_users = request.revived.as_ref().map(|revived| revived.record.load.users);
    let lost_users = lost_users.map(|users| users.min(MAX_SIZE)).filter(|users| *users > 0);
    let input = PlacementInput {
        key,
        tag: tag.as_deref(),
        size_hint: size(SIZE_HINT).max(lost_users),
        max_users: size("maxParticipants"),
        rules: caller.create_rules(policy),
    };
    let (criteria, _) = placement::plan_placement(app, &input, now);
    let claim_ms = request.max_duration_ms.saturating_add(CLAIM_MARGIN_MS);
    let until = now.plus_ms(i64::try_from(claim_ms).unwrap_or(i64::MAX));
    let password = request.moderator_pw().unwrap_or_else(|| app.entropy.generate_password());
    let external_bridge = query.get("voiceBridge");
    let mut voice_bridges =
        generate_candidates(policy.voice_bridge, &key.id, external_bridge.as_deref());
    if let Some(number) = request.revived.as_ref().and_then(|it| it.record.voice_bridge.clone()) {
        voice_bridges.insert(0, number);
    }
    let replaces = request.revived.as_ref().map(|revived| ReplacedRecord {
        internal_id: revived.internal_id.to_owned(),
        server: revived.record.server.clone(),
    });
    PlaceRequest {
        load: policy.poll.load.meeting_load(now, criteria.expected_users, 0),
        criteria,
        voice_bridges,
        moderator_pw: Some(password),
        claim: Claim { token: app.entropy.generate_uuid(), until },
        now,
        pending_ends: Vec::new(),
        replaces,
        key: key.clone(),
    }
}

/// Finds the meeting or places it, waiting for another create of it that is under way.
///
/// # Errors
/// When the store fails.
pub(super) async fn find_place(
    request: &CreateRequest<'_>,
    place_request: &PlaceRequest,
) -> Result<PlaceOutcome, ApiError> {
    let app = request.app;
    store_recovery::wait_until_recovered(app).await;
    let until = request.deadline.min(Instant::now() + MAX_WAIT);
    let mut may_be_lost = true;
    loop {
        let now = app.clock.now();
        let placed = app.pool.place_meeting(restart_clock(app, place_request, now)).await?;
        let finds_no_server = matches!(&placed,
            PlaceOutcome::Refused(refusal) if *refusal != PlacementRefusal::Full);
        if finds_no_server && may_be_lost {
            may_be_lost = false;
            if store_recovery::recover_if_lost(app).await {
                continue;
            }
        }
        let is_being_created = matches!(&placed,
            PlaceOutcome::Existing(existing) if existing.meeting.is_being_created(now));
        if !is_being_created || Instant::now() >= until {
            return Ok(placed);
        }
        tokio::time::sleep(CHECK_INTERVAL).await;
    }
}

/// The request as if it was made now: time spent waiting does not shorten its claim, nor the time for which its expected
/// users count.
pub(super) fn restart_clock(app: &App, request: &PlaceRequest, now: Timestamp) -> PlaceRequest {
    let waited_ms = now.ms_since(request.now);
    let mut restarted = request.clone();
    restarted.claim.until = restarted.claim.until.plus_ms(waited_ms);
    restarted.load = app.policy.poll.load.meeting_load(now, request.load.expected_users, 0);
    restarted.criteria.now = now;
    restarted.now = now;
    restarted
}

/// Releases a claim when the create is dropped because its client hung up.
pub(super) struct ClaimGuard<'a> {
    app: &'a App,
    key: MeetingKey,
    token: String,
    is_armed: bool,
}

impl<'a> ClaimGuard<'a> {
    /// Guards the claim of a request.
    pub(super) fn new(app: &'a App, request: &PlaceRequest) -> Self {
        let (key, token) = (request.key.clone(), request.claim.token.clone());
        Self { app, key, token, is_armed: true }
    }

    /// Whether there may be a claim to release.
    pub(super) fn set_armed(&mut self, is_armed: bool) {
        self.is_armed = is_armed;
    }
}

impl Drop for ClaimGuard<'_> {
    fn drop(&mut self) {
        if !self.is_armed {
            return;
        }
        let (pool, key, token) = (self.app.pool.clone(), self.key.clone(), self.token.clone());
        tokio::spawn(async move {
            if let Err(error) = pool.release_claim(&key, &token, &[]).await {
                tracing::warn!(meeting = key.id, %error, "claim not released, it will expire");
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use bbb::Query;

    use super::*;
    use crate::tenancy::Caller;
    use crate::test_app::{START, test_app};

    #[tokio::test(start_paused = true)]
    async fn time_spent_waiting_shortens_neither_claim_nor_expectation() {
        let (app, _) = test_app(&["a"], |_| None).await;
        let (caller, query) = (Caller::default(), Query::default());
        let key = MeetingKey { tenant: None, id: "m".to_owned() };
        let request = CreateRequest::new(&app, &caller, key, &query, None).await;
        let first = build_place_request(&request);
        let create_ms = i64::try_from(app.policy.max_create_ms()).unwrap();
        assert!(first.claim.until > START.plus_ms(create_ms), "it outlasts the create");
        let now = START.plus_ms(2_500);
        let restarted = restart_clock(&app, &first, now);
        assert_eq!(restarted.claim.until, first.claim.until.plus_ms(2_500));
        assert_eq!(restarted.load.expected_until, first.load.expected_until.plus_ms(2_500));
        assert_eq!((restarted.now, restarted.criteria.now), (now, now));
        assert_eq!(restarted.claim.token, first.claim.token);
    }
}
