//! Rules of meetings at the moment when they really begin or end.

use domain::{AdminState, MeetingKey, ServerId};

use super::CheckResult;
use crate::simulator::sim_run::SimRun;
use crate::simulator::use_case::{UseCase, UseCaseKind, meeting_name};

/// A call reaches its server within this, and before it somebody asked the store and perhaps another
/// server.
const MAX_TRANSIT_MS: i64 = 150;

/// A meeting begins on a server that was enabled at some time since its create began.
pub(crate) fn check_server_enabled(world: &SimRun, op: &UseCase, host: &str) -> CheckResult {
    let server = ServerId(host.to_owned());
    let ledger = world.expectations();
    if ledger.was_in_state(&server, Some(AdminState::Enabled), op.started_at) {
        return Ok(());
    }
    let known = op.kind.key().is_some_and(|key| ledger.was_on_server(key, &server, op.started_at));
    // It may end between the question whether it is there and the create: BBB offers no way to ask
    // for both at once.
    let machines = world.servers();
    let just_ended = op.kind.key().is_some_and(|key| {
        let past =
            machines.get(host).map(|machine| machine.ended_meetings.as_slice()).unwrap_or_default();
        past.iter().any(|past| past.meeting.key == *key && past.ended_at >= op.started_at)
    });
    if known && just_ended {
        return Ok(());
    }
    Err(format!("{op} began a meeting on {host}, which was not enabled"))
}

/// A meeting begins with the number that is reserved for it.
pub(crate) fn check_voice_bridge(
    world: &SimRun,
    op: &UseCase,
    host: &str,
    key: &MeetingKey,
) -> CheckResult {
    let ledger = world.expectations();
    // Of creates at the same time, the one whose claim it is.
    let seen = op.progress();
    let record = ledger.last_snapshot.meeting(key).filter(|record| {
        let claim = record.claim.as_ref();
        record.server.0 == host
            && claim.is_some_and(|claim| seen.claim_tokens.contains(&claim.token))
    });
    let reserved = record.and_then(|record| record.voice_bridge.as_deref());
    let machines = world.servers();
    let room = machines.get(host).and_then(|machine| machine.meeting(key));
    match (reserved, room) {
        (Some(reserved), Some(room)) if room.voice_bridge != reserved => {
            Err(format!("{op} began with {}, reserved is {reserved}", room.voice_bridge))
        }
        _ => Ok(()),
    }
}

/// Of its own accord the balancer ends only what nobody was promised, or what runs elsewhere.
pub(crate) fn check_may_end(world: &SimRun, op: &UseCase, host: &str, id: &str) -> CheckResult {
    let asked_for = match &op.kind {
        UseCaseKind::End(_) | UseCaseKind::AdminEnd(_) => true,
        UseCaseKind::ChangeServer(deed, _) => deed.may_forget_meetings(),
        _ => false,
    };
    let ledger = world.expectations();
    let machines = world.servers();
    let room = machines.get(host).and_then(|machine| machine.meetings.get(id));
    let promised = room.filter(|room| {
        room.acknowledged_at.is_some() && room.ended_at.is_none() && room.abandon_reason.is_none()
    });
    let Some(room) = promised.filter(|_| !asked_for) else { return Ok(()) };
    let record = ledger.last_snapshot.meeting(&room.key);
    let elsewhere = record.filter(|record| record.server.0 != host);
    if elsewhere.is_some_and(|record| record.claim.is_none()) {
        return Ok(());
    }
    // It may have been so when the store was asked.
    let lately = world.now().plus_ms(-MAX_TRANSIT_MS);
    if record.is_none() && ledger.was_on_other_server(&room.key, &ServerId(host.to_owned()), lately)
    {
        return Ok(());
    }
    // An `end` cannot be called back: one that was on its way when a create was answered.
    let promised_at = room.acknowledged_at.unwrap_or(room.created_at);
    if world.now().ms_since(promised_at) < MAX_TRANSIT_MS {
        return Ok(());
    }
    let home = record.map(|record| &record.server.0);
    Err(format!("{op} ends {} on {host}, recorded: {home:?}", meeting_name(&room.key)))
}
