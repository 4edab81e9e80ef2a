//! Clients that create, join and look without a break, and keep a record of what they were told.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use testkit::product::{Answer, Product, exchange, outgoing, signed, until};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use crate::tools::{is_success, is_unavailable, named, told};

const CLIENTS: usize = 6;
/// What a client that was turned away waits before it goes on.
const PAUSE: Duration = Duration::from_millis(100);

/// A create that was answered SUCCESS.
#[derive(Clone, Debug)]
pub(crate) struct Created {
    pub(crate) id: String,
    pub(crate) internal_id: String,
    pub(crate) voice_bridge: String,
}

/// What clients were told so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Record {
    pub(crate) created: Vec<Created>,
    /// Meetings whose create was not answered SUCCESS, or not at all.
    pub(crate) uncertain: Vec<String>,
    pub(crate) joined: usize,
    /// Answers that the store is unavailable.
    pub(crate) unavailable: usize,
    /// Calls without an answer.
    pub(crate) cut: usize,
    /// Answers that no client should ever get.
    pub(crate) odd: Vec<String>,
    pub(crate) slowest: Duration,
}

struct Shared {
    doors: Vec<u16>,
    over: AtomicBool,
    record: Mutex<Record>,
}

/// Clients at work.
pub(crate) struct Load {
    shared: Arc<Shared>,
    clients: Vec<JoinHandle<()>>,
}

impl Load {
    /// Clients of all these, who go to the next one when theirs is gone.
    pub(crate) fn on(products: &[Product]) -> Self {
        let doors = products.iter().map(Product::port).collect();
        let shared = Shared { doors, over: AtomicBool::default(), record: Mutex::default() };
        let shared = Arc::new(shared);
        let client = |number| tokio::spawn(Client { number, shared: shared.clone() }.work());
        let clients = (0..CLIENTS).map(client).collect();
        Self { shared, clients }
    }

    /// Waits until so many more creates have succeeded; returns how long that took.
    pub(crate) async fn until_created(&self, more: usize) -> anyhow::Result<Duration> {
        let started = Instant::now();
        let wanted = self.shared.record().created.len() + more;
        let enough = async || self.shared.record().created.len() >= wanted;
        until("created enough", enough).await?;
        Ok(started.elapsed())
    }

    /// Waits until so many calls have been answered that the store is unavailable.
    pub(crate) async fn until_unavailable(&self, answers: usize) -> anyhow::Result<()> {
        let enough = async || self.shared.record().unavailable >= answers;
        until("told that the store is unavailable", enough).await
    }

    /// Lets the clients finish what they are at.
    pub(crate) async fn finish(self) -> anyhow::Result<Record> {
        self.shared.over.store(true, Ordering::Relaxed);
        for client in self.clients {
            client.await?;
        }
        Ok(self.shared.record().clone())
    }
}

impl Shared {
    fn record(&self) -> MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Client {
    number: usize,
    shared: Arc<Shared>,
}

impl Client {
    async fn work(self) {
        let mut door = self.number;
        for n in 0.. {
            if self.shared.over.load(Ordering::Relaxed) {
                return;
            }
            let id = format!("c{}-{n}", self.number);
            if self.creates(&mut door, &id).await {
                self.joins(&mut door, &id).await;
                self.looks(&mut door, &id).await;
            } else {
                sleep(PAUSE).await;
            }
        }
    }

    /// An answer that is a regular one; all others are recorded here.
    async fn ask(&self, door: &mut usize, call: &str, query: &str) -> Option<Answer> {
        let port = self.shared.doors[*door % self.shared.doors.len()];
        let started = Instant::now();
        let answer = exchange(port, &outgoing("GET", &signed(call, query))).await;
        let mut record = self.shared.record();
        record.slowest = record.slowest.max(started.elapsed());
        match answer {
            Ok(answer) if is_unavailable(&answer) => record.unavailable += 1,
            Ok(answer) => return Some(answer),
            Err(_) => {
                record.cut += 1;
                *door += 1;
            }
        }
        None
    }

    async fn creates(&self, door: &mut usize, id: &str) -> bool {
        let answer = self.ask(door, "create", &named(id)).await;
        let mut record = self.shared.record();
        let Some(answer) = answer.filter(|answer| {
            let fine = is_success(answer);
            if !fine {
                record.odd.push(format!("create {id}: {}", told(answer)));
            }
            fine
        }) else {
            record.uncertain.push(id.to_owned());
            return false;
        };
        let (internal_id, voice_bridge) =
            (answer.field("internalMeetingID"), answer.field("voiceBridge"));
        record.created.push(Created { id: id.to_owned(), internal_id, voice_bridge });
        true
    }

    async fn joins(&self, door: &mut usize, id: &str) {
        let query = format!("meetingID={id}&fullName=A&role=VIEWER");
        if let Some(answer) = self.ask(door, "join", &query).await {
            let mut record = self.shared.record();
            match answer.status {
                302 => record.joined += 1,
                _ => record.odd.push(format!("join {id}: {}", told(&answer))),
            }
        }
    }

    async fn looks(&self, door: &mut usize, id: &str) {
        if let Some(answer) = self.ask(door, "isMeetingRunning", &format!("meetingID={id}")).await
            && !is_success(&answer)
        {
            self.shared.record().odd.push(format!("isMeetingRunning {id}: {}", told(&answer)));
        }
    }
}
