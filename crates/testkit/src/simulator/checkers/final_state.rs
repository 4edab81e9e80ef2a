//! Rules of the final state of a run: all faults are over, no use case is running, and polls have
//! had the time to see every server.

use std::collections::BTreeMap;

use domain::{AdminState, MeetingKey, Server, load};

use super::{CheckResult, FinalState};
use crate::simulator::entries::is_same_server;
use crate::simulator::sim_meeting::SimMeeting;
use crate::simulator::sim_server::SimServer;
use crate::simulator::use_case::meeting_name;

/// Loads that differ by less count as equal.
const LOAD_TOLERANCE: f64 = 1e-6;
/// Creates of a meeting on one server that are no further apart count as one, in ms.
const MAX_CREATE_GAP_MS: i64 = 30_000;
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
    // A server that is listed twice has its meetings once.
    let in_use = state.servers.values().filter(|sim_server| {
        servers_in_use(state).any(|(server, _)| is_same_server(&server.id.0, &sim_server.host))
    });
    in_use.flat_map(|sim_server| {
        sim_server.meetings.values().map(move |sim_meeting| (sim_meeting, sim_server))
    })
}

/// Returns whether the proof may be lost that this deployment made the meeting: with the data of
/// the store, with the entry of its server, because its record was dropped on request, or because a
/// later create on the same server left a pending end that does not name it; or because another
/// balancer's meeting of that id was there while the create was not answered yet.
pub(super) fn may_be_unproven(
    state: &FinalState<'_>,
    sim_meeting: &SimMeeting,
    sim_server: &SimServer,
) -> bool {
    let (expectations, created_at) = (state.expectations, sim_meeting.created_at);
    let record = state.store.meeting(&sim_meeting.key);
    let is_recorded_without_proof = record.is_some_and(|record| !record.origin.is_proven);
    sim_meeting.is_foreign()
        || is_recorded_without_proof
        || is_leftover(state, sim_meeting, sim_server)
        || was_overtaken(sim_meeting, sim_server)
        || expectations.was_listed_twice(&sim_server.host)
        || expectations.store_lost_at.is_some_and(|lost_at| created_at <= lost_at)
        || expectations.was_removed(&sim_server.host, created_at)
        || sim_meeting.abandon_reason.is_some()
        || sim_meeting.has_lost_create
}

/// Returns whether another balancer's meeting of the same id was on the server between the create and
/// its answer: the record names the later one, and the answer takes that not back.
fn was_overtaken(sim_meeting: &SimMeeting, sim_server: &SimServer) -> bool {
    let mut ended = sim_server.ended_meetings.iter().map(|ended| &ended.meeting);
    ended.any(|ended| {
        ended.key == sim_meeting.key
            && ended.is_foreign()
            && (sim_meeting.created_at..=sim_meeting.listed_since).contains(&ended.created_at)
    })
}

/// Returns whether the meeting is what a create has left of which no front-end was told, and that
/// nothing can prove to be ours: the answer of a repetition was lost; or nobody has been in it, for
/// servers end such meetings by themselves, and its create was slow and had been decided without it,
/// or had lost its claim, or the pending end of another one on the same server stands for its own.
fn is_leftover(state: &FinalState<'_>, sim_meeting: &SimMeeting, sim_server: &SimServer) -> bool {
    let was_late = sim_meeting.listed_since > sim_meeting.created_at;
    let lost_claim = state.expectations.lost_claims.contains(&sim_meeting.created_by);
    let began_at = sim_meeting.created_at;
    let mut asked = sim_server.asked_creates.iter();
    let was_asked_again = asked
        .any(|(id, at)| *id == sim_meeting.key.id && at.ms_since(began_at) > MAX_CREATE_GAP_MS);
    // The pending end of an earlier meeting, which names that one, stands for the one that nobody has told.
    let mut ended = sim_server.ended_meetings.iter().map(|ended| &ended.meeting);
    let had_earlier = ended.any(|ended| {
        ended.key == sim_meeting.key && ended.was_acknowledged && ended.created_at < began_at
    });
    let is_unused =
        !sim_meeting.had_users && (was_late || lost_claim || was_asked_again || had_earlier);
    (is_unused || sim_meeting.is_of_repetition) && sim_meeting.acknowledged_at.is_none()
}

/// Returns whether the meeting is a copy of one in which users are, and claims to have more: neither of
/// them is ended, since the numbers are what the servers say.
fn is_contested(state: &FinalState<'_>, copy: &SimMeeting, sim_server: &SimServer) -> bool {
    state.store.meeting(&copy.key).is_some_and(|record| {
        let is_elsewhere = !is_same_server(&record.server.0, &sim_server.host);
        is_elsewhere && (1..copy.users).contains(&record.load.users)
    })
}

/// No meeting runs on two servers, unless the proof is lost that the copies are ours, or the one that
/// is not recorded is fuller.
pub(crate) fn meetings_live_once(state: &FinalState<'_>) -> CheckResult {
    let mut seen: BTreeMap<&MeetingKey, &SimServer> = BTreeMap::new();
    for (sim_meeting, sim_server) in running_meetings(state) {
        if may_be_unproven(state, sim_meeting, sim_server)
            || is_contested(state, sim_meeting, sim_server)
        {
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
        if !must_be_known && (sim_meeting.is_foreign() || !state.rules.adopts_meetings) {
            continue;
        }
        // What another balancer made without our rules is not found again after a loss.
        if sim_meeting.is_foreign() && state.expectations.store_lost_at.is_some() {
            continue;
        }
        let recorded = state.store.meeting(&sim_meeting.key).map(|meeting| &meeting.server);
        // A copy without proof is left alone beside the recorded one.
        if recorded.is_some()
            && (may_be_unproven(state, sim_meeting, sim_server)
                || is_contested(state, sim_meeting, sim_server))
        {
            continue;
        }
        // So is one beside a recorded copy without proof.
        let recorded_copy = recorded.and_then(|id| {
            let other = state.servers.get(&id.0)?;
            Some((other.meeting(&sim_meeting.key)?, other))
        });
        if recorded_copy.is_some_and(|(copy, other)| may_be_unproven(state, copy, other)) {
            continue;
        }
        if recorded.is_none_or(|recorded| !is_same_server(&recorded.0, &sim_server.host)) {
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
            // A meeting that names no tenant may be any tenant's.
            let running = sim_server.meetings.get(&meeting.key.id);
            let is_it = running
                .is_some_and(|running| running.key == meeting.key || running.key.tenant.is_none());
            if !is_it {
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
            is_same_server(&meeting.server.0, &sim_server.host)
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
    let lost_at = state.expectations.store_lost_at;
    for (sim_meeting, sim_server) in running_meetings(state) {
        if state.expectations.was_listed_twice(&sim_server.host) {
            // The end that is pending under one name is not known under the other one.
            continue;
        }
        let ended_at = sim_meeting.ended_at.filter(|at| lost_at.is_none_or(|lost| lost < *at));
        let Some(ended_at) = ended_at else { continue };
        if state.expectations.last_created_at(&sim_meeting.key).is_none_or(|at| at < ended_at) {
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
