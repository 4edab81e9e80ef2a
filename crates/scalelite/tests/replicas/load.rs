//! Clients that create, join and query meetings without a break, and record the responses.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use testkit::product::{ClientResponse, Product, exchange, new_request, signed_target, wait_until};
use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::tools::{create_query, describe_response, is_success, is_unavailable};

const CLIENTS: usize = 6;
/// How long a client waits after a create that failed.
const PAUSE: Duration = Duration::from_millis(100);

/// A meeting whose create succeeded.
#[derive(Clone, Debug)]
pub(crate) struct CreatedMeeting {
    pub(crate) id: String,
    pub(crate) internal_id: String,
    pub(crate) voice_bridge: String,
}

/// The responses of the balancers so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct LoadRecord {
    pub(crate) created: Vec<CreatedMeeting>,
    /// Ids of meetings whose create failed or had no response.
    pub(crate) uncertain: Vec<String>,
    pub(crate) joined: usize,
    /// The number of responses that the store is unavailable.
    pub(crate) unavailable: usize,
    /// The number of calls without a response.
    pub(crate) aborted: usize,
    /// Responses that no client should ever get.
    pub(crate) unexpected: Vec<String>,
}

struct SharedLoad {
    ports: Vec<u16>,
    is_over: AtomicBool,
    record: Mutex<LoadRecord>,
}

/// Running clients.
pub(crate) struct LoadClients {
    shared: Arc<SharedLoad>,
    clients: Vec<JoinHandle<()>>,
}

impl LoadClients {
    /// Starts clients of these balancers. A client whose balancer does not respond uses the next
    /// one.
    pub(crate) fn on(products: &[Product]) -> Self {
        let ports = products.iter().map(Product::port).collect();
        let (is_over, record) = (AtomicBool::default(), Mutex::default());
        let shared = Arc::new(SharedLoad { ports, is_over, record });
        let client = |number| tokio::spawn(LoadClient { number, shared: shared.clone() }.run());
        let clients = (0..CLIENTS).map(client).collect();
        Self { shared, clients }
    }

    /// Waits until `count` more creates have succeeded.
    pub(crate) async fn wait_until_created(&self, count: usize) -> anyhow::Result<()> {
        let target = self.shared.lock_record().created.len() + count;
        let is_reached = async || self.shared.lock_record().created.len() >= target;
        wait_until("created enough", is_reached).await
    }

    /// Waits until this number of responses said that the store is unavailable.
    pub(crate) async fn wait_until_unavailable(&self, count: usize) -> anyhow::Result<()> {
        let is_reached = async || self.shared.lock_record().unavailable >= count;
        wait_until("answered that the store is unavailable", is_reached).await
    }

    /// Lets the clients finish their current calls; returns the record.
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
        let mut product = self.number;
        for n in 0.. {
            if self.shared.is_over.load(Ordering::Relaxed) {
                return;
            }
            let id = format!("c{}-{n}", self.number);
            if self.create_meeting(&mut product, &id).await {
                self.join_meeting(&mut product, &id).await;
                self.read_meeting(&mut product, &id).await;
            } else {
                sleep(PAUSE).await;
            }
        }
    }

    /// Sends a call to the client's current balancer. Returns the response, unless there is none or
    /// the store is unavailable, which is recorded here.
    async fn send_call(
        &self,
        product: &mut usize,
        call: &str,
        query: &str,
    ) -> Option<ClientResponse> {
        let port = self.shared.ports[*product % self.shared.ports.len()];
        let response = exchange(port, &new_request("GET", &signed_target(call, query))).await;
        let mut record = self.shared.lock_record();
        match response {
            Ok(response) if is_unavailable(&response) => record.unavailable += 1,
            Ok(response) => return Some(response),
            Err(_) => {
                record.aborted += 1;
                *product += 1;
            }
        }
        None
    }

    async fn create_meeting(&self, product: &mut usize, id: &str) -> bool {
        let response = self.send_call(product, "create", &create_query(id)).await;
        let mut record = self.shared.lock_record();
        let Some(response) = response.filter(|response| {
            let is_created = is_success(response);
            if !is_created {
                record.unexpected.push(format!("create {id}: {}", describe_response(response)));
            }
            is_created
        }) else {
            record.uncertain.push(id.to_owned());
            return false;
        };
        let (internal_id, voice_bridge) =
            (response.xml_field("internalMeetingID"), response.xml_field("voiceBridge"));
        record.created.push(CreatedMeeting { id: id.to_owned(), internal_id, voice_bridge });
        true
    }

    async fn join_meeting(&self, product: &mut usize, id: &str) {
        let query = format!("meetingID={id}&fullName=A&role=VIEWER");
        if let Some(response) = self.send_call(product, "join", &query).await {
            let mut record = self.shared.lock_record();
            match response.status {
                302 => record.joined += 1,
                _ => record.unexpected.push(format!("join {id}: {}", describe_response(&response))),
            }
        }
    }

    async fn read_meeting(&self, product: &mut usize, id: &str) {
        if let Some(response) =
            self.send_call(product, "isMeetingRunning", &format!("meetingID={id}")).await
            && !is_success(&response)
        {
            self.shared
                .lock_record()
                .unexpected
                .push(format!("isMeetingRunning {id}: {}", describe_response(&response)));
        }
    }
}
