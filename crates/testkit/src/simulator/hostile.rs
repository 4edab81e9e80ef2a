//! A hostile server of the pool: it reports meetings that other servers have, with more users, answers
//! for them, and tells their identity or one of its own.

use super::entries::server_host;
use super::sim_meeting::SimMeeting;
use super::sim_run::SimRun;

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
