//! Asking servers to create a meeting: the one it was placed on, and the next best ones when that
//! does not answer, until one has it or the client's patience ends.
//!
//! The claim moves with the tries, atomically. A server that may have created the meeting although
//! it did not say so is remembered in the store, and the next polls end what it has made.

use std::time::Duration;

use bytes::Bytes;
use domain::poll::PendingEnd;
use domain::{Server, ServerId, Timestamp};
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt as _, StreamExt as _};
use tokio::time::{Instant, sleep_until, timeout};

use crate::backend::{BackendError, BbbReply, end_query};
use crate::context::App;
use crate::forecaster;
use crate::live_failures;
use crate::ports::{CallError, MeetingOnServer, PlaceOutcome, PlaceRequest};

use super::asking::{Call, asking, is_the_servers, may_have_acted};
use super::create::at;
use super::errors::ApiError;
use super::owner;
use super::repeat::{Answered, EXISTS};
use super::request::{RequestLog, forward_reply};
use super::vouched;

/// Servers tried at most for one create.
const TRIES_MAX: usize = 8;
/// What a client is told if no server answers.
pub(super) const UNANSWERED: &str = "Unable to create meeting on server.";
/// Why a server is suspect that has not said anything yet.
pub(super) const SLOW: &str = "slow to answer a create";
/// How often one server is asked that does not answer although it has the meeting; then it is asked about it.
const ASKED_MAX: usize = 2;
/// What is left of a client's patience must allow for a try, in ms.
const TRY_MS_MIN: u64 = 200;

/// What a server said that was asked, by its number.
type Outcome = (usize, Answered);

/// What is known of a try.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    UnderWay,
    /// It failed, and the meeting may be there all the same.
    Doubtful,
    /// The meeting is surely not there.
    Without,
}

/// A server that was asked.
struct Try {
    located: MeetingOnServer,
    asked_at: Timestamp,
    state: State,
}

/// The tries of one create.
struct Tries<'a> {
    call: &'a Call<'a>,
    homes: Vec<ServerId>,
    asked: Vec<Try>,
    under_way: FuturesUnordered<BoxFuture<'static, Outcome>>,
    /// Whether there is another place to try.
    may_go_on: bool,
    /// Where a poll has found the meeting, whose server has not answered: it is asked again.
    found: Option<MeetingOnServer>,
    /// Whether a server was asked again, without a password of ours.
    repeated: bool,
    last_error: BackendError,
}

/// A new meeting: asks its server, and others if need be. The claim is confirmed or released. `homes`
/// are servers that the meeting was on a moment ago: it may be on one of them still.
pub(super) async fn first(
    call: &Call<'_>,
    request: &mut PlaceRequest,
    located: MeetingOnServer,
    homes: Vec<ServerId>,
    trail: &mut RequestLog,
) -> Result<Bytes, ApiError> {
    let mut tries = Tries {
        call,
        homes,
        asked: Vec::new(),
        under_way: FuturesUnordered::new(),
        may_go_on: true,
        found: None,
        repeated: false,
        last_error: CallError::Timeout(call.app.policy.max_create_ms()).into(),
    };
    tries.ask(located, true);
    let hedge = Duration::from_millis(call.app.policy.hedge_ms());
    let mut hedge_at = Instant::now() + hedge;
    loop {
        // A body that is being sent cannot be sent to another one beside it.
        let goes_on = tries.may_go_on || tries.found.is_some();
        let hedges = goes_on && call.body.is_none() && hedge_at < call.deadline;
        let next = tokio::select! {
            biased;
            outcome = tries.under_way.next() => outcome,
            () = sleep_until(hedge_at.min(call.deadline)), if hedges => {
                if let Some((slow, asked_at)) = tries.slow_one() {
                    live_failures::report_failure(call.app, &slow, asked_at, SLOW).await;
                }
                tries.go_on(request).await?;
                hedge_at = Instant::now() + hedge;
                continue;
            }
            () = sleep_until(call.deadline) => None,
        };
        let next = match next {
            Some((number, Ok(reply))) => {
                let located = tries.asked[number].located.clone();
                Some((number, owner::checked(call, &located, reply).await))
            }
            next => next,
        };
        trail.server = tries.asked.last().map(|last| last.located.server.id.clone());
        match next {
            Some((number, Ok(reply))) if tries.exists_already(number, &reply) => {}
            Some((number, Ok(reply))) => {
                trail.server = Some(tries.asked[number].located.server.id.clone());
                return tries.settled(request, number, reply).await;
            }
            Some((number, Err(error))) => {
                tries.failed(number, error).await;
                tries.go_on(request).await?;
                hedge_at = Instant::now() + hedge;
                if tries.under_way.is_empty() {
                    return tries.given_up(request).await;
                }
            }
            None => return tries.given_up(request).await,
        }
    }
}

impl Tries<'_> {
    /// Sends the create to a server, as the first one or as a repeated one.
    fn ask(&mut self, located: MeetingOnServer, is_new: bool) {
        match asking(self.call, &located, is_new) {
            Some(asking) => self.wait_for(located, asking),
            // Its body is gone with an earlier try.
            None => self.may_go_on = false,
        }
    }

    fn wait_for(&mut self, located: MeetingOnServer, asking: BoxFuture<'static, Answered>) {
        let (number, asked_at) = (self.asked.len(), self.call.app.clock.now());
        self.asked.push(Try { located, asked_at, state: State::UnderWay });
        self.under_way.push(asking.map(move |reply| (number, reply)).boxed());
    }

    /// Whether a server that was told a password of ours has the meeting under another one: from a
    /// create whose claim ran out, or that was faster. It is asked as for a repeated create then.
    fn exists_already(&mut self, number: usize, reply: &BbbReply) -> bool {
        let is_ours = self.call.query.get("moderatorPW").is_none_or(|password| password.is_empty());
        // With tenants it may be another one's meeting of that id.
        let may_be_others = self.call.caller.tenant().is_some();
        let exists = reply.response.message_key == "idNotUnique";
        if self.repeated || !is_ours || may_be_others || !exists {
            return false;
        }
        self.repeated = true;
        let Some(asking) = asking(self.call, &self.asked[number].located, false) else {
            return false;
        };
        self.under_way.push(asking.map(move |reply| (number, reply)).boxed());
        true
    }

    /// Moves the claim to the next best server and asks that one, if there is one.
    async fn go_on(&mut self, request: &mut PlaceRequest) -> Result<(), ApiError> {
        let app = self.call.app;
        let time_left = self.call.deadline.saturating_duration_since(Instant::now());
        let too_late = time_left < Duration::from_millis(TRY_MS_MIN);
        if too_late || self.asked.len() >= TRIES_MAX {
            return Ok(());
        }
        if let Some(found) = self.found.clone() {
            let at_home = |one: &&Try| one.located.server.id == found.server.id;
            if self.asked.iter().filter(at_home).count() < ASKED_MAX {
                self.ask(found, false);
            } else {
                let vouching = vouched::asking(self.call, &found);
                self.wait_for(found, vouching);
            }
            return Ok(());
        }
        if !self.may_go_on {
            return Ok(());
        }
        request.criteria.tried_servers =
            self.asked.iter().map(|one| one.located.server.id.clone()).collect();
        request.pending_ends = self.endings(request, None);
        match app.pool.place_meeting(at(app, request, app.clock.now())).await? {
            PlaceOutcome::Claimed(located) => {
                tracing::info!(meeting = request.key.id, server = %located.server.id, "next server");
                forecaster::record_placement(app, &located);
                self.ask(located, true);
            }
            PlaceOutcome::Existing(located) => {
                self.may_go_on = false;
                // The answer of the server that made it was lost, or is late.
                if located.meeting.claim.is_none() {
                    self.found = Some(located.clone());
                    self.ask(located, false);
                }
            }
            PlaceOutcome::Refused(_) | PlaceOutcome::NoVoiceBridge => self.may_go_on = false,
        }
        Ok(())
    }

    /// The server that keeps this create waiting; others should not wait for it as well.
    fn slow_one(&self) -> Option<(Server, Timestamp)> {
        let last = self.asked.last()?;
        (last.state == State::UnderWay).then(|| (last.located.server.clone(), last.asked_at))
    }

    async fn failed(&mut self, number: usize, error: BackendError) {
        let Try { located, asked_at, state } = &mut self.asked[number];
        *state = if may_have_acted(&error) { State::Doubtful } else { State::Without };
        if error == BackendError::Occupied {
            // Another server may have no meeting of that id.
        } else if is_the_servers(&error) {
            live_failures::report_failure(
                self.call.app,
                &located.server,
                *asked_at,
                &error.to_string(),
            )
            .await;
        } else {
            self.may_go_on = false;
        }
        self.last_error = error;
    }

    /// Where the meeting is not wanted if it turns up there: wherever it was asked for and may
    /// exist, but for the one that has it, and for those where it may be the one that was known.
    fn endings(&self, request: &PlaceRequest, has_it: Option<&ServerId>) -> Vec<PendingEnd> {
        let since = self.call.app.clock.now();
        let others = self.asked.iter().filter(|one| Some(&one.located.server.id) != has_it);
        let doubtful = others.filter(|one| {
            one.state != State::Without && !self.homes.contains(&one.located.server.id)
        });
        let ending = |one: &Try| {
            let server = one.located.server.id.clone();
            // The first one may have made it.
            let tries = self.asked.iter().filter(|other| other.located.server.id == server);
            let asked_at = tries.map(|other| other.asked_at).min().unwrap_or(one.asked_at);
            let moderator_pw = one.located.meeting.moderator_pw.clone();
            PendingEnd {
                server,
                key: request.key.clone(),
                moderator_pw,
                since,
                create_sent_at: asked_at,
            }
        };
        doubtful.map(ending).collect()
    }

    /// A server answered. If it has the meeting, the others must not.
    async fn settled(
        mut self,
        request: &PlaceRequest,
        number: usize,
        reply: BbbReply,
    ) -> Result<Bytes, ApiError> {
        let app = self.call.app;
        let success = reply.response.success;
        self.asked[number].state = State::Without;
        let MeetingOnServer { meeting, server } = &self.asked[number].located;
        let winner = success.then(|| server.id.clone());
        let endings = self.endings(request, winner.as_ref());
        let recorded = if success {
            // The server has it, whatever becomes of our record: the next poll would settle that.
            app.pool.confirm_meeting(meeting, app.clock.now(), &endings).await
        } else {
            let token = &request.claim.token;
            forecaster::record_end(app, &request.key);
            app.pool.release_claim(&request.key, token, &endings).await.map(drop)
        };
        let Self { asked, under_way, .. } = self;
        end_late_ones(app, asked, under_way, winner);
        recorded?;
        forward_reply(Ok(reply), UNANSWERED)
    }

    async fn given_up(self, request: &PlaceRequest) -> Result<Bytes, ApiError> {
        let app = self.call.app;
        let endings = self.endings(request, None);
        let released = app.pool.release_claim(&request.key, &request.claim.token, &endings).await;
        forecaster::record_end(app, &request.key);
        let Self { asked, under_way, last_error, .. } = self;
        for one in asked.iter().filter(|one| one.state == State::UnderWay) {
            live_failures::report_failure(
                app,
                &one.located.server,
                one.asked_at,
                "no answer to a create",
            )
            .await;
        }
        end_late_ones(app, asked, under_way, None);
        released?;
        forward_reply(Err(last_error), UNANSWERED)
    }
}

/// Waits for servers that are slow, in the background, and ends what they have created meanwhile.
fn end_late_ones(
    app: &App,
    asked: Vec<Try>,
    mut under_way: FuturesUnordered<BoxFuture<'static, Outcome>>,
    winner: Option<ServerId>,
) {
    if under_way.is_empty() {
        return;
    }
    let app = app.clone();
    tokio::spawn(async move {
        let patience = Duration::from_millis(app.policy.max_create_ms());
        let end_all = async {
            while let Some((number, reply)) = under_way.next().await {
                let MeetingOnServer { meeting, server } = &asked[number].located;
                // Servers know no tenants: what is ended by its id may be another one's meeting. Polls
                // tell them apart.
                let is_shared = meeting.key.tenant.is_some();
                let too_late = winner.as_ref() != Some(&server.id) && !is_shared;
                // Another create may have settled it there meanwhile, or wait for its answer.
                let record = app.pool.find_meeting(&meeting.key).await;
                let is_elsewhere = |record: &MeetingOnServer| {
                    record.server.id != server.id && record.meeting.claim.is_none()
                };
                let is_free =
                    record.is_ok_and(|record| record.is_none_or(|one| is_elsewhere(&one)));
                let is_new = |reply: BbbReply| {
                    reply.response.success && reply.response.message_key != EXISTS
                };
                if too_late && is_free && reply.is_ok_and(is_new) {
                    tracing::info!(server = %server.id, meeting = meeting.key.id, "too late: ended");
                    // If this fails, a poll does it.
                    let _ = app.call_server_briefly(server, "end", &end_query(meeting)).await;
                }
            }
        };
        let _ = timeout(patience, end_all).await;
    });
}
