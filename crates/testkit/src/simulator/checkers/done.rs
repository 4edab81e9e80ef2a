//! Rules of what use cases answer.

use std::collections::BTreeMap;

use bbb::Answer;
use bbb::answer::text_elements;
use bbb::meetings::Meetings;
use bytes::Bytes;
use domain::{AdminState, MeetingKey, ServerId, Timestamp};

use super::{Done, Outcome, Verdict};
use crate::simulator::machine::Machine;
use crate::simulator::op::{Kind, Op, name};
use crate::simulator::room::Room;
use crate::simulator::rules::Rules;

/// The store may take a while, too.
const SLACK_MS: i64 = 4_000;

/// A use case is over in time.
pub(crate) fn ends_in_time(op: &Op, now: Timestamp, rules: &Rules) -> Verdict {
    let limit_ms = match op.kind {
        Kind::Create(_) => rules.create_ms_max,
        Kind::Poll | Kind::Server(..) | Kind::Dismiss(_) => rules.poll_ms_max,
        _ => rules.call_ms_max,
    };
    let took_ms = now.ms_since(op.began);
    if took_ms <= limit_ms + SLACK_MS { Ok(()) } else { Err(format!("{op} took {took_ms} ms")) }
}

/// The meeting that a successful create was about.
fn created<'a>(done: &'a Done<'_>) -> Option<&'a MeetingKey> {
    match (done.outcome, &done.op.kind) {
        (Outcome::Created(Ok(_)), Kind::Create(key)) => Some(key),
        _ => None,
    }
}

/// A create that succeeded left a meeting on the server that it names, which runs or is over since.
pub(crate) fn created_meetings_exist(done: &Done<'_>) -> Verdict {
    let Some(key) = created(done) else { return Ok(()) };
    let now = done.world.now();
    let server = done.server.ok_or_else(|| format!("{} succeeded nowhere", done.op))?;
    let elsewhere = done
        .world
        .ledger()
        .last
        .meeting(key)
        .is_some_and(|record| record.claim.is_none() && record.server != *server);
    let mut machines = done.world.machines();
    let machine = machines.get_mut(&server.0).ok_or_else(|| format!("{server} is none"))?;
    let over = |ended_at: Timestamp| ended_at >= done.op.began;
    let is_past = machine.past.iter().any(|past| past.room.key == *key && over(past.ended_at));
    match machine.rooms.get_mut(&key.id) {
        Some(room) if room.key == *key => {
            // The answer may be about one that is over since, and this one begun by another create. And
            // if another server has it as well, for all that is recorded, joins go there.
            if is_about(done, room) && !elsewhere {
                room.acknowledged_at = room.acknowledged_at.or(Some(now));
                withdraw_others(&mut machines, key, server);
            }
            Ok(())
        }
        _ if is_past => Ok(()),
        Some(room) => Err(format!("{} was given {}", done.op, name(&room.key))),
        None => Err(format!("{} succeeded, but {server} has no such meeting", done.op)),
    }
}

/// What was promised of a meeting is true of one server: of the last one.
fn withdraw_others(machines: &mut BTreeMap<String, Machine>, key: &MeetingKey, server: &ServerId) {
    let others = machines.iter_mut().filter(|(host, _)| **host != server.0);
    for room in others.filter_map(|(_, machine)| machine.rooms.get_mut(&key.id)) {
        if room.key == *key {
            room.acknowledged_at = None;
        }
    }
}

/// Whether a create was answered with that very meeting.
fn is_about(done: &Done<'_>, room: &Room) -> bool {
    let Outcome::Created(Ok(body)) = done.outcome else { return false };
    let born_at = room.born_at.0.to_string();
    let told = text_elements(body).into_iter().find(|(path, _)| path == "response/createTime");
    told.is_some_and(|(_, told)| told == born_at)
}

/// A create that succeeded left a record of its server without a claim of its own, unless the
/// server was closed or somebody said otherwise meanwhile.
pub(crate) fn created_meetings_are_recorded(done: &Done<'_>) -> Verdict {
    let (Some(key), Some(server)) = (created(done), done.server) else { return Ok(()) };
    let ledger = done.world.ledger();
    let since = done.op.began;
    let closed =
        ledger.was(server, Some(AdminState::Disabled), since) || ledger.was(server, None, since);
    if !ledger.was_home(key, server, since) && !closed {
        return Err(format!("{} succeeded on {server}, and no record says so", done.op));
    }
    let claim = ledger.last.meeting(key).and_then(|meeting| meeting.claim.as_ref());
    match claim {
        Some(claim) if done.op.seen().tokens.contains(&claim.token) => {
            Err(format!("{} succeeded, and its claim still stands", done.op))
        }
        _ => Ok(()),
    }
}

/// A create that failed left no claim, unless the store failed it.
pub(crate) fn failed_creates_leave_nothing(done: &Done<'_>) -> Verdict {
    let (Outcome::Created(Err(_)), Kind::Create(key)) = (done.outcome, &done.op.kind) else {
        return Ok(());
    };
    let seen = done.op.seen();
    let ledger = done.world.ledger();
    let claim = ledger.last.meeting(key).and_then(|meeting| meeting.claim.as_ref());
    match claim {
        Some(claim) if seen.tokens.contains(&claim.token) && !seen.store_failed => {
            Err(format!("{} failed, and its claim still stands", done.op))
        }
        _ => Ok(()),
    }
}

/// A join goes to a server on which the meeting was recorded while it was looked up.
pub(crate) fn joins_go_where_the_record_says(done: &Done<'_>) -> Verdict {
    let (Outcome::Joined(Ok(url)), Some(key)) = (done.outcome, done.op.kind.key()) else {
        return Ok(());
    };
    let host = domain::server::hostname(url).unwrap_or_default();
    let server = ServerId(host.to_owned());
    if done.world.ledger().was_home(key, &server, done.op.began) {
        return Ok(());
    }
    Err(format!("{} was sent to {host}, where no record has it", done.op))
}

/// A meeting that was ended is over on the server that was asked.
pub(crate) fn ended_meetings_are_gone(done: &Done<'_>) -> Verdict {
    let (Outcome::Ended(Ok(_)), Some(key), Some(server)) =
        (done.outcome, done.op.kind.key(), done.server)
    else {
        return Ok(());
    };
    let machines = done.world.machines();
    let room = machines.get(&server.0).and_then(|machine| machine.room(key));
    match room {
        Some(room) if room.born_at < done.op.began => {
            Err(format!("{} succeeded, but it still runs on {server}", done.op))
        }
        _ => Ok(()),
    }
}

/// A meeting with people in it on a server that is well is not said to be not running.
pub(crate) fn running_meetings_are_called_running(done: &Done<'_>) -> Verdict {
    let (Outcome::Running(Ok(body)), Some(key)) = (done.outcome, done.op.kind.key()) else {
        return Ok(());
    };
    let said = Answer::read(body).map_err(|error| format!("{}: {error}", done.op))?.running;
    let ledger = done.world.ledger();
    let lost_at = ledger.lost_at;
    let usable = |host: &str| {
        let server = ledger.last.servers.iter().find(|server| server.id.0 == host);
        server.is_some_and(domain::Server::accepts_joins)
    };
    let machines = done.world.machines();
    let overlooked = machines.values().find(|machine| {
        machine.room(key).is_some_and(|room| {
            let known = room.acknowledged_at.is_some_and(|at| at < done.op.began);
            let free = room.written_off.is_none() && lost_at.is_none();
            let busy = room.users > 0 && room.entered_at < Some(done.op.began);
            let well = machine.was_healthy_since(room.born_at) && usable(&machine.host);
            known && free && busy && well
        })
    });
    match overlooked {
        Some(machine) if said != Some(true) => Err(format!(
            "{} was told that it does not run, but it does on {}",
            done.op, machine.host
        )),
        _ => Ok(()),
    }
}

/// What a tenant is told is about its own meetings.
pub(crate) fn tenants_see_their_own(done: &Done<'_>) -> Verdict {
    let (tenant, shown) = match (done.outcome, &done.op.kind) {
        (Outcome::Listed(Ok(body)), Kind::List(tenant)) => (tenant, listed(body)?),
        (Outcome::Info(Ok(body)), Kind::Info(key)) => (&key.tenant, vec![described(body)]),
        _ => return Ok(()),
    };
    match shown.iter().find(|shown| *shown != tenant) {
        Some(other) => Err(format!("{} was shown a meeting of {other:?}", done.op)),
        None => Ok(()),
    }
}

fn listed(body: &Bytes) -> Result<Vec<Option<String>>, String> {
    let read = Meetings::read(body).map_err(|error| format!("getMeetings answers {error}"))?;
    Ok(read.list.iter().map(|one| one.meta("tenant-id").map(str::to_owned)).collect())
}

fn described(body: &Bytes) -> Option<String> {
    let elements = text_elements(body);
    let found = elements.into_iter().find(|(path, _)| path == "response/metadata/tenant-id");
    found.map(|(_, value)| value)
}
