//! Rules of what use cases answer.

use std::collections::BTreeMap;

use bbb::Response;
use bbb::meetings::MeetingList;
use bbb::response::{is_well_formed, parse_text_elements};
use bytes::Bytes;
use domain::{AdminState, MeetingKey, ServerId, Timestamp};

use super::{CheckResult, FinishedUseCase, UseCaseOutcome};
use crate::simulator::rules::Rules;
use crate::simulator::sim_meeting::SimMeeting;
use crate::simulator::sim_server::SimServer;
use crate::simulator::use_case::{UseCase, UseCaseKind, meeting_name};

/// The store may take a while, too.
const SLACK_MS: i64 = 4_000;

/// A use case is over in time.
pub(crate) fn check_duration(op: &UseCase, now: Timestamp, rules: &Rules) -> CheckResult {
    let limit_ms = match op.kind {
        UseCaseKind::Create(_) => rules.max_create_ms,
        UseCaseKind::Poll | UseCaseKind::ChangeServer(..) | UseCaseKind::AdminEnd(_) => {
            rules.max_poll_ms
        }
        _ => rules.max_call_ms,
    };
    let took_ms = now.ms_since(op.started_at);
    if took_ms <= limit_ms + SLACK_MS { Ok(()) } else { Err(format!("{op} took {took_ms} ms")) }
}

/// The meeting that a successful create was about.
fn created_key<'a>(done: &'a FinishedUseCase<'_>) -> Option<&'a MeetingKey> {
    match (done.outcome, &done.use_case.kind) {
        (UseCaseOutcome::Created(Ok(_)), UseCaseKind::Create(key)) => Some(key),
        _ => None,
    }
}

/// A create that succeeded left a meeting on the server that it names, which runs or is over since.
pub(crate) fn created_meetings_exist(done: &FinishedUseCase<'_>) -> CheckResult {
    let Some(key) = created_key(done) else { return Ok(()) };
    let now = done.sim.now();
    let server = done.server.ok_or_else(|| format!("{} succeeded nowhere", done.use_case))?;
    let elsewhere = done
        .sim
        .expectations()
        .last_snapshot
        .meeting(key)
        .is_some_and(|record| record.claim.is_none() && record.server != *server);
    let mut machines = done.sim.servers();
    let machine = machines.get_mut(&server.0).ok_or_else(|| format!("{server} is none"))?;
    let over = |ended_at: Timestamp| ended_at >= done.use_case.started_at;
    let is_past =
        machine.ended_meetings.iter().any(|past| past.meeting.key == *key && over(past.ended_at));
    match machine.meetings.get_mut(&key.id) {
        Some(room) if room.key == *key => {
            // The answer may be about one that is over since, and this one begun by another create. And
            // if another server has it as well, for all that is recorded, joins go there.
            if is_response_about(done, room) && !elsewhere {
                room.acknowledged_at = room.acknowledged_at.or(Some(now));
                clear_other_acknowledgements(&mut machines, key, server);
            }
            Ok(())
        }
        _ if is_past => Ok(()),
        Some(room) => Err(format!("{} was given {}", done.use_case, meeting_name(&room.key))),
        None => Err(format!("{} succeeded, but {server} has no such meeting", done.use_case)),
    }
}

/// What was promised of a meeting is true of one server: of the last one.
fn clear_other_acknowledgements(
    machines: &mut BTreeMap<String, SimServer>,
    key: &MeetingKey,
    server: &ServerId,
) {
    let others = machines.iter_mut().filter(|(host, _)| **host != server.0);
    for room in others.filter_map(|(_, machine)| machine.meetings.get_mut(&key.id)) {
        if room.key == *key {
            room.acknowledged_at = None;
        }
    }
}

/// Whether a create was answered with that very meeting.
fn is_response_about(done: &FinishedUseCase<'_>, room: &SimMeeting) -> bool {
    let UseCaseOutcome::Created(Ok(body)) = done.outcome else { return false };
    let born_at = room.created_at.0.to_string();
    let told =
        parse_text_elements(body).into_iter().find(|(path, _)| path == "response/createTime");
    told.is_some_and(|(_, told)| told == born_at)
}

/// A create that succeeded left a record of its server without a claim of its own, unless the
/// server was closed or somebody said otherwise meanwhile.
pub(crate) fn created_meetings_are_recorded(done: &FinishedUseCase<'_>) -> CheckResult {
    let (Some(key), Some(server)) = (created_key(done), done.server) else { return Ok(()) };
    let ledger = done.sim.expectations();
    let since = done.use_case.started_at;
    let closed = ledger.was_in_state(server, Some(AdminState::Disabled), since)
        || ledger.was_in_state(server, None, since);
    if !ledger.was_on_server(key, server, since) && !closed {
        return Err(format!("{} succeeded on {server}, and no record says so", done.use_case));
    }
    let claim = ledger.last_snapshot.meeting(key).and_then(|meeting| meeting.claim.as_ref());
    match claim {
        Some(claim) if done.use_case.progress().claim_tokens.contains(&claim.token) => {
            Err(format!("{} succeeded, and its claim still stands", done.use_case))
        }
        _ => Ok(()),
    }
}

/// A create that failed left no claim, unless the store failed it.
pub(crate) fn failed_creates_leave_nothing(done: &FinishedUseCase<'_>) -> CheckResult {
    let (UseCaseOutcome::Created(Err(_)), UseCaseKind::Create(key)) =
        (done.outcome, &done.use_case.kind)
    else {
        return Ok(());
    };
    let seen = done.use_case.progress();
    let ledger = done.sim.expectations();
    let claim = ledger.last_snapshot.meeting(key).and_then(|meeting| meeting.claim.as_ref());
    match claim {
        Some(claim) if seen.claim_tokens.contains(&claim.token) && !seen.store_failed => {
            Err(format!("{} failed, and its claim still stands", done.use_case))
        }
        _ => Ok(()),
    }
}

/// A join goes to a server on which the meeting was recorded while it was looked up.
pub(crate) fn joins_go_where_the_record_says(done: &FinishedUseCase<'_>) -> CheckResult {
    let (UseCaseOutcome::Joined(Ok(url)), Some(key)) = (done.outcome, done.use_case.kind.key())
    else {
        return Ok(());
    };
    let host = domain::server::hostname(url).unwrap_or_default();
    let server = ServerId(host.to_owned());
    if done.sim.expectations().was_on_server(key, &server, done.use_case.started_at) {
        return Ok(());
    }
    Err(format!("{} was sent to {host}, where no record has it", done.use_case))
}

/// A meeting that was ended is over on the server that was asked.
pub(crate) fn ended_meetings_are_gone(done: &FinishedUseCase<'_>) -> CheckResult {
    let (UseCaseOutcome::Ended(Ok(_)), Some(key), Some(server)) =
        (done.outcome, done.use_case.kind.key(), done.server)
    else {
        return Ok(());
    };
    let machines = done.sim.servers();
    let room = machines.get(&server.0).and_then(|machine| machine.meeting(key));
    match room {
        Some(room) if room.created_at < done.use_case.started_at => {
            Err(format!("{} succeeded, but it still runs on {server}", done.use_case))
        }
        _ => Ok(()),
    }
}

/// A meeting with people in it on a server that is well is not said to be not running.
pub(crate) fn running_meetings_are_called_running(done: &FinishedUseCase<'_>) -> CheckResult {
    let (UseCaseOutcome::RunningChecked(Ok(body)), Some(key)) =
        (done.outcome, done.use_case.kind.key())
    else {
        return Ok(());
    };
    let said = Response::read(body).map_err(|error| format!("{}: {error}", done.use_case))?.running;
    let ledger = done.sim.expectations();
    let lost_at = ledger.store_lost_at;
    let usable = |host: &str| {
        let server = ledger.last_snapshot.servers.iter().find(|server| server.id.0 == host);
        server.is_some_and(domain::Server::accepts_joins)
    };
    let machines = done.sim.servers();
    let overlooked = machines.values().find(|machine| {
        machine.meeting(key).is_some_and(|room| {
            let known = room.acknowledged_at.is_some_and(|at| at < done.use_case.started_at);
            let free = room.abandon_reason.is_none() && lost_at.is_none();
            let busy = room.users > 0 && room.entered_at < Some(done.use_case.started_at);
            let well = machine.was_healthy_since(room.created_at) && usable(&machine.host);
            known && free && busy && well
        })
    });
    match overlooked {
        Some(machine) if said != Some(true) => Err(format!(
            "{} was told that it does not run, but it does on {}",
            done.use_case, machine.host
        )),
        _ => Ok(()),
    }
}

/// What a tenant is told is about its own meetings.
pub(crate) fn tenants_see_their_own(done: &FinishedUseCase<'_>) -> CheckResult {
    let (tenant, shown) = match (done.outcome, &done.use_case.kind) {
        (UseCaseOutcome::Listed(Ok(body)), UseCaseKind::GetMeetings(tenant)) => {
            (tenant, listed_tenants(body)?)
        }
        (UseCaseOutcome::InfoReturned(Ok(body)), UseCaseKind::GetMeetingInfo(key)) => {
            (&key.tenant, vec![described_tenant(body)])
        }
        _ => return Ok(()),
    };
    match shown.iter().find(|shown| *shown != tenant) {
        Some(other) => Err(format!("{} was shown a meeting of {other:?}", done.use_case)),
        None => Ok(()),
    }
}

fn listed_tenants(body: &Bytes) -> Result<Vec<Option<String>>, String> {
    if !is_well_formed(body) {
        return Err("getMeetings answers what is not well-formed".to_owned());
    }
    let read = MeetingList::read(body).map_err(|error| format!("getMeetings answers {error}"))?;
    Ok(read.meetings.iter().map(|one| one.meta("tenant-id").map(str::to_owned)).collect())
}

fn described_tenant(body: &Bytes) -> Option<String> {
    let elements = parse_text_elements(body);
    let found = elements.into_iter().find(|(path, _)| path == "response/metadata/tenant-id");
    found.map(|(_, value)| value)
}
