//! What happens around the clients: servers are struck and mended, and somebody keeps watch.

use super::Stopwatch;
use super::faults::Strike;
use crate::product::Product;
use crate::world::World;
use anyhow::Context as _;
use bbb_sim::{Pool, Request};
use serde_json::Value;
use std::collections::HashMap;
use std::time::Duration;
use tokio::time::{sleep, sleep_until};

/// How often the watch looks.
pub(super) const LOOKS: Duration = Duration::from_millis(100);
/// For how long a server must have been offline to the balancer to be known dead: what is under way
/// meanwhile may still arrive.
const KNOWN: Duration = Duration::from_secs(1);

/// Strikes and mends servers when it is due; returns what happened when.
pub(super) async fn play(mut strikes: Vec<Strike>, pool: &Pool, watch: Stopwatch) -> Vec<Strike> {
    let begins = strikes.iter().enumerate().map(|(n, strike)| (strike.from, true, n));
    let ends = strikes.iter().enumerate().map(|(n, strike)| (strike.to, false, n));
    let mut scenes: Vec<_> = begins.chain(ends).collect();
    scenes.sort_unstable();
    for (at, begins, n) in scenes {
        sleep_until(watch.at(at)).await;
        let Some(strike) = strikes.get_mut(n) else { continue };
        let server = pool.server(strike.server);
        if begins {
            strike.from = watch.now();
            strike.trouble.strike(server);
        } else {
            strike.trouble.lift(server);
            strike.to = watch.now();
        }
    }
    strikes
}

/// A create that arrived at a server.
#[derive(Clone, Debug)]
pub(super) struct Arrival {
    /// The server.
    pub(super) server: usize,
    /// About when: not later than this.
    pub(super) at: Duration,
    /// The meeting.
    pub(super) id: String,
    /// Whether the balancer itself had listed the server as offline for a while.
    pub(super) known_dead: bool,
}

/// What the watch has seen.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) arrivals: Vec<Arrival>,
    /// Meetings that the balancer had servers end.
    pub(super) ends: usize,
    /// Looks at the list of servers that failed.
    pub(super) blind: Vec<String>,
    offline_since: HashMap<usize, Duration>,
}

impl Seen {
    /// Watches until the process ends, which is an error, or the watch is dropped.
    pub(super) async fn watch(&mut self, world: &World, watch: Stopwatch) -> anyhow::Error {
        loop {
            if let Err(error) = self.look(world, watch).await {
                return error;
            }
            sleep(LOOKS).await;
        }
    }

    /// One look; an error if the process is gone.
    pub(super) async fn look(&mut self, world: &World, watch: Stopwatch) -> anyhow::Result<()> {
        world.product.memory_kib("VmHWM").context("the balancer is gone")?;
        // Before what it says now: what arrived was sent before that.
        let before = self.arrivals.len();
        self.collect(&world.pool, watch.now());
        match standings(&world.product).await {
            Ok(online) => {
                self.compare(&world.pool, &online, watch.now());
                // Back just now, perhaps before that.
                for arrival in self.arrivals.iter_mut().skip(before) {
                    arrival.known_dead &= self.offline_since.contains_key(&arrival.server);
                }
            }
            Err(error) => self.blind.push(format!("{error:#}")),
        }
        Ok(())
    }

    fn collect(&mut self, pool: &Pool, now: Duration) {
        for server in pool.servers() {
            let since = self.offline_since.get(&server.number());
            let known_dead = since.is_some_and(|since| *since + KNOWN < now);
            for request in server.take_log() {
                match request.call.as_str() {
                    "create" => self.arrivals.push(arrival(&request, now, known_dead)),
                    "end" => self.ends += 1,
                    _ => {}
                }
            }
        }
    }

    fn compare(&mut self, pool: &Pool, online: &HashMap<String, bool>, now: Duration) {
        for server in pool.servers() {
            if online.get(&server.url()) == Some(&false) {
                self.offline_since.entry(server.number()).or_insert(now);
            } else {
                self.offline_since.remove(&server.number());
            }
        }
    }
}

fn arrival(request: &Request, at: Duration, known_dead: bool) -> Arrival {
    let pairs = form_urlencoded::parse(request.query.as_bytes());
    let id = pairs.into_iter().find(|(name, _)| name == "meetingID");
    let id = id.map(|(_, id)| id.into_owned()).unwrap_or_default();
    Arrival { server: request.server, at, id, known_dead }
}

/// Whether each server is online, as the balancer says.
pub(super) async fn standings(product: &Product) -> anyhow::Result<HashMap<String, bool>> {
    let servers = product.manage("getServers", None).await?;
    let of = |server: &Value| {
        let url = server["url"].as_str().unwrap_or_default().to_owned();
        (url, server["online"] == "online")
    };
    Ok(servers.as_array().context("no list")?.iter().map(of).collect())
}
