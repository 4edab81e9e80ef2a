//! What happens around the clients: servers are struck and mended, and somebody keeps watch.

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

/// How often the watch looks.
pub(super) const CHECK_INTERVAL: Duration = Duration::from_millis(100);
/// For how long a server must have been offline to the balancer to be known dead: what is under way
/// meanwhile may still arrive.
const OFFLINE_KNOWN_AFTER: Duration = Duration::from_secs(1);

/// Strikes and mends servers when it is due; returns what happened when.
pub(super) async fn inject_faults(
    mut strikes: Vec<ScheduledFault>,
    pool: &BbbPool,
    watch: Stopwatch,
) -> Vec<ScheduledFault> {
    let begins = strikes.iter().enumerate().map(|(n, strike)| (strike.started_at, true, n));
    let ends = strikes.iter().enumerate().map(|(n, strike)| (strike.ended_at, false, n));
    let mut scenes: Vec<_> = begins.chain(ends).collect();
    scenes.sort_unstable();
    for (at, begins, n) in scenes {
        sleep_until(watch.instant_at(at)).await;
        let Some(strike) = strikes.get_mut(n) else { continue };
        let server = pool.server(strike.server);
        if begins {
            strike.started_at = watch.elapsed();
            strike.fault.apply(server);
        } else {
            strike.fault.clear(server);
            strike.ended_at = watch.elapsed();
        }
    }
    strikes
}

/// A create that arrived at a server.
#[derive(Clone, Debug)]
pub(super) struct CreateArrival {
    /// The server.
    pub(super) server: usize,
    /// About when: not later than this.
    pub(super) arrived_by: Duration,
    /// The meeting.
    pub(super) id: String,
    /// Whether the balancer itself had listed the server as offline for a while.
    pub(super) known_offline: bool,
}

/// What the watch has seen.
#[derive(Debug, Default)]
pub(super) struct MonitorLog {
    pub(super) arrivals: Vec<CreateArrival>,
    /// Meetings that the balancer had servers end.
    pub(super) end_count: usize,
    /// Looks at the list of servers that failed.
    pub(super) failed_reads: Vec<String>,
    offline_since: HashMap<usize, Duration>,
}

impl MonitorLog {
    /// Watches until the process ends, which is an error, or the watch is dropped.
    pub(super) async fn run(&mut self, world: &TestDeployment, watch: Stopwatch) -> anyhow::Error {
        loop {
            if let Err(error) = self.check_once(world, watch).await {
                return error;
            }
            sleep(CHECK_INTERVAL).await;
        }
    }

    /// One look; an error if the process is gone.
    pub(super) async fn check_once(
        &mut self,
        world: &TestDeployment,
        watch: Stopwatch,
    ) -> anyhow::Result<()> {
        world.product.memory_kib("VmHWM").context("the balancer is gone")?;
        // Before what it says now: what arrived was sent before that.
        let before = self.arrivals.len();
        self.collect_requests(&world.pool, watch.elapsed());
        match read_online_states(&world.product).await {
            Ok(online) => {
                self.update_offline(&world.pool, &online, watch.elapsed());
                // Back just now, perhaps before that.
                for arrival in self.arrivals.iter_mut().skip(before) {
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
            let known_dead = since.is_some_and(|since| *since + OFFLINE_KNOWN_AFTER < now);
            for request in server.take_log() {
                match request.call.as_str() {
                    "create" => self.arrivals.push(to_arrival(&request, now, known_dead)),
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

fn to_arrival(request: &RecordedRequest, at: Duration, known_dead: bool) -> CreateArrival {
    let pairs = form_urlencoded::parse(request.query.as_bytes());
    let id = pairs.into_iter().find(|(name, _)| name == "meetingID");
    let id = id.map(|(_, id)| id.into_owned()).unwrap_or_default();
    CreateArrival { server: request.server, arrived_by: at, id, known_offline: known_dead }
}

/// Whether each server is online, as the balancer says.
pub(super) async fn read_online_states(product: &Product) -> anyhow::Result<HashMap<String, bool>> {
    let servers = product.call_management("getServers", None).await?;
    let of = |server: &Value| {
        let url = server["url"].as_str().unwrap_or_default().to_owned();
        (url, server["online"] == "online")
    };
    Ok(servers.as_array().context("no list")?.iter().map(of).collect())
}
