//! A rule of browsers that arrive where a join sent them.

use domain::{MeetingKey, ServerId, Timestamp};

use super::CheckResult;
use crate::simulator::expectations::Expectations;
use crate::simulator::sim_run::SimRun;
use crate::simulator::sim_server::SimServer;
use crate::simulator::use_case::{UseCase, meeting_name};

/// So long a meeting that is over may stay recorded on a server that is well: a cycle of polls and
/// a little more.
const MAX_STALE_MS: i64 = 100_000;

/// A browser finds the meeting of its own tenant; or none, if it is over, or not there yet, or its
/// server was not well.
pub(crate) fn check_redirect(
    world: &SimRun,
    ledger: &Expectations,
    machine: &SimServer,
    op: &UseCase,
) -> CheckResult {
    let now = world.now();
    let Some(key) = op.kind.key() else { return Ok(()) };
    if machine.down_until.is_some() {
        return Ok(());
    }
    match machine.meetings.get(&key.id) {
        Some(room) if room.key == *key => Ok(()),
        // On a BBB server ids belong to nobody: one that was over may be another tenant's by now.
        Some(room) if room.created_at >= op.started_at => Ok(()),
        Some(room) => Err(format!("{op}: landed in the meeting of {}", meeting_name(&room.key))),
        None if is_absence_explained(ledger, machine, key, now) => Ok(()),
        None => Err(format!("{op}: {} has no such meeting, and never had", machine.host)),
    }
}

fn is_absence_explained(
    ledger: &Expectations,
    machine: &SimServer,
    key: &MeetingKey,
    now: Timestamp,
) -> bool {
    let record = ledger.last_snapshot.meeting(key);
    let here = ServerId(machine.host.clone());
    let Some(record) = record.filter(|record| record.server == here) else { return true };
    let is_over = machine.ended_meetings.iter().any(|past| {
        past.meeting.key == *key && past.ended_at >= record.placed_at.plus_ms(-MAX_STALE_MS)
    });
    record.claim.is_some() || is_over || !machine.was_healthy_since(now.plus_ms(-MAX_STALE_MS))
}
