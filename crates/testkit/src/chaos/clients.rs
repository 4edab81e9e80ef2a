//! The clients: calls that come when they come, whatever became of those before.

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

/// How long a client waits for an answer.
pub(super) const CLIENT_TIMEOUT: Duration = Duration::from_secs(15);
/// How long a browser is followed to a server.
const REDIRECT_TIMEOUT: Duration = Duration::from_secs(3);
/// As front-ends do, so that a repeated create is taken for the same.
const PASSWORDS: &str = "attendeePW=attendee&moderatorPW=moderator";

/// Everything that clients share.
#[derive(Debug)]
pub(super) struct Clients {
    port: u16,
    servers: HashMap<u16, BbbServer>,
    stopwatch: Stopwatch,
    records: Mutex<CallRecords>,
}

/// What happens next.
enum ClientAction {
    Create,
    Repeat,
    Join,
}

impl Clients {
    pub(super) fn new(port: u16, pool: &BbbPool, watch: Stopwatch) -> Arc<Self> {
        let servers = pool.servers().iter().map(|server| (server.port(), server.clone()));
        Arc::new(Self {
            port,
            servers: servers.collect(),
            stopwatch: watch,
            records: Mutex::default(),
        })
    }

    pub(super) fn records(&self) -> MutexGuard<'_, CallRecords> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends all calls of the plan when they are due, and waits for the last answer.
    pub(super) async fn send_calls(self: Arc<Self>, plan: &ChaosPlan) -> anyhow::Result<()> {
        let (mut clicks, mut chance) = (JoinSet::new(), SeededRng::new(plan.seed ^ 0xC1));
        for (number, (at, click)) in draw_arrivals(plan).into_iter().enumerate() {
            sleep_until(self.stopwatch.instant_at(at)).await;
            while clicks.try_join_next().transpose()?.is_some() {}
            let known = self.pick_meeting(&mut chance);
            let me = Arc::clone(&self);
            match (click, known) {
                (ClientAction::Join, Some(id)) => clicks.spawn(me.run_join(id, at)),
                (ClientAction::Repeat, Some(id)) => {
                    clicks.spawn(me.run_create(CreateReason::Repeated, id, at))
                }
                (ClientAction::Join, None) => continue,
                (ClientAction::Create | ClientAction::Repeat, _) => {
                    clicks.spawn(me.run_create(CreateReason::New, format!("room-{number}"), at))
                }
            };
        }
        while clicks.join_next().await.transpose()?.is_some() {}
        Ok(())
    }

    /// Any meeting that was created.
    fn pick_meeting(&self, chance: &mut SeededRng) -> Option<String> {
        let ledger = self.records();
        let known = ledger.created_ids();
        known.get(chance.draw_index(known.len())).cloned()
    }

    async fn run_create(self: Arc<Self>, why: CreateReason, id: String, at: Duration) {
        self.create_meeting(why, &id, at).await;
    }

    /// A user's join; whoever does not get in has the meeting created and tries again, once.
    async fn run_join(self: Arc<Self>, id: String, at: Duration) {
        let refused = matches!(
            self.join_meeting(&id, at, false).await,
            JoinOutcome::Refused(_) | JoinOutcome::ServerRefused(..)
        );
        if refused
            && self
                .create_meeting(CreateReason::AfterFailedJoin, &id, self.stopwatch.elapsed())
                .await
        {
            self.join_meeting(&id, self.stopwatch.elapsed(), true).await;
        }
    }

    /// A create that was due then; whether it succeeded.
    async fn create_meeting(&self, why: CreateReason, id: &str, at: Duration) -> bool {
        let end = self.send_create(id).await;
        let (took, is_there) = (self.stopwatch.elapsed().saturating_sub(at), end.is_ok());
        self.records().record_create(CreateRecord {
            id: id.to_owned(),
            reason: why,
            due_at: at,
            duration: took,
            result: end,
        });
        is_there
    }

    /// A create that no ledger knows of.
    pub(super) async fn send_create(&self, id: &str) -> Result<MeetingLocation, String> {
        let since = self.stopwatch.elapsed();
        let answer = self.send_call("create", &format!("{}&{PASSWORDS}", create_query(id))).await?;
        if !is_success(&answer) {
            return Err(describe_failure(&answer));
        }
        let internal_id = answer.xml_field("internalMeetingID");
        Ok(MeetingLocation { server: self.find_server(id, &internal_id), sent_at: since })
    }

    /// A join that was due then, followed to its server.
    async fn join_meeting(&self, id: &str, at: Duration, after_create: bool) -> JoinOutcome {
        let home = self.records().location(id).cloned();
        let answer = self.send_join(id).await;
        let took = self.stopwatch.elapsed().saturating_sub(at);
        let way = match answer {
            Ok(answer) => self.follow_redirect(&answer).await,
            Err(way) => way,
        };
        let (id, over) = (id.to_owned(), self.stopwatch.elapsed());
        let joined = JoinRecord {
            id,
            due_at: at,
            duration: took,
            finished_at: over,
            after_create,
            location: home,
            outcome: way.clone(),
        };
        self.records().joins.push(joined);
        way
    }

    /// A join that no ledger knows of.
    pub(super) async fn try_join(&self, id: &str) -> JoinOutcome {
        match self.send_join(id).await {
            Ok(answer) => self.follow_redirect(&answer).await,
            Err(way) => way,
        }
    }

    /// The redirect of a join, or its end.
    async fn send_join(&self, id: &str) -> Result<ClientResponse, JoinOutcome> {
        let query = format!("meetingID={id}&fullName=A&role=VIEWER");
        match self.send_call("join", &query).await {
            Ok(answer) if answer.status == 302 => Ok(answer),
            Ok(answer) => Err(JoinOutcome::Refused(describe_failure(&answer))),
            Err(error) => Err(JoinOutcome::Unanswered(error)),
        }
    }

    /// A signed call on a connection of its own; the error says what became of it.
    async fn send_call(&self, call: &str, query: &str) -> Result<ClientResponse, String> {
        let request = new_request("GET", &signed_target(call, query));
        match timeout(CLIENT_TIMEOUT, exchange(self.port, &request)).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(error.root_cause().to_string()),
            Err(_) => Err(format!("no answer in {} s", CLIENT_TIMEOUT.as_secs())),
        }
    }

    /// Where the browser of a user ends that was redirected.
    async fn follow_redirect(&self, answer: &ClientResponse) -> JoinOutcome {
        let location = answer.header("location").unwrap_or_default();
        let Some((server, target)) = self.parse_redirect(location) else {
            return JoinOutcome::Refused(format!("redirected to {location}"));
        };
        let request = new_request("GET", target);
        let number = server.number();
        match timeout(REDIRECT_TIMEOUT, exchange(server.port(), &request)).await {
            Ok(Ok(page)) => match page.header("location") {
                Some(inside) if inside.contains("sessionToken=") => JoinOutcome::InMeeting(number),
                Some(outside) => JoinOutcome::ServerRefused(number, outside.to_owned()),
                None => JoinOutcome::ServerFailed(number, describe_failure(&page)),
            },
            Ok(Err(error)) => JoinOutcome::ServerFailed(number, error.root_cause().to_string()),
            Err(_) => JoinOutcome::ServerFailed(number, "no answer".to_owned()),
        }
    }

    /// The simulated server and what it is asked.
    fn parse_redirect<'a>(&self, location: &'a str) -> Option<(&BbbServer, &'a str)> {
        let rest = location.strip_prefix("http://127.0.0.1:")?;
        let at = rest.find('/')?;
        let (port, target) = rest.split_at_checked(at)?;
        Some((self.servers.get(&port.parse().ok()?)?, target))
    }

    fn find_server(&self, id: &str, internal_id: &str) -> Option<usize> {
        let is_it = |server: &&BbbServer| {
            server.meeting(id).is_some_and(|meeting| meeting.internal_id == internal_id)
        };
        self.servers.values().find(is_it).map(BbbServer::number)
    }
}

/// What a client makes of an answer that is none it wants.
fn describe_failure(answer: &ClientResponse) -> String {
    let (key, message) = (answer.xml_field("messageKey"), answer.xml_field("message"));
    if key.is_empty() {
        return describe_response(answer);
    }
    format!("{key}: {message}")
}

/// All clicks in order of time.
fn draw_arrivals(plan: &ChaosPlan) -> Vec<(Duration, ClientAction)> {
    let mut chance = SeededRng::new(plan.seed);
    let mut clicks = Vec::new();
    for (per_s, joins) in [(plan.creates_per_s, false), (plan.joins_per_s, true)] {
        let mut at = draw_interval(per_s, &mut chance);
        while at < plan.duration {
            let click = match joins {
                true => ClientAction::Join,
                false if chance.draw_fraction() < plan.repeat_share => ClientAction::Repeat,
                false => ClientAction::Create,
            };
            clicks.push((at, click));
            at = at.saturating_add(draw_interval(per_s, &mut chance));
        }
    }
    clicks.sort_by_key(|(at, _)| *at);
    clicks
}
