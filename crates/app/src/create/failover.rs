//! A new meeting: asks the server that it was placed on, and the next best ones if that fails, until one server has it or the
//! create's time is over.
//!
//! Slow is not dead: while a create is unanswered the server is asked something cheap ([`super::liveness`]), and as long as it
//! answers that, no other server is asked. Only a server that refuses the create, or answers nothing at all, loses it.
//!
//! The claim moves with the attempts, atomically. A server that may have created the meeting without saying so is remembered in
//! the store as a pending end, and the next polls end what it made.

use std::future::pending;
use std::time::Duration;

use domain::ServerId;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tokio::time::{Instant, sleep_until, timeout_at};

use crate::api::{ApiError, forward_reply};
use crate::audit::{self, AuditEvent};
use crate::backend::{BackendError, BbbReply};
use crate::forecaster;
use crate::live_failures;
use crate::ports::{CallError, MeetingOnServer, PlaceOutcome, PlaceRequest};

use super::CreateOutcome;
use super::attempts::{Attempt, AttemptState, Attempts};
use super::info_reply::create_reply_from_info;
use super::keep::seal_create;
use super::late_replies::end_late_meetings;
use super::liveness::{SignOfLife, watch_for_death};
use super::place::restart_clock;
use super::recreate::{end_unwanted, was_ended};
use super::reply_origin::origin_of_reply;
use super::request::CreateRequest;
use super::send::{
    NO_RESPONSE_MESSAGE, PendingReply, SendMode, is_server_failure, is_timeout, may_have_created,
    send_create,
};
use super::tenant_check::check_tenant;

/// Attempts at most for one create.
const MAX_ATTEMPTS: usize = 8;
/// How often a server that has the meeting is sent the create before it is asked about the meeting instead.
const MAX_REPEATS: usize = 2;
/// No attempt is begun with less time left than this, in ms.
const MIN_ATTEMPT_MS: u64 = 200;

/// Which server is asked next.
enum NextServer {
    /// The one that the store chooses.
    ByPlacement,
    /// The one where a poll has found the meeting, and which has not answered the create.
    WhereFound(Box<MeetingOnServer>),
    /// None.
    Nowhere,
}

/// What happens while replies are awaited.
enum CreateEvent {
    Replied(usize, BbbReply),
    Failed(usize, BackendError),
    /// The server that was asked last answers nothing.
    Dead(BackendError),
    /// Nothing more can come.
    Over,
}

/// The failover of one create.
struct Failover<'a> {
    request: &'a CreateRequest<'a>,
    place_request: &'a mut PlaceRequest,
    /// Servers that had the meeting a moment ago: it may still be on one of them.
    previous_servers: Vec<ServerId>,
    attempts: Attempts,
    next: NextServer,
    /// Whether a server was asked again, without a password of ours.
    has_repeated: bool,
    /// Evidence that the server that was asked last is dead.
    death: BoxFuture<'static, BackendError>,
    /// Evidence that it is alive.
    sign_of_life: SignOfLife,
    last_error: BackendError,
}

/// Creates a new meeting on the server of its claim, or on another one. The claim is confirmed or released.
pub(super) async fn create_new(
    request: &CreateRequest<'_>,
    place_request: &mut PlaceRequest,
    target: MeetingOnServer,
    previous_servers: Vec<ServerId>,
) -> CreateOutcome {
    let mut failover = Failover {
        request,
        place_request,
        previous_servers,
        attempts: Attempts::default(),
        next: NextServer::ByPlacement,
        has_repeated: false,
        death: pending().boxed(),
        sign_of_life: SignOfLife::default(),
        last_error: CallError::Timeout(request.app.policy.max_create_ms()).into(),
    };
    failover.ask(target, SendMode::First);
    failover.run().await
}

impl Failover<'_> {
    async fn run(mut self) -> CreateOutcome {
        loop {
            let event = self.next_event().await;
            let asked_last = self.attempts.last_server();
            let gone_on = match event {
                CreateEvent::Replied(number, reply)
                    if self.repeat_without_password(number, &reply) =>
                {
                    Ok(())
                }
                CreateEvent::Replied(number, reply) => return self.settle(number, reply).await,
                CreateEvent::Failed(number, error) => {
                    // The failure of an earlier attempt does not disturb the last one.
                    let is_last = number + 1 == self.attempts.len();
                    let may_be_there = is_timeout(&error) && self.sign_of_life.is_seen();
                    self.record_failure(number, error).await;
                    if !is_last || may_be_there && self.ask_about_meeting(number) {
                        Ok(())
                    } else {
                        self.ask_next().await
                    }
                }
                CreateEvent::Dead(error) => {
                    self.record_death(error).await;
                    self.ask_next().await
                }
                CreateEvent::Over => return self.give_up(asked_last).await,
            };
            if let Err(error) = gone_on {
                return CreateOutcome { server: asked_last, result: Err(error) };
            }
            if self.attempts.is_idle() {
                return self.give_up(asked_last).await;
            }
        }
    }

    /// Waits for a reply, evidence of death, or the end of the create's time.
    async fn next_event(&mut self) -> CreateEvent {
        let deadline = self.request.deadline;
        let reply = tokio::select! {
            biased;
            reply = self.attempts.next_reply() => reply,
            () = sleep_until(deadline) => None,
            error = &mut self.death => return CreateEvent::Dead(error),
        };
        let Some((number, reply)) = reply else { return CreateEvent::Over };
        match check_tenant(self.request, self.attempts.target(number), reply).await {
            Ok(reply) => CreateEvent::Replied(number, reply),
            Err(error) => CreateEvent::Failed(number, error),
        }
    }

    fn ask(&mut self, target: MeetingOnServer, mode: SendMode) {
        match send_create(self.request, &target, mode) {
            Some(reply) => self.await_reply(target, reply),
            // The body was used up by an earlier attempt.
            None => self.stop_placing(),
        }
    }

    fn await_reply(&mut self, target: MeetingOnServer, reply: PendingReply) {
        let request = self.request;
        // While a body is sent, the upload itself shows whether the server lives.
        self.sign_of_life = SignOfLife::default();
        self.death = if request.body.is_none() {
            let (server, id) = (target.server.clone(), request.key.id.clone());
            let (app, sign_of_life) = (request.app.clone(), self.sign_of_life.clone());
            watch_for_death(app, server, id, request.deadline, sign_of_life).boxed()
        } else {
            pending().boxed()
        };
        self.attempts.add(target, request.app.clock.now(), reply);
    }

    fn stop_placing(&mut self) {
        if matches!(self.next, NextServer::ByPlacement) {
            self.next = NextServer::Nowhere;
        }
    }

    /// Asks a server again that has the meeting under another password than the one we made: from a create whose claim expired,
    /// or that was faster. Returns whether it did. With tenants it may be another tenant's meeting, so it is left alone.
    fn repeat_without_password(&mut self, number: usize, reply: &BbbReply) -> bool {
        let request = self.request;
        let is_our_password = request.moderator_pw().is_none();
        let has_tenant = request.caller.tenant().is_some();
        let exists = reply.response.message_key == "idNotUnique";
        if self.has_repeated || !is_our_password || has_tenant || !exists {
            return false;
        }
        self.has_repeated = true;
        let target = self.attempts.target(number);
        let Some(reply) = send_create(request, target, SendMode::Repeated) else { return false };
        self.attempts.add_reply(number, reply);
        true
    }

    /// Asks a server that was too slow whether it has the meeting, once. Returns whether it did.
    fn ask_about_meeting(&mut self, number: usize) -> bool {
        let target = self.attempts.target(number).clone();
        if self.attempts.count_on(&target.server.id) > 1 {
            return false;
        }
        let reply = create_reply_from_info(self.request, &target);
        self.await_reply(target, reply);
        true
    }

    /// Moves the claim to the next best server and asks that one, if there is one.
    async fn ask_next(&mut self) -> Result<(), ApiError> {
        let time_left = self.request.deadline.saturating_duration_since(Instant::now());
        let is_too_late = time_left < Duration::from_millis(MIN_ATTEMPT_MS);
        if is_too_late || self.attempts.len() >= MAX_ATTEMPTS {
            return Ok(());
        }
        match &self.next {
            NextServer::WhereFound(target) => {
                self.ask_where_found(MeetingOnServer::clone(target)).await?;
            }
            NextServer::ByPlacement => self.place_again().await?,
            NextServer::Nowhere => {}
        }
        Ok(())
    }

    /// Asks the server again that has the meeting. If it is offline by now, the meeting needs another place.
    async fn ask_where_found(&mut self, target: MeetingOnServer) -> Result<(), ApiError> {
        let polled = live_failures::confirm_offline(self.request.app, target.server.clone());
        let polled = timeout_at(self.request.deadline, polled).await.ok().flatten();
        if polled.is_some_and(|server| !server.is_online()) {
            self.next = NextServer::ByPlacement;
            return self.place_again().await;
        }
        if self.attempts.count_on(&target.server.id) < MAX_REPEATS {
            self.ask(target, SendMode::Repeated);
        } else {
            let reply = create_reply_from_info(self.request, &target);
            self.await_reply(target, reply);
        }
        Ok(())
    }

    async fn place_again(&mut self) -> Result<(), ApiError> {
        let app = self.request.app;
        self.place_request.criteria.tried_servers = self.attempts.servers();
        self.place_request.pending_ends =
            self.attempts.pending_ends(self.request, &self.previous_servers, None);
        let place_request = restart_clock(app, self.place_request, app.clock.now());
        match app.pool.place_meeting(place_request).await? {
            PlaceOutcome::Claimed(target) => {
                tracing::info!(
                    meeting = self.request.key.id,
                    server = %target.server.id,
                    host = target.server.hostname(),
                    "create goes on to the next server"
                );
                let event = AuditEvent::new("meeting.failover").on_meeting(&self.request.key);
                audit::note_automatic(app, "failover", event.on_server(&target.server));
                app.meters.failovers.count();
                forecaster::record_placement(app, &target);
                self.ask(target, SendMode::First);
            }
            // The reply of the server that has it was lost, or is late.
            PlaceOutcome::Existing(target) if target.meeting.claim.is_none() => {
                self.next = NextServer::WhereFound(Box::new(target.clone()));
                self.ask(target, SendMode::Repeated);
            }
            PlaceOutcome::Existing(_)
            | PlaceOutcome::Refused(_)
            | PlaceOutcome::NoVoiceBridge
            | PlaceOutcome::NothingToReplace => {
                self.next = NextServer::Nowhere;
            }
        }
        Ok(())
    }

    /// The server that was asked last answers nothing. Its reply is still awaited, beside that of the next server.
    async fn record_death(&mut self, error: BackendError) {
        self.death = pending().boxed();
        if let Some((server, sent_at)) = self.attempts.slow_server() {
            live_failures::report_failure(self.request.app, &server, sent_at, &error).await;
        }
        self.last_error = error;
    }

    async fn record_failure(&mut self, number: usize, error: BackendError) {
        let may_exist = may_have_created(&error);
        let state = if may_exist { AttemptState::MayExist } else { AttemptState::Settled };
        let Attempt { target, sent_at, .. } = self.attempts.set_state(number, state);
        if error == BackendError::Occupied || error == BackendError::NotThere {
            // Another server may have no meeting of that id, or make this one.
        } else if is_timeout(&error) && self.sign_of_life.is_seen() {
            // The server answered other questions meanwhile: it is slow, which harms nobody but this create.
            let (server, host) = (&target.server.id, target.server.hostname());
            tracing::warn!(%server, host, meeting = self.request.key.id, "create timed out");
        } else if is_server_failure(&error) {
            let app = self.request.app;
            live_failures::report_failure(app, &target.server, *sent_at, &error).await;
        } else {
            self.stop_placing();
        }
        self.last_error = error;
    }

    /// A server answered. If it has the meeting, the other servers must not have it.
    async fn settle(mut self, number: usize, reply: BbbReply) -> CreateOutcome {
        let app = self.request.app;
        let success = reply.response.success;
        let Attempt { target, .. } = self.attempts.set_state(number, AttemptState::Settled);
        let MeetingOnServer { mut meeting, server } = target.clone();
        meeting.origin = origin_of_reply(app, &reply, self.attempts.unanswered_since(number));
        // A meeting that a poll had found was read without our claim, which may have gone on to another server since.
        meeting.claim.get_or_insert_with(|| self.place_request.claim.clone());
        if success && self.request.revived.is_some() && was_ended(self.request).await {
            self.attempts.set_state(number, AttemptState::MayExist);
            let ends = self.attempts.pending_ends(self.request, &self.previous_servers, None);
            end_unwanted(self.request, &server, &meeting, &ends).await;
            return CreateOutcome { server: Some(server.id), result: Err(ApiError::NotFound) };
        }
        let kept_by = success.then(|| server.id.clone());
        let pending_ends =
            self.attempts.pending_ends(self.request, &self.previous_servers, kept_by.as_ref());
        let recorded = if success {
            let kept = seal_create(self.request, &meeting.origin, &reply);
            let now = app.clock.now();
            app.pool.confirm_meeting(&meeting, now, &pending_ends, kept.as_ref()).await
        } else {
            forecaster::record_end(app, &self.request.key);
            let token = &self.place_request.claim.token;
            app.pool.release_claim(&self.request.key, token, &pending_ends).await.map(drop)
        };
        end_late_meetings(app, self.attempts, kept_by);
        let result = match recorded {
            Ok(()) => forward_reply(Ok(reply), NO_RESPONSE_MESSAGE),
            Err(error) => Err(error.into()),
        };
        CreateOutcome { server: Some(server.id), result }
    }

    async fn give_up(self, asked_last: Option<ServerId>) -> CreateOutcome {
        let app = self.request.app;
        let pending_ends = self.attempts.pending_ends(self.request, &self.previous_servers, None);
        let token = &self.place_request.claim.token;
        let released = app.pool.release_claim(&self.request.key, token, &pending_ends).await;
        forecaster::record_end(app, &self.request.key);
        end_late_meetings(app, self.attempts, None);
        let result = match released {
            Ok(_) => forward_reply(Err(self.last_error), NO_RESPONSE_MESSAGE),
            Err(error) => Err(error.into()),
        };
        CreateOutcome { server: asked_last, result }
    }
}
