//! Clients that create, join and look without a break, and keep a record of what they were told.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use testkit::product::{ClientResponse, Product, exchange, new_request, signed_target, wait_until};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use crate::tools::{create_query, describe_response, is_success, is_unavailable};

const CLIENTS: usize = 6;
/// What a client that was turned away waits before it goes on.
const PAUSE: Duration = Duration::from_millis(100);

/// A create that was answered SUCCESS.
#[derive(Clone, Debug)]
pub(crate) struct CreatedMeeting {
    pub(crate) id: String,
    pub(crate) internal_id: String,
    pub(crate) voice_bridge: String,
}

/// What clients were told so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct LoadRecord {
    pub(crate) created: Vec<CreatedMeeting>,
    /// Meetings whose create was not answered SUCCESS, or not at all.
    pub(crate) uncertain: Vec<String>,
    pub(crate) joined: usize,
    /// Answers that the store is unavailable.
    pub(crate) unavailable: usize,
    /// Calls without an answer.
    pub(crate) aborted: usize,
    /// Answers that no client should ever get.
    pub(crate) unexpected: Vec<String>,
    pub(crate) slowest: Duration,
}

struct SharedLoad {
    ports: Vec<u16>,
    is_over: AtomicBool,
    record: Mutex<LoadRecord>,
}

/// Clients at work.
pub(crate) struct LoadClients {
    shared: Arc<SharedLoad>,
    clients: Vec<JoinHandle<()>>,
}

impl LoadClients {
    /// Clients of all these, who go to the next one when theirs is gone.
    pub(crate) fn on(products: &[Product]) -> Self {
        let doors = products.iter().map(Product::port).collect();
        let shared =
            SharedLoad { ports: doors, is_over: AtomicBool::default(), record: Mutex::default() };
        let shared = Arc::new(shared);
        let client = |number| tokio::spawn(LoadClient { number, shared: shared.clone() }.run());
        let clients = (0..CLIENTS).map(client).collect();
        Self { shared, clients }
    }

    /// Waits until so many more creates have succeeded; returns how long that took.
    pub(crate) async fn wait_until_created(&self, more: usize) -> anyhow::Result<Duration> {
        let started = Instant::now();
        let wanted = self.shared.lock_record().created.len() + more;
        let enough = async || self.shared.lock_record().created.len() >= wanted;
        wait_until("created enough", enough).await?;
        Ok(started.elapsed())
    }

    /// Waits until so many calls have been answered that the store is unavailable.
    pub(crate) async fn wait_until_unavailable(&self, answers: usize) -> anyhow::Result<()> {
        let enough = async || self.shared.lock_record().unavailable >= answers;
        wait_until("told that the store is unavailable", enough).await
    }

    /// Lets the clients finish what they are at.
    pub(crate) async fn finish(self) -> anyhow::Result<LoadRecord> {
        self.shared.is_over.store(true, Ordering::Relaxed);
        for client in self.clients {
            client.await?;
        }
        Ok(self.shared.lock_record().clone())
    }
}

impl SharedLoad {
    fn lock_record(&self) -> MutexGuard<'_, LoadRecord> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct LoadClient {
    number: usize,
    shared: Arc<SharedLoad>,
}

impl LoadClient {
    async fn run(self) {
        let mut door = self.number;
        for n in 0.. {
            if self.shared.is_over.load(Ordering::Relaxed) {
                return;
            }
            let id = format!("c{}-{n}", self.number);
            if self.create_meeting(&mut door, &id).await {
                self.join_meeting(&mut door, &id).await;
                self.read_meeting(&mut door, &id).await;
            } else {
                sleep(PAUSE).await;
            }
        }
    }

    /// An answer that is a regular one; all others are recorded here.
    async fn send_call(&self, door: &mut usize, call: &str, query: &str) -> Option<ClientResponse> {
        let port = self.shared.ports[*door % self.shared.ports.len()];
        let started = Instant::now();
        let answer = exchange(port, &new_request("GET", &signed_target(call, query))).await;
        let mut record = self.shared.lock_record();
        record.slowest = record.slowest.max(started.elapsed());
        match answer {
            Ok(answer) if is_unavailable(&answer) => record.unavailable += 1,
            Ok(answer) => return Some(answer),
            Err(_) => {
                record.aborted += 1;
                *door += 1;
            }
        }
        None
    }

    async fn create_meeting(&self, door: &mut usize, id: &str) -> bool {
        let answer = self.send_call(door, "create", &create_query(id)).await;
        let mut record = self.shared.lock_record();
        let Some(answer) = answer.filter(|answer| {
            let fine = is_success(answer);
            if !fine {
                record.unexpected.push(format!("create {id}: {}", describe_response(answer)));
            }
            fine
        }) else {
            record.uncertain.push(id.to_owned());
            return false;
        };
        let (internal_id, voice_bridge) =
            (answer.xml_field("internalMeetingID"), answer.xml_field("voiceBridge"));
        record.created.push(CreatedMeeting { id: id.to_owned(), internal_id, voice_bridge });
        true
    }

    async fn join_meeting(&self, door: &mut usize, id: &str) {
        let query = format!("meetingID={id}&fullName=A&role=VIEWER");
        if let Some(answer) = self.send_call(door, "join", &query).await {
            let mut record = self.shared.lock_record();
            match answer.status {
                302 => record.joined += 1,
                _ => record.unexpected.push(format!("join {id}: {}", describe_response(&answer))),
            }
        }
    }

    async fn read_meeting(&self, door: &mut usize, id: &str) {
        if let Some(answer) =
            self.send_call(door, "isMeetingRunning", &format!("meetingID={id}")).await
            && !is_success(&answer)
        {
            self.shared
                .lock_record()
                .unexpected
                .push(format!("isMeetingRunning {id}: {}", describe_response(&answer)));
        }
    }
}
