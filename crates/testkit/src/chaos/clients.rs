//! The clients: calls that come when they come, whatever became of those before.

use super::chance::Chance;
use super::ledger::{Created, Home, Joined, Ledger, Way, Why};
use super::{Plan, Stopwatch};
use crate::answers::{is_success, named, told};
use crate::product::{Answer, exchange, outgoing, signed};
use bbb_sim::{Pool, Server};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::{sleep_until, timeout};

/// How long a client waits for an answer.
pub(super) const PATIENCE: Duration = Duration::from_secs(15);
/// How long a browser is followed to a server.
const FOLLOWED: Duration = Duration::from_secs(3);
/// As front-ends do, so that a repeated create is taken for the same.
const PASSWORDS: &str = "attendeePW=attendee&moderatorPW=moderator";

/// Everything that clients share.
#[derive(Debug)]
pub(super) struct Clients {
    port: u16,
    servers: HashMap<u16, Server>,
    watch: Stopwatch,
    ledger: Mutex<Ledger>,
}

/// What happens next.
enum Click {
    Create,
    Repeat,
    Join,
}

impl Clients {
    pub(super) fn new(port: u16, pool: &Pool, watch: Stopwatch) -> Arc<Self> {
        let servers = pool.servers().iter().map(|server| (server.port(), server.clone()));
        Arc::new(Self { port, servers: servers.collect(), watch, ledger: Mutex::default() })
    }

    pub(super) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends all calls of the plan when they are due, and waits for the last answer.
    pub(super) async fn work(self: Arc<Self>, plan: &Plan) -> anyhow::Result<()> {
        let (mut clicks, mut chance) = (JoinSet::new(), Chance::new(plan.seed ^ 0xC1));
        for (number, (at, click)) in arrivals(plan).into_iter().enumerate() {
            sleep_until(self.watch.at(at)).await;
            while clicks.try_join_next().transpose()?.is_some() {}
            let known = self.pick(&mut chance);
            let me = Arc::clone(&self);
            match (click, known) {
                (Click::Join, Some(id)) => clicks.spawn(me.joins(id, at)),
                (Click::Repeat, Some(id)) => clicks.spawn(me.creates(Why::Repeated, id, at)),
                (Click::Join, None) => continue,
                (Click::Create | Click::Repeat, _) => {
                    clicks.spawn(me.creates(Why::New, format!("room-{number}"), at))
                }
            };
        }
        while clicks.join_next().await.transpose()?.is_some() {}
        Ok(())
    }

    /// Any meeting that was created.
    fn pick(&self, chance: &mut Chance) -> Option<String> {
        let ledger = self.ledger();
        let known = ledger.known();
        known.get(chance.below(known.len())).cloned()
    }

    async fn creates(self: Arc<Self>, why: Why, id: String, at: Duration) {
        self.create(why, &id, at).await;
    }

    /// A user's join; whoever does not get in has the meeting created and tries again, once.
    async fn joins(self: Arc<Self>, id: String, at: Duration) {
        let refused =
            matches!(self.join(&id, at, false).await, Way::Refused(_) | Way::TurnedAway(..));
        if refused && self.create(Why::Again, &id, self.watch.now()).await {
            self.join(&id, self.watch.now(), true).await;
        }
    }

    /// A create that was due then; whether it succeeded.
    async fn create(&self, why: Why, id: &str, at: Duration) -> bool {
        let end = self.found(id).await;
        let (took, is_there) = (self.watch.now().saturating_sub(at), end.is_ok());
        self.ledger().note_create(Created { id: id.to_owned(), why, at, took, end });
        is_there
    }

    /// A create that no ledger knows of.
    pub(super) async fn found(&self, id: &str) -> Result<Home, String> {
        let since = self.watch.now();
        let answer = self.ask("create", &format!("{}&{PASSWORDS}", named(id))).await?;
        if !is_success(&answer) {
            return Err(gist(&answer));
        }
        let internal_id = answer.field("internalMeetingID");
        Ok(Home { server: self.server_of(id, &internal_id), since })
    }

    /// A join that was due then, followed to its server.
    async fn join(&self, id: &str, at: Duration, after_create: bool) -> Way {
        let home = self.ledger().home(id).cloned();
        let answer = self.shown(id).await;
        let took = self.watch.now().saturating_sub(at);
        let way = match answer {
            Ok(answer) => self.follow(&answer).await,
            Err(way) => way,
        };
        let (id, over) = (id.to_owned(), self.watch.now());
        let joined = Joined { id, at, took, over, after_create, home, way: way.clone() };
        self.ledger().joins.push(joined);
        way
    }

    /// A join that no ledger knows of.
    pub(super) async fn visit(&self, id: &str) -> Way {
        match self.shown(id).await {
            Ok(answer) => self.follow(&answer).await,
            Err(way) => way,
        }
    }

    /// The redirect of a join, or its end.
    async fn shown(&self, id: &str) -> Result<Answer, Way> {
        let query = format!("meetingID={id}&fullName=A&role=VIEWER");
        match self.ask("join", &query).await {
            Ok(answer) if answer.status == 302 => Ok(answer),
            Ok(answer) => Err(Way::Refused(gist(&answer))),
            Err(error) => Err(Way::Unanswered(error)),
        }
    }

    /// A signed call on a connection of its own; the error says what became of it.
    async fn ask(&self, call: &str, query: &str) -> Result<Answer, String> {
        let request = outgoing("GET", &signed(call, query));
        match timeout(PATIENCE, exchange(self.port, &request)).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(error.root_cause().to_string()),
            Err(_) => Err(format!("no answer in {} s", PATIENCE.as_secs())),
        }
    }

    /// Where the browser of a user ends that was redirected.
    async fn follow(&self, answer: &Answer) -> Way {
        let location = answer.header("location").unwrap_or_default();
        let Some((server, target)) = self.target(location) else {
            return Way::Refused(format!("redirected to {location}"));
        };
        let request = outgoing("GET", target);
        let number = server.number();
        match timeout(FOLLOWED, exchange(server.port(), &request)).await {
            Ok(Ok(page)) => match page.header("location") {
                Some(inside) if inside.contains("sessionToken=") => Way::In(number),
                Some(outside) => Way::TurnedAway(number, outside.to_owned()),
                None => Way::Stranded(number, gist(&page)),
            },
            Ok(Err(error)) => Way::Stranded(number, error.root_cause().to_string()),
            Err(_) => Way::Stranded(number, "no answer".to_owned()),
        }
    }

    /// The simulated server and what it is asked.
    fn target<'a>(&self, location: &'a str) -> Option<(&Server, &'a str)> {
        let rest = location.strip_prefix("http://127.0.0.1:")?;
        let at = rest.find('/')?;
        let (port, target) = rest.split_at_checked(at)?;
        Some((self.servers.get(&port.parse().ok()?)?, target))
    }

    fn server_of(&self, id: &str, internal_id: &str) -> Option<usize> {
        let is_it = |server: &&Server| {
            server.meeting(id).is_some_and(|meeting| meeting.internal_id == internal_id)
        };
        self.servers.values().find(is_it).map(Server::number)
    }
}

/// What a client makes of an answer that is none it wants.
fn gist(answer: &Answer) -> String {
    let (key, message) = (answer.field("messageKey"), answer.field("message"));
    if key.is_empty() {
        return told(answer);
    }
    format!("{key}: {message}")
}

/// All clicks in order of time.
fn arrivals(plan: &Plan) -> Vec<(Duration, Click)> {
    let mut chance = Chance::new(plan.seed);
    let mut clicks = Vec::new();
    for (per_s, joins) in [(plan.creates_per_s, false), (plan.joins_per_s, true)] {
        let mut at = chance.pause(per_s);
        while at < plan.length {
            let click = match joins {
                true => Click::Join,
                false if chance.uniform() < plan.repeated => Click::Repeat,
                false => Click::Create,
            };
            clicks.push((at, click));
            at = at.saturating_add(chance.pause(per_s));
        }
    }
    clicks.sort_by_key(|(at, _)| *at);
    clicks
}
