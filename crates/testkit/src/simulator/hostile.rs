//! A hostile server of the pool: it reports meetings that other servers have, with more users, answers
//! for them, and tells their identity or one of its own.

use domain::MeetingKey;
use domain::voice_bridge::generate_candidates;

use super::entries::server_host;
use super::foreign::{self, ForeignStep};
use super::sim_meeting::SimMeeting;
use super::sim_run::SimRun;
use super::workload::tenant_id;

/// The beginning of the ids of meetings that are listed without end.
pub(crate) const FLOOD_NAME: &str = "flood-";

/// The first server claims the meetings of all others, with so many users more.
pub(crate) fn claim(sim: &SimRun, more_users: u32, with_identity: bool) {
    let (now, host) = (sim.now(), server_host(1));
    let mut sim_servers = sim.servers();
    if sim_servers.get(&host).is_none_or(|hostile| hostile.down_until.is_some()) {
        return;
    }
    let others = sim_servers.values().filter(|other| other.host != host);
    let theirs: Vec<SimMeeting> =
        others.flat_map(|other| other.meetings.values()).cloned().collect();
    let Some(hostile) = sim_servers.get_mut(&host) else { return };
    let count = theirs.len();
    for mut claimed in theirs {
        let users = claimed.users + more_users;
        match hostile.meetings.get_mut(&claimed.key.id) {
            // A create of ours has made it there, and its answer was lost.
            Some(known) => {
                while known.users < users {
                    known.add_user(now);
                }
            }
            None => {
                if !with_identity {
                    claimed.internal_id = format!("{}@{host}-{}", claimed.key.id, now.0);
                    claimed.created_at = now;
                }
                (claimed.listed_since, claimed.created_by) = (now, 0);
                claimed.is_claimed = true;
                (claimed.acknowledged_at, claimed.ended_at) = (None, None);
                claimed.was_acknowledged = false;
                (claimed.is_revived, claimed.is_of_repetition) = (false, false);
                claimed.users = users;
                (claimed.had_users, claimed.empty_since) = (true, None);
                claimed.entered_at = Some(now);
                hostile.meetings.insert(claimed.key.id.clone(), claimed);
            }
        }
    }
    drop(sim_servers);
    if count > 0 {
        sim.count_event("meetings claimed");
        sim.write_trace(|| format!("{host} claims {count} meetings of others"));
    }
}

/// The first server lists so many meetings more that look as if this deployment had made them.
pub(crate) fn flood(sim: &SimRun, count: usize) {
    let host = server_host(1);
    let listed = sim.servers().get(&host).map_or(0, |hostile| hostile.meetings.len());
    let tenant = (sim.scenario.tenants > 0).then(|| tenant_id(1));
    for number in listed..listed + count {
        let id = format!("{FLOOD_NAME}{number}");
        let bridges = generate_candidates(sim.scenario.policy().voice_bridge, &id, None);
        let key = MeetingKey { tenant: tenant.clone(), id };
        let bridge = bridges.into_iter().next().unwrap_or_default();
        foreign::perform_step(sim, &host, &ForeignStep::Create(key, bridge));
    }
    sim.count_event("floods");
}

/// The first server stops to claim anything.
pub(crate) fn give_up(sim: &SimRun) {
    if let Some(hostile) = sim.servers().get_mut(&server_host(1)) {
        hostile.meetings.retain(|_, meeting| !meeting.is_claimed && !meeting.is_foreign());
    }
}
