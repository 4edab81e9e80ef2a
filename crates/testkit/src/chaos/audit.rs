//! The final checks of a chaos run: whether all servers are online and no meeting runs twice, and
//! whether every meeting whose create was acknowledged can be joined.

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

/// How long the state may take to settle. A duplicate meeting is ended after half a minute
/// (MEETING_GRACE) at the earliest, and a meeting that runs on three servers takes two such rounds.
const MAX_SETTLE_TIME: Duration = Duration::from_secs(90);
/// How long the state must be correct to count as settled: longer than the time between two polls.
const STABLE_TIME: Duration = Duration::from_millis(2_500);
/// Number of calls that the checks send at the same time.
const MAX_CONCURRENT: usize = 16;

/// The results of the final checks.
#[derive(Debug, Default)]
pub(super) struct Audit {
    /// How long the state took to settle, from the last response; `None` if it did not.
    pub(super) settled_after: Option<Duration>,
    /// Meetings that run on two or more servers, with these, unless users are in all copies.
    pub(super) duplicates: BTreeMap<String, Vec<usize>>,
    /// Meetings that run on two or more servers, with users in all copies: nobody but these users decides
    /// which of them goes on, since only the servers say how many there are.
    pub(super) contested: usize,
    /// Healthy servers that the balancer lists as offline.
    pub(super) offline: Vec<usize>,
    /// Running meetings that cannot be joined, with the reason.
    pub(super) unreachable: Vec<(String, String)>,
    /// Meetings that do not run any more although no server that had them was killed.
    pub(super) vanished: Vec<String>,
    /// Number of meetings that were lost with a killed server.
    pub(super) lost: usize,
    /// Lost and vanished meetings that cannot be created again and joined, with the reason.
    pub(super) not_recreatable: Vec<(String, String)>,
    /// Number of running meetings whose create was never acknowledged.
    pub(super) unacknowledged: usize,
    /// Number of users in a meeting whose server was killed.
    pub(super) users_lost: usize,
    /// Number of users in a meeting that was ended although its server was not killed.
    pub(super) users_cut_off: usize,
}

impl Audit {
    /// Waits until the state has settled, and checks it.
    pub(super) async fn run(
        deployment: &TestDeployment,
        clients: &Clients,
        faults: &[ScheduledFault],
        stopwatch: Stopwatch,
    ) -> Self {
        let mut audit = Self::default();
        audit.wait_until_settled(deployment, stopwatch).await;
        audit.inspect(deployment, clients, faults).await;
        audit
    }

    async fn wait_until_settled(&mut self, deployment: &TestDeployment, stopwatch: Stopwatch) {
        let (started_at, mut correct_since) = (stopwatch.elapsed(), None);
        while stopwatch.elapsed() < started_at + MAX_SETTLE_TIME {
            (self.duplicates, self.contested) = find_duplicates(deployment);
            self.offline = find_offline_servers(deployment).await;
            if !self.duplicates.is_empty() || !self.offline.is_empty() {
                correct_since = None;
            } else {
                let since = *correct_since.get_or_insert(stopwatch.elapsed());
                if stopwatch.elapsed() > since + STABLE_TIME {
                    self.settled_after = Some(since.saturating_sub(started_at));
                    return;
                }
            }
            sleep(CHECK_INTERVAL).await;
        }
    }

    async fn inspect(
        &mut self,
        deployment: &TestDeployment,
        clients: &Clients,
        faults: &[ScheduledFault],
    ) {
        let servers_by_meeting = servers_by_meeting(&deployment.pool);
        let created_ids = clients.records().created_ids().to_vec();
        let (mut running, mut gone) = (Vec::new(), Vec::new());
        for id in created_ids {
            match servers_by_meeting.get(&id) {
                Some(servers) => running.push((id, server_numbers(servers))),
                None => gone.push(id),
            }
        }
        self.unacknowledged = servers_by_meeting.len() - running.len();
        self.count_users(deployment, clients, faults);
        for id in &gone {
            if was_server_killed(clients, faults, id) {
                self.lost += 1;
            } else {
                self.vanished.push(id.clone());
            }
        }
        let joins = running.iter().map(|(id, servers)| check_join(clients, id, servers));
        let joins = stream::iter(joins).buffer_unordered(MAX_CONCURRENT);
        self.unreachable = joins.filter_map(std::future::ready).collect().await;
        let creates = gone.iter().map(|id| check_recreate(clients, id));
        let creates = stream::iter(creates).buffer_unordered(MAX_CONCURRENT);
        self.not_recreatable = creates.filter_map(std::future::ready).collect().await;
    }

    fn count_users(
        &mut self,
        deployment: &TestDeployment,
        clients: &Clients,
        faults: &[ScheduledFault],
    ) {
        for join in &clients.records().joins {
            let JoinOutcome::InMeeting(server) = join.outcome else { continue };
            let lost_user = |fault: &ScheduledFault| {
                fault.kind.loses_meetings()
                    && fault.server == server
                    && fault.started_at >= join.due_at
            };
            if faults.iter().any(lost_user) {
                self.users_lost += 1;
            } else if deployment.pool.server(server).meeting(&join.id).is_none() {
                self.users_cut_off += 1;
            }
        }
    }
}

fn server_numbers(servers: &[&BbbServer]) -> Vec<usize> {
    servers.iter().map(|server| server.number()).collect()
}

fn find_duplicates(deployment: &TestDeployment) -> (BTreeMap<String, Vec<usize>>, usize) {
    let servers_by_meeting = servers_by_meeting(&deployment.pool).into_iter();
    let copies: Vec<_> = servers_by_meeting.filter(|(_, servers)| servers.len() > 1).collect();
    let has_users = |server: &BbbServer, id: &str| {
        server.meetings().iter().any(|meeting| meeting.id == id && meeting.users > 0)
    };
    let count = copies.len();
    let duplicates: BTreeMap<String, Vec<usize>> = copies
        .into_iter()
        .filter(|(id, servers)| !servers.iter().all(|server| has_users(server, id)))
        .map(|(id, servers)| (id, server_numbers(&servers)))
        .collect();
    let contested = count - duplicates.len();
    (duplicates, contested)
}

async fn find_offline_servers(deployment: &TestDeployment) -> Vec<usize> {
    let online = read_online_states(&deployment.product).await.unwrap_or_default();
    let is_offline = |server: &&BbbServer| online.get(&server.url()) != Some(&true);
    deployment.pool.servers().iter().filter(is_offline).map(BbbServer::number).collect()
}

/// Returns whether a server was killed after it got the meeting.
fn was_server_killed(clients: &Clients, faults: &[ScheduledFault], id: &str) -> bool {
    let records = clients.records();
    // A join may have made it anew on a server that was killed later.
    let mut joins = records.joins.iter().filter(|join| join.id == id);
    let was_killed_there = joins.any(|join| {
        let JoinOutcome::InMeeting(server) = join.outcome else { return false };
        faults.iter().any(|fault| {
            fault.server == server && fault.kind.loses_meetings() && fault.started_at >= join.due_at
        })
    });
    let mut creates = records.creates.iter().filter(|create| create.id == id);
    was_killed_there
        || creates.any(|create| {
            let Ok(location) = &create.result else { return false };
            faults.iter().any(|fault| {
                // The server is unknown if it was killed right after the create.
                let had_meeting = location.server.is_none_or(|server| server == fault.server);
                had_meeting && fault.kind.loses_meetings() && fault.started_at >= create.due_at
            })
        })
}

/// Joins a running meeting; returns the meeting and the failure if that does not succeed.
async fn check_join(clients: &Clients, id: &str, servers: &[usize]) -> Option<(String, String)> {
    let outcome = clients.try_join(id).await;
    let is_joined = matches!(outcome, JoinOutcome::InMeeting(server) if servers.contains(&server));
    (!is_joined).then(|| (id.to_owned(), format!("on {servers:?}: {outcome:?}")))
}

/// Creates and joins a meeting that does not run any more; returns the meeting and the failure if
/// that does not succeed.
async fn check_recreate(clients: &Clients, id: &str) -> Option<(String, String)> {
    if let Err(error) = clients.send_create(id).await {
        return Some((id.to_owned(), error));
    }
    let outcome = clients.try_join(id).await;
    (!matches!(outcome, JoinOutcome::InMeeting(_))).then(|| (id.to_owned(), format!("{outcome:?}")))
}
