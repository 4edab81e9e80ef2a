//! Rules of meetings at the moment when they really begin or end.

use domain::{AdminState, MeetingKey, ServerId};

use super::Verdict;
use crate::simulator::op::{Kind, Op, name};
use crate::simulator::world::World;

/// A call reaches its server within this, and before it somebody asked the store and perhaps another
/// server.
const ON_ITS_WAY_MS: i64 = 150;

/// A meeting begins on a server that was enabled at some time since its create began.
pub(crate) fn is_on_an_open_server(world: &World, op: &Op, host: &str) -> Verdict {
    let server = ServerId(host.to_owned());
    let ledger = world.ledger();
    if ledger.was(&server, Some(AdminState::Enabled), op.began) {
        return Ok(());
    }
    let known = op.kind.key().is_some_and(|key| ledger.was_home(key, &server, op.began));
    // It may end between the question whether it is there and the create: BBB offers no way to ask
    // for both at once.
    let machines = world.machines();
    let just_ended = op.kind.key().is_some_and(|key| {
        let past = machines.get(host).map(|machine| machine.past.as_slice()).unwrap_or_default();
        past.iter().any(|past| past.room.key == *key && past.ended_at >= op.began)
    });
    if known && just_ended {
        return Ok(());
    }
    Err(format!("{op} began a meeting on {host}, which was not enabled"))
}

/// A meeting begins with the number that is reserved for it.
pub(crate) fn has_its_number(world: &World, op: &Op, host: &str, key: &MeetingKey) -> Verdict {
    let ledger = world.ledger();
    // Of creates at the same time, the one whose claim it is.
    let seen = op.seen();
    let record = ledger.last.meeting(key).filter(|record| {
        let claim = record.claim.as_ref();
        record.server.0 == host && claim.is_some_and(|claim| seen.tokens.contains(&claim.token))
    });
    let reserved = record.and_then(|record| record.voice_bridge.as_deref());
    let machines = world.machines();
    let room = machines.get(host).and_then(|machine| machine.room(key));
    match (reserved, room) {
        (Some(reserved), Some(room)) if room.voice_bridge != reserved => {
            Err(format!("{op} began with {}, reserved is {reserved}", room.voice_bridge))
        }
        _ => Ok(()),
    }
}

/// Of its own accord the balancer ends only what nobody was promised, or what runs elsewhere.
pub(crate) fn may_be_ended(world: &World, op: &Op, host: &str, id: &str) -> Verdict {
    let asked_for = match &op.kind {
        Kind::End(_) | Kind::Dismiss(_) => true,
        Kind::Server(deed, _) => deed.forgets(),
        _ => false,
    };
    let ledger = world.ledger();
    let machines = world.machines();
    let room = machines.get(host).and_then(|machine| machine.rooms.get(id));
    let promised = room.filter(|room| {
        room.acknowledged_at.is_some() && room.ended_at.is_none() && room.written_off.is_none()
    });
    let Some(room) = promised.filter(|_| !asked_for) else { return Ok(()) };
    let record = ledger.last.meeting(&room.key);
    let elsewhere = record.filter(|record| record.server.0 != host);
    if elsewhere.is_some_and(|record| record.claim.is_none()) {
        return Ok(());
    }
    // It may have been so when the store was asked.
    let lately = world.now().plus_ms(-ON_ITS_WAY_MS);
    if record.is_none() && ledger.was_elsewhere(&room.key, &ServerId(host.to_owned()), lately) {
        return Ok(());
    }
    // An `end` cannot be called back: one that was on its way when a create was answered.
    let promised_at = room.acknowledged_at.unwrap_or(room.born_at);
    if world.now().ms_since(promised_at) < ON_ITS_WAY_MS {
        return Ok(());
    }
    let home = record.map(|record| &record.server.0);
    Err(format!("{op} ends {} on {host}, recorded: {home:?}", name(&room.key)))
}
