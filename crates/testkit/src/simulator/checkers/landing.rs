//! A rule of browsers that arrive where a join sent them.

use domain::{MeetingKey, ServerId, Timestamp};

use super::Verdict;
use crate::simulator::ledger::Ledger;
use crate::simulator::machine::Machine;
use crate::simulator::op::{Op, name};
use crate::simulator::world::World;

/// So long a meeting that is over may stay recorded on a server that is well: a cycle of polls and
/// a little more.
const STALE_MS: i64 = 100_000;

/// A browser finds the meeting of its own tenant; or none, if it is over, or not there yet, or its
/// server was not well.
pub(crate) fn verdict(world: &World, ledger: &Ledger, machine: &Machine, op: &Op) -> Verdict {
    let now = world.now();
    let Some(key) = op.kind.key() else { return Ok(()) };
    if machine.down_until.is_some() {
        return Ok(());
    }
    match machine.rooms.get(&key.id) {
        Some(room) if room.key == *key => Ok(()),
        // On a BBB server ids belong to nobody: one that was over may be another tenant's by now.
        Some(room) if room.born_at >= op.began => Ok(()),
        Some(room) => Err(format!("{op}: landed in the meeting of {}", name(&room.key))),
        None if is_explained(ledger, machine, key, now) => Ok(()),
        None => Err(format!("{op}: {} has no such meeting, and never had", machine.host)),
    }
}

fn is_explained(ledger: &Ledger, machine: &Machine, key: &MeetingKey, now: Timestamp) -> bool {
    let record = ledger.last.meeting(key);
    let here = ServerId(machine.host.clone());
    let Some(record) = record.filter(|record| record.server == here) else { return true };
    let is_over = machine
        .past
        .iter()
        .any(|past| past.room.key == *key && past.ended_at >= record.placed_at.plus_ms(-STALE_MS));
    record.claim.is_some() || is_over || !machine.was_healthy_since(now.plus_ms(-STALE_MS))
}
