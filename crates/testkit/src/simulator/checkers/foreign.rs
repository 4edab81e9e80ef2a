//! Rules for meetings that other balancers have made on the servers of the pool.

use domain::MeetingKey;

use super::{CheckResult, MAX_SKEW_MS};
use crate::simulator::entries::server_host;
use crate::simulator::sim_meeting::SimMeeting;
use crate::simulator::sim_run::SimRun;
use crate::simulator::sim_server::SimServer;
use crate::simulator::use_case::{UseCase, UseCaseKind, meeting_name};

/// Returns whether another balancer has made a meeting at a time at which no create of ours, which
/// may take this long, can have made it.
pub(crate) fn is_certainly_foreign(
    sim_server: &SimServer,
    sim_meeting: &SimMeeting,
    max_create_ms: i64,
) -> bool {
    let began_at = sim_meeting.created_at;
    let may_be_ours = |(id, sent_at): &(String, domain::Timestamp)| {
        *id == sim_meeting.key.id
            && sent_at.plus_ms(-MAX_SKEW_MS) <= began_at
            && began_at <= sent_at.plus_ms(max_create_ms + MAX_SKEW_MS)
    };
    sim_meeting.is_foreign() && !sim_server.asked_creates.iter().any(may_be_ours)
}

/// Returns whether a front-end or an administrator has asked for the end of this meeting since it
/// began.
fn is_named(sim: &SimRun, sim_meeting: &SimMeeting) -> bool {
    let names = |key: &MeetingKey| *key == sim_meeting.key;
    let expectations = sim.expectations();
    let running = expectations.running.values().any(|use_case| match &use_case.kind {
        UseCaseKind::End(key) | UseCaseKind::AdminEnd(key) => names(key),
        _ => false,
    });
    let ended = expectations.end_times.get(&sim_meeting.key);
    // Clocks differ: an end that was asked for a moment before may mean this meeting, too.
    let latest = sim_meeting.created_at.plus_ms(-MAX_SKEW_MS);
    running || ended.is_some_and(|(_, until)| *until >= latest)
}

/// A meeting of another balancer is ended by nothing but a call that names it.
pub(crate) fn check_left_alone(
    sim: &SimRun,
    use_case: &UseCase,
    host: &str,
    id: &str,
) -> CheckResult {
    let max_create_ms = sim.rules.max_create_ms;
    let found = {
        let sim_servers = sim.servers();
        let Some(sim_server) = sim_servers.get(host) else { return Ok(()) };
        if sim.scenario.hostile_server && sim_server.host == server_host(1) {
            // What a hostile server claims is its own loss.
            return Ok(());
        }
        let sim_meeting = sim_server.meetings.get(id);
        sim_meeting
            .filter(|sim_meeting| is_certainly_foreign(sim_server, sim_meeting, max_create_ms))
            .cloned()
    };
    match found {
        Some(sim_meeting) if !is_named(sim, &sim_meeting) => {
            let name = meeting_name(&sim_meeting.key);
            Err(format!("{use_case} ends {name} on {host}, which another balancer made"))
        }
        _ => Ok(()),
    }
}
