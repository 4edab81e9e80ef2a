//! The line of one use case to the servers: it carries calls to them through the weather, and sees
//! to it that no call is sent twice.

use std::sync::Arc;
use std::time::Duration;

use app::ports::{BackendAnswer, BackendCall, BbbClient, CallError};
use async_trait::async_trait;
use bbb::Query;
use bytes::Bytes;
use tokio::time::sleep;

use super::checkers;
use super::clock::Life;
use super::mutant::Mutant;
use super::op::{Kind, Op, name};
use super::weather::Fault;
use super::world::World;

/// How long it takes until a connection is refused.
const REFUSED_MS: u64 = 2;
const PAGE: &str = "<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>";

/// A use case's line to the servers.
pub(crate) struct Line {
    world: Arc<World>,
    life: Arc<Life>,
    op: Arc<Op>,
}

/// A call on its way.
struct Wire {
    host: String,
    call: String,
    query: String,
    response_ms: u64,
}

/// What the way does to a call.
#[derive(Clone, Copy)]
struct Passage {
    fault: Option<Fault>,
    latency_ms: u64,
}

impl Line {
    /// The line of this use case.
    #[must_use]
    pub(crate) fn new(world: Arc<World>, life: Arc<Life>, op: Arc<Op>) -> Self {
        Self { world, life, op }
    }

    fn note(&self, wire: &Wire) {
        let about = match (wire.call.as_str(), &self.op.kind) {
            // To look once more how a server is doing is another question at another time, and what is
            // not wanted on a server may be ended there by whoever notices.
            ("getMeetings" | "isMeetingRunning" | "", _) => return,
            // So does whoever asks before something is given up or ended.
            ("getMeetingInfo", kind) if !matches!(kind, Kind::Info(_)) => return,
            ("end", kind) if !matches!(kind, Kind::End(_)) => return,
            ("create", _) => Query::parse(&wire.query).get("meetingID").unwrap_or_default().into(),
            _ => wire.query.clone(),
        };
        let sent = (wire.host.clone(), wire.call.clone(), about);
        let first = self.op.seen().sent.insert(sent);
        // BBB takes the same create for one, so that it may be made again.
        let verdict = if first || wire.call == "create" {
            Ok(())
        } else {
            Err(format!("{} sent {} to {} twice", self.op, wire.call, wire.host))
        };
        self.world.judge("nothing_is_sent_twice", verdict);
    }

    /// What the weather does to a call that sets out now.
    fn passage(&self, wire: &Wire) -> Passage {
        let now = self.world.now();
        let mut machines = self.world.machines();
        let mut weather = self.world.weather();
        let latency_ms = weather.latency_ms();
        let Some(machine) = machines.get_mut(&wire.host) else {
            return Passage { fault: Some(Fault::Refused), latency_ms };
        };
        machine.tidy(now);
        let down = machine.down_until.map(|_| Fault::Refused);
        let fault = down.or_else(|| weather.strike(self.life.replica, &wire.host, now));
        if let Some(fault) = fault {
            // What waits for an answer now is in trouble until it gives up.
            let given_up = now.plus_ms(i64::try_from(wire.response_ms).unwrap_or(0));
            machine.troubled_at = machine.troubled_at.max(Some(given_up));
            self.op.seen().server_failed = true;
            drop((machines, weather));
            self.world.count(fault.name());
            self.world.say(|| format!("{} {} {}: {fault:?}", self.op, wire.host, wire.call));
        }
        Passage { fault, latency_ms }
    }

    /// The server does what it is asked.
    fn act(&self, wire: &Wire) -> Bytes {
        let now = self.world.now();
        if wire.call == "end" {
            let id = Query::parse(&wire.query).get("meetingID").unwrap_or_default().into_owned();
            let verdict = checkers::begun::may_be_ended(&self.world, &self.op, &wire.host, &id);
            self.world.judge("promised_meetings_are_not_ended", verdict);
        }
        let done = {
            let mut machines = self.world.machines();
            let Some(machine) = machines.get_mut(&wire.host) else {
                return Bytes::new();
            };
            let done = machine.answer(&wire.call, &wire.query, now);
            if let Some(room) = done.began.as_ref().and_then(|key| machine.rooms.get_mut(&key.id)) {
                room.born_by = self.op.number;
            }
            done
        };
        if let Some(key) = &done.began {
            self.world.count("meetings");
            self.world.say(|| format!("{} began {} on {}", self.op, name(key), wire.host));
            let verdict = checkers::begun::is_on_an_open_server(&self.world, &self.op, &wire.host);
            self.world.judge("new_meetings_are_on_open_servers", verdict);
            let verdict = checkers::begun::has_its_number(&self.world, &self.op, &wire.host, key);
            self.world.judge("new_meetings_have_their_number", verdict);
        }
        done.body.into()
    }

    async fn carry(&self, wire: &Wire, passage: Passage) -> Result<BackendAnswer, CallError> {
        let Passage { fault, latency_ms } = passage;
        let there = Duration::from_millis(latency_ms.div_ceil(2));
        let timeout = || CallError::Timeout(wire.response_ms);
        let broken = || CallError::Broken("reset by peer".to_owned());
        if fault == Some(Fault::Refused) {
            sleep(Duration::from_millis(REFUSED_MS)).await;
            return Err(CallError::Unreachable("connection refused".to_owned()));
        }
        sleep(there).await;
        let acts = !matches!(fault, Some(Fault::Silent | Fault::Page | Fault::Refused));
        let body = if acts { self.act(wire) } else { Bytes::new() };
        let extra_ms = match fault {
            Some(Fault::Silent | Fault::Swallowed) => u64::MAX,
            Some(Fault::Slow(ms)) => ms,
            _ => 0,
        };
        let wait_ms = latency_ms.saturating_add(extra_ms);
        sleep(Duration::from_millis(wait_ms.min(wire.response_ms)).saturating_sub(there)).await;
        if wait_ms >= wire.response_ms {
            return Err(timeout());
        }
        match fault {
            Some(Fault::Broken) => Err(broken()),
            Some(Fault::Page | Fault::PageAfter) => Ok(answer(502, PAGE.into())),
            Some(Fault::Garbage) => Ok(answer(200, body.slice(..body.len() / 2))),
            Some(Fault::Empty) => Ok(answer(200, Bytes::new())),
            _ => Ok(answer(200, body)),
        }
    }
}

fn answer(status: u16, body: Bytes) -> BackendAnswer {
    BackendAnswer { status, body, date: None }
}

/// Takes a URL apart.
fn wire(call: &BackendCall) -> Option<Wire> {
    let rest = call.url.strip_prefix("http://")?;
    let (host, path) = rest.split_once("/bigbluebutton/api")?;
    let (name, query) = path.split_once('?').unwrap_or((path, ""));
    Some(Wire {
        host: host.to_owned(),
        call: name.trim_start_matches('/').to_owned(),
        query: query.to_owned(),
        response_ms: call.patience.response_ms,
    })
}

#[async_trait]
impl BbbClient for Line {
    async fn send(&self, call: BackendCall) -> Result<BackendAnswer, CallError> {
        let Some(mut wire) = wire(&call) else {
            return Err(CallError::Unreachable("no such address".to_owned()));
        };
        if !self.life.is_alive() {
            return Err(CallError::Broken("crashed".to_owned()));
        }
        self.note(&wire);
        match self.world.vault.mutant() {
            Some(Mutant::SendsTwice) if wire.call == "end" => {
                self.note(&wire);
                self.act(&wire);
            }
            Some(Mutant::WaitsForEver) => wire.response_ms = 300_000,
            _ => {}
        }
        let passage = self.passage(&wire);
        self.carry(&wire, passage).await
    }
}
