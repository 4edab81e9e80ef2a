//! Injects the faults into the servers, and observes servers and balancer during the run.

use super::Stopwatch;
use super::faults::ScheduledFault;
use crate::deployment::TestDeployment;
use crate::product::Product;
use anyhow::Context as _;
use bbb_sim::{BbbPool, RecordedRequest};
use serde_json::Value;
use std::collections::HashMap;
use std::time::Duration;
use tokio::time::{sleep, sleep_until};

/// The time between two observations.
pub(super) const CHECK_INTERVAL: Duration = Duration::from_millis(100);
/// How long the balancer must have listed a server as offline before a create that arrives there
/// counts as sent to an offline server; requests that were sent before may arrive until then.
const OFFLINE_KNOWN_AFTER: Duration = Duration::from_secs(1);

/// Applies and clears each fault at its time; returns the faults with the actual times.
pub(super) async fn inject_faults(
    mut faults: Vec<ScheduledFault>,
    pool: &BbbPool,
    stopwatch: Stopwatch,
) -> Vec<ScheduledFault> {
    let begins = faults.iter().enumerate().map(|(n, fault)| (fault.started_at, true, n));
    let ends = faults.iter().enumerate().map(|(n, fault)| (fault.ended_at, false, n));
    let mut changes: Vec<_> = begins.chain(ends).collect();
    changes.sort_unstable();
    for (at, begins, n) in changes {
        sleep_until(stopwatch.instant_at(at)).await;
        let Some(fault) = faults.get_mut(n) else { continue };
        let server = pool.server(fault.server);
        if begins {
            fault.started_at = stopwatch.elapsed();
            fault.kind.apply(server);
        } else {
            fault.kind.clear(server);
            fault.ended_at = stopwatch.elapsed();
        }
    }
    faults
}

/// A create that arrived at a server.
#[derive(Clone, Debug)]
pub(super) struct CreateArrival {
    /// The number of the server.
    pub(super) server: usize,
    /// The time of the observation after its arrival.
    pub(super) arrived_by: Duration,
    /// The id of the meeting.
    pub(super) id: String,
    /// Whether the balancer had listed the server as offline for a while.
    pub(super) known_offline: bool,
}

/// What was observed during a run.
#[derive(Debug, Default)]
pub(super) struct MonitorLog {
    pub(super) arrivals: Vec<CreateArrival>,
    /// Number of `end` calls that arrived at servers.
    pub(super) end_count: usize,
    /// Errors of the management call that lists the servers.
    pub(super) failed_reads: Vec<String>,
    offline_since: HashMap<usize, Duration>,
}

impl MonitorLog {
    /// Observes until the future is dropped, or the balancer's process has ended, which is returned
    /// as an error.
    pub(super) async fn run(
        &mut self,
        deployment: &TestDeployment,
        stopwatch: Stopwatch,
    ) -> anyhow::Error {
        loop {
            if let Err(error) = self.check_once(deployment, stopwatch).await {
                return error;
            }
            sleep(CHECK_INTERVAL).await;
        }
    }

    /// Observes once; fails if the balancer's process has ended.
    pub(super) async fn check_once(
        &mut self,
        deployment: &TestDeployment,
        stopwatch: Stopwatch,
    ) -> anyhow::Result<()> {
        deployment.product.memory_kib("VmHWM").context("the balancer has ended")?;
        // Requests are collected before the list of servers is read, since they were sent before.
        let known_count = self.arrivals.len();
        self.collect_requests(&deployment.pool, stopwatch.elapsed());
        match read_online_states(&deployment.product).await {
            Ok(online) => {
                self.update_offline(&deployment.pool, &online, stopwatch.elapsed());
                // The server may have come back online before the request was sent.
                for arrival in self.arrivals.iter_mut().skip(known_count) {
                    arrival.known_offline &= self.offline_since.contains_key(&arrival.server);
                }
            }
            Err(error) => self.failed_reads.push(format!("{error:#}")),
        }
        Ok(())
    }

    fn collect_requests(&mut self, pool: &BbbPool, now: Duration) {
        for server in pool.servers() {
            let since = self.offline_since.get(&server.number());
            let known_offline = since.is_some_and(|since| *since + OFFLINE_KNOWN_AFTER < now);
            for request in server.take_log() {
                match request.call.as_str() {
                    "create" => self.arrivals.push(to_arrival(&request, now, known_offline)),
                    "end" => self.end_count += 1,
                    _ => {}
                }
            }
        }
    }

    fn update_offline(&mut self, pool: &BbbPool, online: &HashMap<String, bool>, now: Duration) {
        for server in pool.servers() {
            if online.get(&server.url()) == Some(&false) {
                self.offline_since.entry(server.number()).or_insert(now);
            } else {
                self.offline_since.remove(&server.number());
            }
        }
    }
}

fn to_arrival(request: &RecordedRequest, now: Duration, known_offline: bool) -> CreateArrival {
    let pairs = form_urlencoded::parse(request.query.as_bytes());
    let id = pairs.into_iter().find(|(name, _)| name == "meetingID");
    let id = id.map(|(_, id)| id.into_owned()).unwrap_or_default();
    CreateArrival { server: request.server, arrived_by: now, id, known_offline }
}

/// Asks the balancer which servers are online; returns the answer by URL.
pub(super) async fn read_online_states(product: &Product) -> anyhow::Result<HashMap<String, bool>> {
    let servers = product.call_management("getServers", None).await?;
    let state = |server: &Value| {
        let url = server["url"].as_str().unwrap_or_default().to_owned();
        (url, server["online"] == "online")
    };
    Ok(servers
        .as_array()
        .context("the list of servers is not an array")?
        .iter()
        .map(state)
        .collect())
}
