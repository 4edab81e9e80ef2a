//! Rules of the final state of a run: all faults are over, no use case is running, and polls have
//! had the time to see every server.

use std::collections::BTreeMap;

use domain::{AdminState, MeetingKey, Server, ServerId, load};

use super::{CheckResult, FinalState};
use crate::simulator::sim_meeting::SimMeeting;
use crate::simulator::sim_server::SimServer;
use crate::simulator::use_case::meeting_name;

/// Loads that differ by less count as equal.
const LOAD_TOLERANCE: f64 = 1e-6;
/// Use cases that began less than this before the end may still be running: polls.
const MAX_RUNNING_MS: i64 = 60_000;

/// No use case is running, apart from polls.
pub(crate) fn all_use_cases_have_ended(state: &FinalState<'_>) -> CheckResult {
    let mut running = state.expectations.running.values();
    match running.find(|use_case| use_case.started_at.plus_ms(MAX_RUNNING_MS) < state.now) {
        Some(use_case) => Err(format!("{use_case} is still running")),
        None if state.running_calls > 0 => {
            Err(format!("{} calls are still running", state.running_calls))
        }
        None => Ok(()),
    }
}

/// All servers are online, since all of them answer.
pub(crate) fn servers_are_online_again(state: &FinalState<'_>) -> CheckResult {
    match state.store.servers.iter().find(|server| !server.is_online()) {
        Some(server) => Err(format!("{} is not online: {:?}", server.id, server.health)),
        None => Ok(()),
    }
}

/// Returns the servers that are online and not disabled, with their simulated counterparts.
fn servers_in_use<'a>(state: &FinalState<'a>) -> impl Iterator<Item = (&'a Server, &'a SimServer)> {
    let sim_servers = state.servers;
    let servers = state.store.servers.iter();
    servers
        .filter(|server| server.state != AdminState::Disabled && server.is_online())
        .filter_map(|server| Some((server, sim_servers.get(&server.id.0)?)))
}

/// Returns the meetings that run on servers in use, with their servers.
fn running_meetings<'a>(
    state: &FinalState<'a>,
) -> impl Iterator<Item = (&'a SimMeeting, &'a SimServer)> {
    servers_in_use(state).flat_map(|(_, sim_server)| {
        sim_server.meetings.values().map(move |sim_meeting| (sim_meeting, sim_server))
    })
}

/// Returns whether the proof may be lost that this deployment made the meeting: with the data of
/// the store, with the entry of its server, or because its record was dropped on request.
fn may_be_unproven(
    state: &FinalState<'_>,
    sim_meeting: &SimMeeting,
    sim_server: &SimServer,
) -> bool {
    let (expectations, created_at) = (state.expectations, sim_meeting.created_at);
    let server = ServerId(sim_server.host.clone());
    expectations.store_lost_at.is_some_and(|lost_at| created_at <= lost_at)
        || expectations.was_in_state(&server, None, created_at)
        || sim_meeting.abandon_reason.is_some()
}

/// No meeting runs on two servers, unless the proof is lost that the copies are ours.
pub(crate) fn meetings_live_once(state: &FinalState<'_>) -> CheckResult {
    let mut seen: BTreeMap<&MeetingKey, &SimServer> = BTreeMap::new();
    for (sim_meeting, sim_server) in running_meetings(state) {
        if may_be_unproven(state, sim_meeting, sim_server) {
            continue;
        }
        let Some(other) = seen.insert(&sim_meeting.key, sim_server) else { continue };
        if state.rules.ends_duplicates {
            let name = meeting_name(&sim_meeting.key);
            return Err(format!("{name} runs on {} and on {}", other.host, sim_server.host));
        }
    }
    Ok(())
}

/// The load of a server is the load of the meetings that run on it.
pub(crate) fn loads_are_facts(state: &FinalState<'_>) -> CheckResult {
    let policy = state.scenario.policy().poll.load;
    for (server, sim_server) in servers_in_use(state) {
        let Some(polled_at) = state.expectations.polled_at.get(&server.id) else {
            return Err(format!("{} was never polled", server.id));
        };
        let counted_users = sim_server.meetings.values().map(|sim_meeting| {
            let record = state.store.meeting(&sim_meeting.key);
            let record = record.filter(|record| record.server == server.id);
            let expected = record.map_or(policy.min_user_count, |it| it.load.expected_users);
            let load = policy.meeting_load(sim_meeting.created_at, expected, sim_meeting.users);
            u64::from(load.counted_users(*polled_at))
        });
        let expected = load::compute_load(counted_users.sum(), server.load_multiplier);
        if server.load.is_none_or(|load| (load - expected).abs() > LOAD_TOLERANCE) {
            let (id, load) = (&server.id, server.load);
            return Err(format!("{id} has the load {load:?}, its meetings the load {expected}"));
        }
    }
    Ok(())
}

/// No meeting is claimed.
pub(crate) fn no_claims_are_left(state: &FinalState<'_>) -> CheckResult {
    match state.store.meetings.iter().find(|meeting| meeting.claim.is_some()) {
        Some(meeting) => {
            Err(format!("{} is still claimed: {:?}", meeting_name(&meeting.key), meeting.claim))
        }
        None => Ok(()),
    }
}

/// Every running meeting is recorded on the server on which it runs.
pub(crate) fn running_meetings_are_known(state: &FinalState<'_>) -> CheckResult {
    for (sim_meeting, sim_server) in running_meetings(state) {
        let was_acknowledged = sim_meeting.acknowledged_at.is_some()
            && sim_server.was_healthy_since(sim_meeting.created_at);
        let must_be_known = was_acknowledged && sim_meeting.abandon_reason.is_none();
        if !must_be_known && !state.rules.adopts_meetings {
            continue;
        }
        let recorded = state.store.meeting(&sim_meeting.key).map(|meeting| &meeting.server);
        // A copy without proof is left alone beside the recorded one.
        if recorded.is_some() && may_be_unproven(state, sim_meeting, sim_server) {
            continue;
        }
        if recorded != Some(&ServerId(sim_server.host.clone())) {
            let (name, host) = (meeting_name(&sim_meeting.key), &sim_server.host);
            return Err(format!("{name} runs on {host}, recorded: {recorded:?}"));
        }
    }
    Ok(())
}

/// Every meeting that is recorded on a server in use runs there.
pub(crate) fn records_are_true(state: &FinalState<'_>) -> CheckResult {
    for (server, sim_server) in servers_in_use(state) {
        let recorded = state.store.meetings.iter().filter(|meeting| meeting.server == server.id);
        for meeting in recorded {
            if sim_server.meeting(&meeting.key).is_none() {
                let name = meeting_name(&meeting.key);
                return Err(format!("{name} is recorded on {} and does not run", server.id));
            }
        }
    }
    Ok(())
}

/// Different running meetings have different voice bridges.
pub(crate) fn running_voice_bridges_are_unique(state: &FinalState<'_>) -> CheckResult {
    let mut seen: BTreeMap<&str, &MeetingKey> = BTreeMap::new();
    for (sim_meeting, sim_server) in running_meetings(state) {
        // A meeting whose server was offline may have lost its voice bridge to another meeting; its
        // record shows that.
        let number = &sim_meeting.voice_bridge;
        let has_it_by_record = state.store.meeting(&sim_meeting.key).is_some_and(|meeting| {
            meeting.server.0 == sim_server.host
                && meeting.voice_bridge.as_deref() == Some(number.as_str())
        });
        if !has_it_by_record {
            continue;
        }
        let other = seen.insert(number, &sim_meeting.key);
        if let Some(other) = other.filter(|other| **other != sim_meeting.key) {
            let (name, other) = (meeting_name(&sim_meeting.key), meeting_name(other));
            return Err(format!("{name} and {other} have {number}"));
        }
    }
    Ok(())
}

/// A meeting that a front-end or an administrator has ended does not run, unless it was created
/// again.
pub(crate) fn ended_meetings_stay_ended(state: &FinalState<'_>) -> CheckResult {
    let (lost_at, created_at) = (state.expectations.store_lost_at, &state.expectations.created_at);
    for (sim_meeting, sim_server) in running_meetings(state) {
        let ended_at = sim_meeting.ended_at.filter(|at| lost_at.is_none_or(|lost| lost < *at));
        let Some(ended_at) = ended_at else { continue };
        if created_at.get(&sim_meeting.key).is_none_or(|created_at| *created_at < ended_at) {
            let (name, host) = (meeting_name(&sim_meeting.key), &sim_server.host);
            return Err(format!("{name} was ended and runs on {host}"));
        }
    }
    Ok(())
}

/// No server is lost, unless an administrator has removed it.
pub(crate) fn servers_are_all_there(state: &FinalState<'_>) -> CheckResult {
    if state.scenario.administration {
        return Ok(());
    }
    let (count, expected) = (state.store.servers.len(), state.scenario.servers);
    if count == expected { Ok(()) } else { Err(format!("{count} servers are left of {expected}")) }
}
