//! Rules for every change of the store.

use std::collections::BTreeSet;

use domain::health::HealthState;
use domain::{AdminState, Meeting, Server, ServerId};

use super::{CheckResult, StoreChange};
use crate::simulator::entries::is_same_server;
use crate::simulator::expectations::StoreSnapshot;
use crate::simulator::sim_meeting::SimMeeting;
use crate::simulator::sim_run::STORE_LOSS;
use crate::simulator::use_case::{UseCaseKind, meeting_name};

/// Loads that differ by less count as equal.
const LOAD_TOLERANCE: f64 = 1e-6;

/// A load is a finite number and not negative.
pub(crate) fn loads_are_never_negative(change: &StoreChange<'_>) -> CheckResult {
    let is_invalid = |load: f64| !load.is_finite() || load < 0.0;
    match change.after.servers.iter().find(|server| server.load.is_some_and(is_invalid)) {
        None => Ok(()),
        Some(server) => {
            Err(format!("{} has the load {:?} after {}", server.id, server.load, change.operation))
        }
    }
}

/// No two meetings have the same voice bridge. Detached meetings have none.
pub(crate) fn voice_bridges_are_unique(change: &StoreChange<'_>) -> CheckResult {
    let mut seen = BTreeSet::new();
    let attached = change.after.meetings.iter().filter(|meeting| !meeting.detached);
    let mut numbers = attached.filter_map(|meeting| meeting.voice_bridge.as_ref());
    match numbers.find(|number| !seen.insert(*number)) {
        None => Ok(()),
        Some(number) => Err(format!("two meetings have {number} after {}", change.operation)),
    }
}

/// No claim is valid for longer than a create may take.
pub(crate) fn claims_run_out_soon(change: &StoreChange<'_>) -> CheckResult {
    let limit_ms = change.rules.max_claim_ms + change.rules.max_skew_ms;
    let is_too_long = |meeting: &&Meeting| {
        meeting.claim.as_ref().is_some_and(|claim| claim.until.ms_since(change.now) > limit_ms)
    };
    match change.after.meetings.iter().find(is_too_long) {
        None => Ok(()),
        Some(meeting) => Err(format!("{} is claimed for too long", meeting_name(&meeting.key))),
    }
}

/// Returns the meeting that this change has placed.
fn placed_meeting<'a>(change: &StoreChange<'a>) -> Option<&'a Meeting> {
    if change.operation != "place_meeting" {
        return None;
    }
    let meeting = change.after.meeting(change.use_case.kind.key()?)?;
    let token = &meeting.claim.as_ref()?.token;
    let is_own_claim = change.use_case.progress().claim_tokens.contains(token);
    let previous = change.before.meeting(&meeting.key).and_then(|record| record.claim.as_ref());
    let is_new = previous.is_none_or(|claim| claim.token != *token);
    (is_own_claim && is_new).then_some(meeting)
}

/// Meetings are placed on servers that are enabled and online, and on suspect ones only if no other
/// server can take the meeting.
pub(crate) fn places_are_on_open_servers(change: &StoreChange<'_>) -> CheckResult {
    let Some(meeting) = placed_meeting(change) else { return Ok(()) };
    let placement = || format!("{} was placed on {}", meeting_name(&meeting.key), meeting.server);
    let Some(server) = change.before.server(&meeting.server) else {
        return Err(format!("{}, which is not in the pool", placement()));
    };
    if server.state != AdminState::Enabled || !server.is_online() {
        let (state, is_online) = (server.state.name(), server.is_online());
        return Err(format!("{}: {state}, online: {is_online}", placement()));
    }
    let is_sound = |server: &Server| server.health.state(meeting.placed_at) == HealthState::Online;
    let progress = change.use_case.progress();
    let was_tried = |id: &ServerId| {
        progress.sent_calls.iter().any(|(host, call, _)| *host == id.0 && call == "create")
    };
    // A server with another tenant's meeting of this id cannot have this meeting, too.
    let has_same_id = |id: &ServerId| {
        let on_server = |record: &&Meeting| is_same_server(&record.server.0, &id.0);
        change
            .before
            .meetings
            .iter()
            .filter(on_server)
            .any(|record| record.key.id == meeting.key.id && record.key != meeting.key)
    };
    let is_better = |other: &&Server| {
        other.accepts_meetings()
            && is_sound(other)
            && !was_tried(&other.id)
            && !has_same_id(&other.id)
    };
    match change.before.servers.iter().find(is_better) {
        Some(better) if change.rules.avoids_suspects && !is_sound(server) => {
            Err(format!("{}, which is suspect, while {} is not", placement(), better.id))
        }
        _ => Ok(()),
    }
}

/// A placed meeting adds its expected users to the load of its server at once.
pub(crate) fn places_are_counted(change: &StoreChange<'_>) -> CheckResult {
    let Some(meeting) = placed_meeting(change) else { return Ok(()) };
    // The load of a previous claim of the same meeting is subtracted in the same operation.
    if change.before.meeting(&meeting.key).is_some() {
        return Ok(());
    }
    let load =
        |snapshot: &StoreSnapshot| snapshot.server(&meeting.server).and_then(|server| server.load);
    let (Some(before), Some(after)) = (load(change.before), load(change.after)) else {
        return Ok(());
    };
    let expected = f64::from(meeting.load.expected_users);
    if expected > 0.0 && (after - before - expected).abs() < LOAD_TOLERANCE {
        return Ok(());
    }
    let name = meeting_name(&meeting.key);
    Err(format!("{name} changed the load of {} from {before} to {after}", meeting.server))
}

/// A running meeting is not forgotten, unless its server is offline or its end was requested. It may
/// be recorded on another server that has it, too. The rule applies to meetings that are confirmed,
/// or whose create was acknowledged to a front-end.
pub(crate) fn running_meetings_are_not_forgotten(change: &StoreChange<'_>) -> CheckResult {
    for record in &change.before.meetings {
        let now = change.after.meeting(&record.key);
        let is_kept = now.is_some_and(|now| is_same_server(&now.server.0, &record.server.0));
        if !is_kept && !may_be_forgotten(change, record) {
            let (name, server) = (meeting_name(&record.key), &record.server);
            let StoreChange { use_case, operation, .. } = change;
            return Err(format!("{name} runs on {server}: forgotten by {use_case}, {operation}"));
        }
    }
    Ok(())
}

fn may_be_forgotten(change: &StoreChange<'_>, record: &Meeting) -> bool {
    let Some(sim_server) = change.servers.get(&record.server.0) else { return true };
    let Some(sim_meeting) = sim_server.meeting(&record.key) else { return true };
    if !must_be_remembered(change, record, sim_meeting) {
        return true;
    }
    let server = change.before.server(&record.server);
    let is_offline = record.detached || !server.is_some_and(Server::is_online);
    if is_requested(change, record, is_offline) {
        return true;
    }
    if change.operation != "record_poll" {
        return false;
    }
    let new_host = change.after.meeting(&record.key).map(|now| &now.server.0);
    let new_server = new_host.and_then(|host| change.servers.get(host));
    // Of two running meetings the poll chooses the one with more users.
    let runs_there = new_server.is_some_and(|server| server.meeting(&record.key).is_some());
    // The meeting on the other server may have ended after the poll has seen it: if its own server
    // is offline, or if the other server has crashed since.
    let has_crashed = new_server.is_some_and(|server| server.down_until.is_some());
    let is_moved = runs_there || (new_host.is_some() && (is_offline || has_crashed));
    // A poll cannot know a meeting that a create has just started anew and that was not acknowledged
    // yet: the create restores the record before it answers.
    let is_restarted =
        sim_meeting.listed_since > record.seen_at && sim_meeting.acknowledged_at.is_none();
    is_moved || is_restarted
}

/// Returns whether the meeting was confirmed, or acknowledged to a front-end and not lost with the
/// store.
fn must_be_remembered(
    change: &StoreChange<'_>,
    record: &Meeting,
    sim_meeting: &SimMeeting,
) -> bool {
    let lost_at = change.expectations.store_lost_at;
    let was_lost = lost_at.is_some_and(|lost_at| sim_meeting.created_at <= lost_at);
    let was_acknowledged =
        sim_meeting.acknowledged_at.is_some() && sim_meeting.abandon_reason.is_none();
    record.claim.is_none() || was_acknowledged && !was_lost
}

/// Returns whether the use case may forget the meeting because of what was requested.
fn is_requested(change: &StoreChange<'_>, record: &Meeting, is_offline: bool) -> bool {
    match (&change.use_case.kind, change.operation) {
        (_, STORE_LOSS) => true,
        (UseCaseKind::ChangeServer(action, _), _) => action.may_forget_meetings(),
        (UseCaseKind::End(key) | UseCaseKind::AdminEnd(key), "forget_meeting") => {
            *key == record.key
        }
        // The meeting had no users when its cordoned server was asked; users may have joined since.
        (UseCaseKind::Create(key), "forget_meeting") => {
            let since = change.use_case.started_at;
            let cordoned = Some(AdminState::Cordoned);
            *key == record.key && change.expectations.was_in_state(&record.server, cordoned, since)
        }
        (UseCaseKind::Create(key) | UseCaseKind::Join(key), "place_meeting") if is_offline => {
            *key == record.key
        }
        // The server came back while the meeting was being placed anew, and got the create again.
        (UseCaseKind::Create(key) | UseCaseKind::Join(key), _) if record.claim.is_some() => {
            *key == record.key
        }
        _ => false,
    }
}
