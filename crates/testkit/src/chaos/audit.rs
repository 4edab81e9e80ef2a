//! After the storm: whether everything is in order again, and whether every meeting that somebody
//! was told of can be joined.

use super::Stopwatch;
use super::call_records::JoinOutcome;
use super::clients::Clients;
use super::faults::ScheduledFault;
use super::monitor::{CHECK_INTERVAL, read_online_states};
use crate::deployment::{TestDeployment, servers_by_meeting};
use bbb_sim::BbbServer;
use futures_util::{StreamExt as _, stream};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::sleep;

/// How long things may take to settle: doubles are left alone for half a minute (MEETING_GRACE), and of a meeting
/// that lives three times, what is left of it is one then.
const MAX_SETTLE_TIME: Duration = Duration::from_secs(90);
/// How long they must be in order to count as settled: longer than the time between two polls.
const STABLE_TIME: Duration = Duration::from_millis(2_500);
const MAX_CONCURRENT: usize = 16;

/// How things were when they had settled, or had had the time to.
#[derive(Debug, Default)]
pub(super) struct Audit {
    /// How long they took, from the last answer.
    pub(super) settled_after: Option<Duration>,
    /// Meetings that live on two servers or more.
    pub(super) duplicates: BTreeMap<String, Vec<usize>>,
    /// Servers that are well and offline all the same.
    pub(super) offline: Vec<usize>,
    /// Meetings that live and cannot be joined, and why not.
    pub(super) unreachable: Vec<(String, String)>,
    /// Meetings that are gone though no server that had them was killed.
    pub(super) vanished: Vec<String>,
    /// Meetings that a killed server took along.
    pub(super) lost: usize,
    /// Of those lost or vanished, those that cannot be created again and joined, and why not.
    pub(super) not_recreatable: Vec<(String, String)>,
    /// Meetings that live although nobody was told so.
    pub(super) unacknowledged: usize,
    /// Users who had been in and whose server was killed.
    pub(super) users_lost: usize,
    /// Users who had been in and whose meeting was ended though its server lives.
    pub(super) users_cut_off: usize,
}

impl Audit {
    /// Waits until all is in order, and looks closely.
    pub(super) async fn run(
        world: &TestDeployment,
        clients: &Clients,
        strikes: &[ScheduledFault],
        watch: Stopwatch,
    ) -> Self {
        let mut audit = Self::default();
        audit.wait_until_settled(world, watch).await;
        audit.inspect(world, clients, strikes).await;
        audit
    }

    async fn wait_until_settled(&mut self, world: &TestDeployment, watch: Stopwatch) {
        let (begun, mut calm_since) = (watch.elapsed(), None);
        while watch.elapsed() < begun + MAX_SETTLE_TIME {
            self.duplicates = find_duplicates(world);
            self.offline = find_offline_servers(world).await;
            if !self.duplicates.is_empty() || !self.offline.is_empty() {
                calm_since = None;
            } else {
                let since = *calm_since.get_or_insert(watch.elapsed());
                if watch.elapsed() > since + STABLE_TIME {
                    self.settled_after = Some(since.saturating_sub(begun));
                    return;
                }
            }
            sleep(CHECK_INTERVAL).await;
        }
    }

    async fn inspect(
        &mut self,
        world: &TestDeployment,
        clients: &Clients,
        strikes: &[ScheduledFault],
    ) {
        let there = servers_by_meeting(&world.pool);
        let known = clients.records().created_ids().to_vec();
        let (mut living, mut gone) = (Vec::new(), Vec::new());
        for id in known {
            match there.get(&id) {
                Some(servers) => living.push((id, server_numbers(servers))),
                None => gone.push(id),
            }
        }
        self.unacknowledged = there.len() - living.len();
        self.count_users(world, clients, strikes);
        for id in &gone {
            if was_server_killed(clients, strikes, id) {
                self.lost += 1;
            } else {
                self.vanished.push(id.clone());
            }
        }
        let joins = living.iter().map(|(id, servers)| check_join(clients, id, servers));
        let joins = stream::iter(joins).buffer_unordered(MAX_CONCURRENT);
        self.unreachable = joins.filter_map(std::future::ready).collect().await;
        let creates = gone.iter().map(|id| check_recreate(clients, id));
        let creates = stream::iter(creates).buffer_unordered(MAX_CONCURRENT);
        self.not_recreatable = creates.filter_map(std::future::ready).collect().await;
    }
}

// Users.
impl Audit {
    fn count_users(
        &mut self,
        world: &TestDeployment,
        clients: &Clients,
        strikes: &[ScheduledFault],
    ) {
        for join in &clients.records().joins {
            let JoinOutcome::InMeeting(server) = join.outcome else { continue };
            let killed = |strike: &ScheduledFault| {
                strike.fault.loses_meetings()
                    && strike.server == server
                    && strike.started_at >= join.due_at
            };
            if strikes.iter().any(killed) {
                self.users_lost += 1;
            } else if world.pool.server(server).meeting(&join.id).is_none() {
                self.users_cut_off += 1;
            }
        }
    }
}

fn server_numbers(servers: &[&BbbServer]) -> Vec<usize> {
    servers.iter().map(|server| server.number()).collect()
}

fn find_duplicates(world: &TestDeployment) -> BTreeMap<String, Vec<usize>> {
    let there =
        servers_by_meeting(&world.pool).into_iter().filter(|(_, servers)| servers.len() > 1);
    there.map(|(id, servers)| (id, server_numbers(&servers))).collect()
}

async fn find_offline_servers(world: &TestDeployment) -> Vec<usize> {
    let online = read_online_states(&world.product).await.unwrap_or_default();
    let is_off = |server: &&BbbServer| online.get(&server.url()) != Some(&true);
    world.pool.servers().iter().filter(is_off).map(BbbServer::number).collect()
}

/// Whether a server that has ever had it was killed after that.
fn was_server_killed(clients: &Clients, strikes: &[ScheduledFault], id: &str) -> bool {
    let ledger = clients.records();
    let homes = ledger.creates.iter().filter(|create| create.id == id);
    homes.filter_map(|create| Some((create.result.as_ref().ok()?, create.due_at))).any(
        |(home, at)| {
            let killed =
                |strike: &&ScheduledFault| strike.fault.loses_meetings() && strike.started_at >= at;
            // A server that was killed at once is not known to have had it.
            let had =
                |strike: &ScheduledFault| home.server.is_none_or(|server| server == strike.server);
            strikes.iter().filter(killed).any(had)
        },
    )
}

/// What is wrong with a meeting that lives, if anything.
async fn check_join(clients: &Clients, id: &str, servers: &[usize]) -> Option<(String, String)> {
    let way = clients.try_join(id).await;
    let there = matches!(way, JoinOutcome::InMeeting(server) if servers.contains(&server));
    (!there).then(|| (id.to_owned(), format!("on {servers:?}: {way:?}")))
}

/// What is wrong with a meeting that is gone, if anything.
async fn check_recreate(clients: &Clients, id: &str) -> Option<(String, String)> {
    if let Err(error) = clients.send_create(id).await {
        return Some((id.to_owned(), error));
    }
    let way = clients.try_join(id).await;
    (!matches!(way, JoinOutcome::InMeeting(_))).then(|| (id.to_owned(), format!("{way:?}")))
}
