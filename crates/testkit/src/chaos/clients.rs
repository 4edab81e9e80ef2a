//! The clients: calls that are sent at their times, whether or not earlier ones have been answered.

use super::call_records::{
    CallRecords, CreateReason, CreateRecord, JoinOutcome, JoinRecord, MeetingLocation,
};
use super::faults::draw_interval;
use super::{ChaosPlan, Stopwatch};
use crate::product::{ClientResponse, exchange, new_request, signed_target};
use crate::responses::{create_query, describe_response, is_success};
use crate::seeded_rng::SeededRng;
use bbb_sim::{BbbPool, BbbServer};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::{sleep_until, timeout};

/// How long a client waits for a response.
pub(super) const CLIENT_TIMEOUT: Duration = Duration::from_secs(15);
/// How long a browser waits for the server to which it was redirected.
const REDIRECT_TIMEOUT: Duration = Duration::from_secs(3);
/// Passwords in every create, as front-ends send them; BBB accepts a repeated create only with the
/// same passwords.
const PASSWORDS: &str = "attendeePW=attendee&moderatorPW=moderator";

/// The state that all clients share.
#[derive(Debug)]
pub(super) struct Clients {
    port: u16,
    servers: HashMap<u16, BbbServer>,
    stopwatch: Stopwatch,
    records: Mutex<CallRecords>,
}

/// The kind of a call.
enum ClientAction {
    Create,
    Repeat,
    Join,
}

impl Clients {
    /// Clients of the balancer on this port.
    pub(super) fn new(port: u16, pool: &BbbPool, stopwatch: Stopwatch) -> Arc<Self> {
        let servers = pool.servers().iter().map(|server| (server.port(), server.clone()));
        let servers = servers.collect();
        Arc::new(Self { port, servers, stopwatch, records: Mutex::default() })
    }

    /// Locks the calls and results so far.
    pub(super) fn records(&self) -> MutexGuard<'_, CallRecords> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends all calls of the plan when they are due, and waits for the last response.
    pub(super) async fn send_calls(self: Arc<Self>, plan: &ChaosPlan) -> anyhow::Result<()> {
        let (mut calls, mut rng) = (JoinSet::new(), SeededRng::new(plan.seed ^ 0xC1));
        for (number, (due_at, action)) in draw_calls(plan).into_iter().enumerate() {
            sleep_until(self.stopwatch.instant_at(due_at)).await;
            while calls.try_join_next().transpose()?.is_some() {}
            let existing = self.pick_meeting(&mut rng);
            let clients = Arc::clone(&self);
            match (action, existing) {
                (ClientAction::Join, Some(id)) => calls.spawn(clients.run_join(id, due_at)),
                (ClientAction::Repeat, Some(id)) => {
                    calls.spawn(clients.run_create(CreateReason::Repeated, id, due_at))
                }
                (ClientAction::Join, None) => continue,
                (ClientAction::Create | ClientAction::Repeat, _) => {
                    let id = format!("room-{number}");
                    calls.spawn(clients.run_create(CreateReason::New, id, due_at))
                }
            };
        }
        while calls.join_next().await.transpose()?.is_some() {}
        Ok(())
    }

    /// Draws one of the created meetings.
    fn pick_meeting(&self, rng: &mut SeededRng) -> Option<String> {
        let records = self.records();
        let ids = records.created_ids();
        ids.get(rng.draw_index(ids.len())).cloned()
    }

    async fn run_create(self: Arc<Self>, reason: CreateReason, id: String, due_at: Duration) {
        self.create_meeting(reason, &id, due_at).await;
    }

    /// Joins a meeting. A user who is refused has the meeting created and tries again, once.
    async fn run_join(self: Arc<Self>, id: String, due_at: Duration) {
        let outcome = self.join_meeting(&id, due_at, false).await;
        if !matches!(outcome, JoinOutcome::Refused(_) | JoinOutcome::ServerRefused(..)) {
            return;
        }
        let now = self.stopwatch.elapsed();
        if self.create_meeting(CreateReason::AfterFailedJoin, &id, now).await {
            self.join_meeting(&id, self.stopwatch.elapsed(), true).await;
        }
    }

    /// Sends a create and records it; returns whether it succeeded.
    async fn create_meeting(&self, reason: CreateReason, id: &str, due_at: Duration) -> bool {
        let result = self.send_create(id).await;
        let duration = self.stopwatch.elapsed().saturating_sub(due_at);
        let is_successful = result.is_ok();
        let create = CreateRecord { id: id.to_owned(), reason, due_at, duration, result };
        self.records().record_create(create);
        is_successful
    }

    /// Sends a create without recording it.
    pub(super) async fn send_create(&self, id: &str) -> Result<MeetingLocation, String> {
        let sent_at = self.stopwatch.elapsed();
        let query = format!("{}&{PASSWORDS}", create_query(id));
        let response = self.send_call("create", &query).await?;
        if !is_success(&response) {
            return Err(describe_failure(&response));
        }
        let internal_id = response.xml_field("internalMeetingID");
        Ok(MeetingLocation { server: self.find_server(id, &internal_id), sent_at })
    }

    /// Sends a join, follows its redirect, and records it.
    async fn join_meeting(&self, id: &str, due_at: Duration, after_create: bool) -> JoinOutcome {
        let location = self.records().location(id).cloned();
        let response = self.send_join(id).await;
        let duration = self.stopwatch.elapsed().saturating_sub(due_at);
        let outcome = match response {
            Ok(response) => self.follow_redirect(&response).await,
            Err(outcome) => outcome,
        };
        let finished_at = self.stopwatch.elapsed();
        let join = JoinRecord {
            id: id.to_owned(),
            due_at,
            duration,
            finished_at,
            after_create,
            location,
            outcome: outcome.clone(),
        };
        self.records().joins.push(join);
        outcome
    }

    /// Sends a join and follows its redirect, without recording it.
    pub(super) async fn try_join(&self, id: &str) -> JoinOutcome {
        match self.send_join(id).await {
            Ok(response) => self.follow_redirect(&response).await,
            Err(outcome) => outcome,
        }
    }

    /// Sends a join; returns the redirect, or how the join ended without one.
    async fn send_join(&self, id: &str) -> Result<ClientResponse, JoinOutcome> {
        let query = format!("meetingID={id}&fullName=A&role=VIEWER");
        match self.send_call("join", &query).await {
            Ok(response) if response.status == 302 => Ok(response),
            Ok(response) => Err(JoinOutcome::Refused(describe_failure(&response))),
            Err(error) => Err(JoinOutcome::Unanswered(error)),
        }
    }

    /// Sends a signed call on a connection of its own.
    async fn send_call(&self, call: &str, query: &str) -> Result<ClientResponse, String> {
        let request = new_request("GET", &signed_target(call, query));
        match timeout(CLIENT_TIMEOUT, exchange(self.port, &request)).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(error)) => Err(error.root_cause().to_string()),
            Err(_) => Err(format!("no response in {} s", CLIENT_TIMEOUT.as_secs())),
        }
    }

    /// Follows the redirect of a join to the simulated server.
    async fn follow_redirect(&self, response: &ClientResponse) -> JoinOutcome {
        let location = response.header("location").unwrap_or_default();
        let Some((server, target)) = self.parse_redirect(location) else {
            return JoinOutcome::Refused(format!("redirected to {location}"));
        };
        let request = new_request("GET", target);
        let number = server.number();
        match timeout(REDIRECT_TIMEOUT, exchange(server.port(), &request)).await {
            Ok(Ok(page)) => match page.header("location") {
                Some(url) if url.contains("sessionToken=") => JoinOutcome::InMeeting(number),
                Some(url) => JoinOutcome::ServerRefused(number, url.to_owned()),
                None => JoinOutcome::ServerFailed(number, describe_failure(&page)),
            },
            Ok(Err(error)) => JoinOutcome::ServerFailed(number, error.root_cause().to_string()),
            Err(_) => JoinOutcome::ServerFailed(number, "no response".to_owned()),
        }
    }

    /// Splits a URL into its simulated server and the request target.
    fn parse_redirect<'a>(&self, location: &'a str) -> Option<(&BbbServer, &'a str)> {
        let rest = location.strip_prefix("http://127.0.0.1:")?;
        let slash = rest.find('/')?;
        let (port, target) = rest.split_at_checked(slash)?;
        Some((self.servers.get(&port.parse().ok()?)?, target))
    }

    fn find_server(&self, id: &str, internal_id: &str) -> Option<usize> {
        let has_meeting = |server: &&BbbServer| {
            server.meeting(id).is_some_and(|meeting| meeting.internal_id == internal_id)
        };
        self.servers.values().find(has_meeting).map(BbbServer::number)
    }
}

/// Describes a response other than the expected one.
fn describe_failure(response: &ClientResponse) -> String {
    let (key, message) = (response.xml_field("messageKey"), response.xml_field("message"));
    if key.is_empty() {
        return describe_response(response);
    }
    format!("{key}: {message}")
}

/// Draws all calls of a run, in order of time.
fn draw_calls(plan: &ChaosPlan) -> Vec<(Duration, ClientAction)> {
    let mut rng = SeededRng::new(plan.seed);
    let mut calls = Vec::new();
    for (per_s, are_joins) in [(plan.creates_per_s, false), (plan.joins_per_s, true)] {
        let mut due_at = draw_interval(per_s, &mut rng);
        while due_at < plan.duration {
            let action = match are_joins {
                true => ClientAction::Join,
                false if rng.draw_bool(plan.repeat_share) => ClientAction::Repeat,
                false => ClientAction::Create,
            };
            calls.push((due_at, action));
            due_at = due_at.saturating_add(draw_interval(per_s, &mut rng));
        }
    }
    calls.sort_by_key(|(due_at, _)| *due_at);
    calls
}
