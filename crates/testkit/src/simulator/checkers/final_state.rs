//! Rules of the end of a run: all trouble is over, nothing happens any more, and polls had time to
//! find out how everything is.

use std::collections::BTreeMap;

use domain::{AdminState, MeetingKey, Server, ServerId, load};

use super::{CheckResult, FinalState};
use crate::simulator::sim_meeting::SimMeeting;
use crate::simulator::sim_server::SimServer;
use crate::simulator::use_case::meeting_name;

/// Loads that differ by less are equal.
const ROUNDING: f64 = 1e-6;

/// Nothing is under way any more.
pub(crate) fn all_use_cases_have_ended(quiet: &FinalState<'_>) -> CheckResult {
    let calls =
        quiet.expectations.running.values().find(|op| op.started_at.plus_ms(60_000) < quiet.now);
    match calls {
        Some(op) => Err(format!("{op} is still under way")),
        None if quiet.running_calls > 0 => {
            Err(format!("{} calls are under way", quiet.running_calls))
        }
        None => Ok(()),
    }
}

/// Servers that answer are online.
pub(crate) fn servers_are_online_again(quiet: &FinalState<'_>) -> CheckResult {
    match quiet.store.servers.iter().find(|server| !server.is_online()) {
        Some(server) => Err(format!("{} is not online: {:?}", server.id, server.health)),
        None => Ok(()),
    }
}

/// Servers that are in use, as recorded and as they are.
fn servers_in_use<'a>(quiet: &FinalState<'a>) -> impl Iterator<Item = (&'a Server, &'a SimServer)> {
    let machines = quiet.servers;
    let servers = quiet.store.servers.iter();
    servers
        .filter(|server| server.state != AdminState::Disabled && server.is_online())
        .filter_map(|server| Some((server, machines.get(&server.id.0)?)))
}

/// Meetings that run on servers in use, with their servers.
fn running_meetings<'a>(
    quiet: &FinalState<'a>,
) -> impl Iterator<Item = (&'a SimMeeting, &'a SimServer)> {
    servers_in_use(quiet)
        .flat_map(|(_, machine)| machine.meetings.values().map(move |room| (room, machine)))
}

/// A meeting runs on one server.
pub(crate) fn meetings_live_once(quiet: &FinalState<'_>) -> CheckResult {
    let mut homes: BTreeMap<&MeetingKey, &SimServer> = BTreeMap::new();
    for (room, machine) in running_meetings(quiet) {
        let Some(other) = homes.insert(&room.key, machine) else { continue };
        if quiet.rules.ends_duplicates {
            let (one, two) = (&other.host, &machine.host);
            return Err(format!("{} runs on {one} and on {two}", meeting_name(&room.key)));
        }
    }
    Ok(())
}

/// The load of a server is what its meetings weigh.
pub(crate) fn loads_are_facts(quiet: &FinalState<'_>) -> CheckResult {
    let policy = quiet.scenario.policy().poll.load;
    for (server, machine) in servers_in_use(quiet) {
        let Some(polled_at) = quiet.expectations.polled_at.get(&server.id) else {
            return Err(format!("{} was never polled", server.id));
        };
        let seats = machine.meetings.values().map(|room| {
            let record = quiet.store.meeting(&room.key).filter(|one| one.server == server.id);
            let expected = record.map_or(policy.min_user_count, |one| one.load.expected_users);
            u64::from(
                policy
                    .meeting_load(room.created_at, expected, room.users)
                    .counted_users(*polled_at),
            )
        });
        let wanted = load::compute_load(seats.sum(), server.load_multiplier);
        let found = server.load;
        if found.is_none_or(|found| (found - wanted).abs() > ROUNDING) {
            return Err(format!(
                "{} has the load {found:?}, its meetings weigh {wanted}",
                server.id
            ));
        }
    }
    Ok(())
}

/// Nothing is claimed any more.
pub(crate) fn no_claims_are_left(quiet: &FinalState<'_>) -> CheckResult {
    match quiet.store.meetings.iter().find(|meeting| meeting.claim.is_some()) {
        Some(meeting) => {
            Err(format!("{} is still claimed: {:?}", meeting_name(&meeting.key), meeting.claim))
        }
        None => Ok(()),
    }
}

/// A meeting that runs is known, and known to be where it runs.
pub(crate) fn running_meetings_are_known(quiet: &FinalState<'_>) -> CheckResult {
    for (room, machine) in running_meetings(quiet) {
        let promised = room.acknowledged_at.is_some() && machine.was_healthy_since(room.created_at);
        if !(promised && room.abandon_reason.is_none() || quiet.rules.adopts_meetings) {
            continue;
        }
        let home = quiet.store.meeting(&room.key).map(|meeting| &meeting.server);
        if home != Some(&ServerId(machine.host.clone())) {
            return Err(format!(
                "{} runs on {}, recorded: {home:?}",
                meeting_name(&room.key),
                machine.host
            ));
        }
    }
    Ok(())
}

/// A meeting that is recorded on a server in use runs there.
pub(crate) fn records_are_true(quiet: &FinalState<'_>) -> CheckResult {
    for (server, machine) in servers_in_use(quiet) {
        let recorded = quiet.store.meetings.iter().filter(|meeting| meeting.server == server.id);
        for meeting in recorded {
            if machine.meeting(&meeting.key).is_none() {
                return Err(format!("{} is recorded on {}", meeting_name(&meeting.key), server.id));
            }
        }
    }
    Ok(())
}

/// Different meetings have different numbers.
pub(crate) fn running_voice_bridges_are_unique(quiet: &FinalState<'_>) -> CheckResult {
    let mut numbers: BTreeMap<&str, &MeetingKey> = BTreeMap::new();
    for (room, machine) in running_meetings(quiet) {
        // One whose server was away may have lost its number to another meeting: its record says so.
        let number = Some(room.voice_bridge.as_str());
        let known = quiet.store.meeting(&room.key).is_some_and(|meeting| {
            meeting.server.0 == machine.host && meeting.voice_bridge.as_deref() == number
        });
        if !known {
            continue;
        }
        let other = numbers.insert(&room.voice_bridge, &room.key);
        if let Some(other) = other.filter(|other| **other != room.key) {
            let number = &room.voice_bridge;
            return Err(format!(
                "{} and {} have {number}",
                meeting_name(&room.key),
                meeting_name(other)
            ));
        }
    }
    Ok(())
}

/// A meeting that a front-end or an administrator has ended does not come back, unless somebody
/// creates it again.
pub(crate) fn ended_meetings_stay_ended(quiet: &FinalState<'_>) -> CheckResult {
    for (room, machine) in running_meetings(quiet) {
        let lost_at = quiet.expectations.store_lost_at;
        let Some(ended_at) = room.ended_at.filter(|at| lost_at.is_none_or(|lost| lost < *at))
        else {
            continue;
        };
        if quiet
            .expectations
            .created_at
            .get(&room.key)
            .is_none_or(|created_at| *created_at < ended_at)
        {
            return Err(format!(
                "{} was ended and runs on {}",
                meeting_name(&room.key),
                machine.host
            ));
        }
    }
    Ok(())
}

/// Servers are lost only if an administrator removes them.
pub(crate) fn servers_are_all_there(quiet: &FinalState<'_>) -> CheckResult {
    if quiet.scenario.administration {
        return Ok(());
    }
    let count = quiet.store.servers.len();
    let wanted = quiet.scenario.servers;
    if count == wanted { Ok(()) } else { Err(format!("{count} servers are left of {wanted}")) }
}
