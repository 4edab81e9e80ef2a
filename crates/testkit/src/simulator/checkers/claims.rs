//! Rules for what servers claim to have.

use super::{CheckResult, StoreChange};
use crate::simulator::entries::is_same_server;
use crate::simulator::hostile::FLOOD_NAME;
use crate::simulator::scenario::FLOOD_MAX_ADOPTIONS;
use crate::simulator::use_case::meeting_name;

/// Most replicas of a run; each of them counts for itself.
const MAX_REPLICAS: usize = 3;

/// A server that lists meetings without end makes the replicas adopt no more than they may within an hour.
pub(crate) fn floods_are_not_adopted(change: &StoreChange<'_>) -> CheckResult {
    let after = change.after.meetings.iter();
    let is_flood = |meeting: &&domain::Meeting| {
        meeting.origin.is_adopted && meeting.key.id.starts_with(FLOOD_NAME)
    };
    let count = after.filter(is_flood).count();
    let max = FLOOD_MAX_ADOPTIONS * MAX_REPLICAS;
    if count > max { Err(format!("{count} meetings were adopted, {max} may be")) } else { Ok(()) }
}

/// A poll of one server moves no meeting that another one has, with users in it.
pub(crate) fn claims_move_nothing(change: &StoreChange<'_>) -> CheckResult {
    if change.operation != "record_poll" {
        return Ok(());
    }
    let is_safe = |record: &&domain::Meeting| {
        let server = change.before.server(&record.server);
        record.claim.is_none()
            && record.missed_polls == 0
            && record.load.users > 0
            && record.origin.is_proven
            && !record.detached
            && server.is_some_and(domain::Server::accepts_joins)
    };
    for record in change.before.meetings.iter().filter(is_safe) {
        let Some(after) = change.after.meeting(&record.key) else { continue };
        if !is_same_server(&after.server.0, &record.server.0) {
            let (name, from, to) = (meeting_name(&record.key), &record.server, &after.server);
            return Err(format!("{name} was moved from {from}, which has it, to {to}"));
        }
    }
    Ok(())
}
