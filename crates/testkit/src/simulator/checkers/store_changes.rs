//! Rules of every change of the store.

use std::collections::BTreeSet;

use domain::health::HealthState;
use domain::{AdminState, Meeting, Server, ServerId};

use super::{CheckResult, StoreChange};
use crate::simulator::sim_meeting::SimMeeting;
use crate::simulator::use_case::{UseCaseKind, meeting_name};

/// Loads that differ by less are equal.
const ROUNDING: f64 = 1e-6;

/// A load is a number, and none below zero.
pub(crate) fn loads_are_never_negative(step: &StoreChange<'_>) -> CheckResult {
    let wrong = |load: f64| !load.is_finite() || load < 0.0;
    match step.after.servers.iter().find(|server| server.load.is_some_and(wrong)) {
        None => Ok(()),
        Some(server) => {
            Err(format!("{} has the load {:?} after {}", server.id, server.load, step.operation))
        }
    }
}

/// No two meetings have one number. Those whose server is away have lost theirs.
pub(crate) fn voice_bridges_are_unique(step: &StoreChange<'_>) -> CheckResult {
    let mut seen = BTreeSet::new();
    let attached = step.after.meetings.iter().filter(|meeting| !meeting.detached);
    let mut numbers = attached.filter_map(|meeting| meeting.voice_bridge.as_ref());
    match numbers.find(|number| !seen.insert(*number)) {
        None => Ok(()),
        Some(number) => Err(format!("two meetings have {number} after {}", step.operation)),
    }
}

/// Nobody claims a meeting for longer than a create may take.
pub(crate) fn claims_run_out_soon(step: &StoreChange<'_>) -> CheckResult {
    let limit_ms = step.rules.max_claim_ms + step.rules.max_skew_ms;
    let too_long = |meeting: &&Meeting| {
        meeting.claim.as_ref().is_some_and(|claim| claim.until.ms_since(step.now) > limit_ms)
    };
    match step.after.meetings.iter().find(too_long) {
        None => Ok(()),
        Some(meeting) => Err(format!("{} is claimed for too long", meeting_name(&meeting.key))),
    }
}

/// The meeting that this change has placed.
fn placed_meeting<'a>(step: &StoreChange<'a>) -> Option<&'a Meeting> {
    if step.operation != "place" {
        return None;
    }
    let meeting = step.after.meeting(step.use_case.kind.key()?)?;
    let token = &meeting.claim.as_ref()?.token;
    let ours = step.use_case.progress().claim_tokens.contains(token);
    let before = step.before.meeting(&meeting.key).and_then(|was| was.claim.as_ref());
    (ours && before.is_none_or(|claim| claim.token != *token)).then_some(meeting)
}

/// A place is on a server that is enabled and online, and not on a suspect one without need.
pub(crate) fn places_are_on_open_servers(step: &StoreChange<'_>) -> CheckResult {
    let Some(meeting) = placed_meeting(step) else { return Ok(()) };
    let on = || format!("{} was placed on {}", meeting_name(&meeting.key), meeting.server);
    let server = step.before.server(&meeting.server).ok_or_else(|| format!("{}: unknown", on()))?;
    if server.state != AdminState::Enabled || !server.is_online() {
        return Err(format!("{}: {}, online: {}", on(), server.state.name(), server.is_online()));
    }
    let sound = |server: &Server| server.health.state(meeting.placed_at) == HealthState::Online;
    let seen = step.use_case.progress();
    let tried = |id: &ServerId| {
        seen.sent_calls.iter().any(|(host, call, _)| *host == id.0 && call == "create")
    };
    // A server that has another tenant's meeting of that id cannot have this one, too.
    let records = &step.before.meetings;
    let has_id = |id: &ServerId| {
        let mut there = records.iter().filter(|one| one.server == *id);
        there.any(|one| one.key.id == meeting.key.id && one.key != meeting.key)
    };
    let better = |other: &&Server| {
        other.accepts_meetings() && sound(other) && !tried(&other.id) && !has_id(&other.id)
    };
    match step.before.servers.iter().find(better) {
        Some(better) if step.rules.avoids_suspects && !sound(server) => {
            Err(format!("{}: it failed lately, and {} did not", on(), better.id))
        }
        _ => Ok(()),
    }
}

/// What is placed counts at once.
pub(crate) fn places_are_counted(step: &StoreChange<'_>) -> CheckResult {
    let Some(meeting) = placed_meeting(step) else { return Ok(()) };
    // What an earlier claim of the same meeting took is given back in the same moment.
    if step.before.meeting(&meeting.key).is_some() {
        return Ok(());
    }
    let load = |snapshot: &crate::simulator::expectations::StoreSnapshot| {
        snapshot.server(&meeting.server).and_then(|server| server.load)
    };
    let (Some(before), Some(after)) = (load(step.before), load(step.after)) else {
        return Ok(());
    };
    let wanted = f64::from(meeting.load.expected_users);
    if wanted > 0.0 && (after - before - wanted).abs() < ROUNDING {
        return Ok(());
    }
    let placed = meeting_name(&meeting.key);
    Err(format!("{placed} took the load of {} from {before} to {after}", meeting.server))
}

/// A meeting that runs is not forgotten, unless its server was away, or somebody said so. It may
/// move to another server that has it, too. It counts once it is confirmed, or a front-end was told
/// that it is there.
pub(crate) fn running_meetings_are_not_forgotten(step: &StoreChange<'_>) -> CheckResult {
    for was in &step.before.meetings {
        let stays = step.after.meeting(&was.key).is_some_and(|now| now.server == was.server);
        if !stays && !may_be_forgotten(step, was) {
            let (what, whose, call) = (meeting_name(&was.key), step.use_case, step.operation);
            return Err(format!("{what} runs on {}: forgotten by {whose}, {call}", was.server));
        }
    }
    Ok(())
}

fn may_be_forgotten(step: &StoreChange<'_>, was: &Meeting) -> bool {
    let Some(machine) = step.servers.get(&was.server.0) else { return true };
    let promised = |room: &&SimMeeting| {
        let lost =
            step.expectations.store_lost_at.is_some_and(|lost_at| room.created_at <= lost_at);
        let told = room.acknowledged_at.is_some() && room.abandon_reason.is_none();
        was.claim.is_none() || told && !lost
    };
    let Some(room) = machine.meeting(&was.key).filter(promised) else { return true };
    let server = step.before.server(&was.server);
    let away = was.detached || !server.is_some_and(Server::is_online);
    let cordoned = step.expectations.was_in_state(
        &was.server,
        Some(AdminState::Cordoned),
        step.use_case.started_at,
    );
    let said_so = match (&step.use_case.kind, step.operation) {
        (_, "lost") => true,
        (UseCaseKind::ChangeServer(deed, _), _) => deed.may_forget_meetings(),
        (UseCaseKind::End(key) | UseCaseKind::AdminEnd(key), "forget") => *key == was.key,
        // Nobody was in it when its cordoned server was asked; somebody may have come since.
        (UseCaseKind::Create(key), "forget") => *key == was.key && cordoned,
        (UseCaseKind::Create(key), "place") if away => *key == was.key,
        // It came back while the meeting was being placed anew, and was asked for it once more.
        (UseCaseKind::Create(key), _) if was.claim.is_some() => *key == was.key,
        _ => false,
    };
    let now_at = step.after.meeting(&was.key).map(|now| &now.server.0);
    // Of two that run the fuller one is chosen.
    let runs_there = now_at.and_then(|host| step.servers.get(host)?.meeting(&was.key)).is_some();
    // What another server had may be over when its answer is there: of one whose server is away, and
    // if that other server has crashed meanwhile.
    let crashed = now_at.and_then(|host| step.servers.get(host));
    let crashed = crashed.is_some_and(|machine| machine.down_until.is_some());
    let moved = runs_there || (now_at.is_some() && (away || crashed));
    // No poll can know one that a create has just begun anew, and that nobody was told of yet: the
    // create puts its record back before it answers.
    let anew = room.created_at > was.seen_at && room.acknowledged_at.is_none();
    said_so || (step.operation == "record_poll" && (moved || anew))
}
