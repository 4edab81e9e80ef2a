//! After the storm: whether everything is in order again, and whether every meeting that somebody
//! was told of can be joined.

use super::Stopwatch;
use super::clients::Clients;
use super::faults::Strike;
use super::ledger::Way;
use super::stage::{LOOKS, standings};
use crate::world::{World, homes};
use bbb_sim::Server;
use futures_util::{StreamExt as _, stream};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::sleep;

/// How long things may take to settle: doubles are left alone for half a minute (MEETING_GRACE), and of a meeting
/// that lives three times, what is left of it is one then.
const SETTLED_BY: Duration = Duration::from_secs(90);
/// How long they must be in order to count as settled: longer than the time between two polls.
const CALM: Duration = Duration::from_millis(2_500);
const AT_ONCE: usize = 16;

/// How things were when they had settled, or had had the time to.
#[derive(Debug, Default)]
pub(super) struct Audit {
    /// How long they took, from the last answer.
    pub(super) settled_after: Option<Duration>,
    /// Meetings that live on two servers or more.
    pub(super) doubles: BTreeMap<String, Vec<usize>>,
    /// Servers that are well and offline all the same.
    pub(super) offline: Vec<usize>,
    /// Meetings that live and cannot be joined, and why not.
    pub(super) unreachable: Vec<(String, String)>,
    /// Meetings that are gone though no server that had them was killed.
    pub(super) vanished: Vec<String>,
    /// Meetings that a killed server took along.
    pub(super) lost: usize,
    /// Of those lost or vanished, those that cannot be created again and joined, and why not.
    pub(super) stuck: Vec<(String, String)>,
    /// Meetings that live although nobody was told so.
    pub(super) orphans: usize,
    /// Users who had been in and whose server was killed.
    pub(super) users_lost: usize,
    /// Users who had been in and whose meeting was ended though its server lives.
    pub(super) users_cut_off: usize,
}

impl Audit {
    /// Waits until all is in order, and looks closely.
    pub(super) async fn of(
        world: &World,
        clients: &Clients,
        strikes: &[Strike],
        watch: Stopwatch,
    ) -> Self {
        let mut audit = Self::default();
        audit.settle(world, watch).await;
        audit.look(world, clients, strikes).await;
        audit
    }

    async fn settle(&mut self, world: &World, watch: Stopwatch) {
        let (begun, mut calm_since) = (watch.now(), None);
        while watch.now() < begun + SETTLED_BY {
            self.doubles = doubles(world);
            self.offline = offline(world).await;
            if !self.doubles.is_empty() || !self.offline.is_empty() {
                calm_since = None;
            } else {
                let since = *calm_since.get_or_insert(watch.now());
                if watch.now() > since + CALM {
                    self.settled_after = Some(since.saturating_sub(begun));
                    return;
                }
            }
            sleep(LOOKS).await;
        }
    }

    async fn look(&mut self, world: &World, clients: &Clients, strikes: &[Strike]) {
        let there = homes(&world.pool);
        let known = clients.ledger().known().to_vec();
        let (mut living, mut gone) = (Vec::new(), Vec::new());
        for id in known {
            match there.get(&id) {
                Some(servers) => living.push((id, numbers(servers))),
                None => gone.push(id),
            }
        }
        self.orphans = there.len() - living.len();
        self.count_users(world, clients, strikes);
        for id in &gone {
            if was_killed(clients, strikes, id) {
                self.lost += 1;
            } else {
                self.vanished.push(id.clone());
            }
        }
        let joins = living.iter().map(|(id, servers)| reach(clients, id, servers));
        let joins = stream::iter(joins).buffer_unordered(AT_ONCE);
        self.unreachable = joins.filter_map(std::future::ready).collect().await;
        let creates = gone.iter().map(|id| revive(clients, id));
        let creates = stream::iter(creates).buffer_unordered(AT_ONCE);
        self.stuck = creates.filter_map(std::future::ready).collect().await;
    }
}

// Users.
impl Audit {
    fn count_users(&mut self, world: &World, clients: &Clients, strikes: &[Strike]) {
        for join in &clients.ledger().joins {
            let Way::In(server) = join.way else { continue };
            let killed = |strike: &Strike| {
                strike.trouble.loses_meetings() && strike.server == server && strike.from >= join.at
            };
            if strikes.iter().any(killed) {
                self.users_lost += 1;
            } else if world.pool.server(server).meeting(&join.id).is_none() {
                self.users_cut_off += 1;
            }
        }
    }
}

fn numbers(servers: &[&Server]) -> Vec<usize> {
    servers.iter().map(|server| server.number()).collect()
}

fn doubles(world: &World) -> BTreeMap<String, Vec<usize>> {
    let there = homes(&world.pool).into_iter().filter(|(_, servers)| servers.len() > 1);
    there.map(|(id, servers)| (id, numbers(&servers))).collect()
}

async fn offline(world: &World) -> Vec<usize> {
    let online = standings(&world.product).await.unwrap_or_default();
    let is_off = |server: &&Server| online.get(&server.url()) != Some(&true);
    world.pool.servers().iter().filter(is_off).map(Server::number).collect()
}

/// Whether a server that has ever had it was killed after that.
fn was_killed(clients: &Clients, strikes: &[Strike], id: &str) -> bool {
    let ledger = clients.ledger();
    let homes = ledger.creates.iter().filter(|create| create.id == id);
    homes.filter_map(|create| Some((create.end.as_ref().ok()?, create.at))).any(|(home, at)| {
        let killed = |strike: &&Strike| strike.trouble.loses_meetings() && strike.from >= at;
        // A server that was killed at once is not known to have had it.
        let had = |strike: &Strike| home.server.is_none_or(|server| server == strike.server);
        strikes.iter().filter(killed).any(had)
    })
}

/// What is wrong with a meeting that lives, if anything.
async fn reach(clients: &Clients, id: &str, servers: &[usize]) -> Option<(String, String)> {
    let way = clients.visit(id).await;
    let there = matches!(way, Way::In(server) if servers.contains(&server));
    (!there).then(|| (id.to_owned(), format!("on {servers:?}: {way:?}")))
}

/// What is wrong with a meeting that is gone, if anything.
async fn revive(clients: &Clients, id: &str) -> Option<(String, String)> {
    if let Err(error) = clients.found(id).await {
        return Some((id.to_owned(), error));
    }
    let way = clients.visit(id).await;
    (!matches!(way, Way::In(_))).then(|| (id.to_owned(), format!("{way:?}")))
}
