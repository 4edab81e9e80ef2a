//! Rules for the results of use cases.

use bbb::Response;
use bbb::meetings::MeetingList;
use bbb::response::{is_well_formed, parse_text_elements};
use bytes::Bytes;
use domain::{AdminState, MeetingKey, ServerId, Timestamp};

use super::{CheckResult, FinishedUseCase, UseCaseOutcome};
use crate::simulator::entries::{SimServers, is_same_server};
use crate::simulator::rules::Rules;
use crate::simulator::sim_meeting::SimMeeting;
use crate::simulator::use_case::{UseCase, UseCaseKind, meeting_name};

/// Time that the store may add to the duration of a use case, in ms.
const STORE_MARGIN_MS: i64 = 4_000;

/// A use case ends in time.
pub(crate) fn check_duration(use_case: &UseCase, now: Timestamp, rules: &Rules) -> CheckResult {
    let limit_ms = match use_case.kind {
        UseCaseKind::Create(_) => rules.max_create_ms,
        UseCaseKind::Join(_) => rules.max_join_ms,
        UseCaseKind::Poll | UseCaseKind::ChangeServer(..) | UseCaseKind::AdminEnd(_) => {
            rules.max_poll_ms
        }
        _ => rules.max_call_ms,
    };
    let took_ms = now.ms_since(use_case.started_at);
    if took_ms <= limit_ms + STORE_MARGIN_MS {
        Ok(())
    } else {
        Err(format!("{use_case} took {took_ms} ms"))
    }
}

/// Returns the meeting of a successful create.
fn created_key<'a>(finished: &'a FinishedUseCase<'_>) -> Option<&'a MeetingKey> {
    match (finished.outcome, &finished.use_case.kind) {
        (UseCaseOutcome::Created(Ok(_)), UseCaseKind::Create(key)) => Some(key),
        _ => None,
    }
}

/// After a successful create the meeting runs on the server that the request log names, or has
/// ended there since. Records that the create was acknowledged.
pub(crate) fn created_meetings_exist(finished: &FinishedUseCase<'_>) -> CheckResult {
    forget_withdrawn_acknowledgements(finished);
    let Some(key) = created_key(finished) else { return Ok(()) };
    let now = finished.sim.now();
    let Some(server) = finished.server else {
        return Err(format!("{} succeeded without a server", finished.use_case));
    };
    let is_recorded_elsewhere =
        finished.sim.expectations().last_snapshot.meeting(key).is_some_and(|record| {
            record.claim.is_none() && !is_same_server(&record.server.0, &server.0)
        });
    let is_listed_twice = finished.sim.expectations().was_listed_twice(&server.0);
    let is_unrecorded = is_left_unrecorded(finished, key, server);
    let mut sim_servers = finished.sim.servers();
    let Some(sim_server) = sim_servers.get_mut(&server.0) else {
        return Err(format!("{} succeeded on {server}, which does not exist", finished.use_case));
    };
    let has_ended_since = sim_server
        .ended_meetings
        .iter()
        .any(|ended| ended.meeting.key == *key && ended.ended_at >= finished.use_case.started_at);
    match sim_server.meetings.get_mut(&key.id) {
        Some(sim_meeting) if sim_meeting.key == *key => {
            // The response may be about a meeting that has ended since, and the running one may be
            // that of another create. If the record names another server, joins go there.
            if is_response_about(finished, sim_meeting) && !is_recorded_elsewhere && !is_unrecorded
            {
                sim_meeting.acknowledged_at = sim_meeting.acknowledged_at.or(Some(now));
                sim_meeting.was_acknowledged = true;
                clear_other_acknowledgements(&mut sim_servers, key, server);
            }
            Ok(())
        }
        _ if has_ended_since => Ok(()),
        // Nobody can know that a server is listed twice before both entries have told of one meeting.
        Some(_) if is_listed_twice => Ok(()),
        Some(sim_meeting) => {
            let name = meeting_name(&sim_meeting.key);
            Err(format!("{} got the meeting {name}", finished.use_case))
        }
        None => Err(format!("{} succeeded, but {server} has no such meeting", finished.use_case)),
    }
}

/// Whether a create has left its meeting without a record, because its server was disabled or removed meanwhile: then no
/// join leads there.
fn is_left_unrecorded(finished: &FinishedUseCase<'_>, key: &MeetingKey, server: &ServerId) -> bool {
    let expectations = finished.sim.expectations();
    let since = finished.use_case.started_at;
    let was_closed = [Some(AdminState::Disabled), None]
        .into_iter()
        .any(|state| expectations.was_in_state(server, state, since));
    was_closed && expectations.last_snapshot.meeting(key).is_none()
}

/// Clears the acknowledgements of a meeting without users if its front-end is told that its create
/// has failed, and no record leads to it.
fn forget_withdrawn_acknowledgements(finished: &FinishedUseCase<'_>) {
    let (UseCaseOutcome::Created(Err(_)), UseCaseKind::Create(key)) =
        (finished.outcome, &finished.use_case.kind)
    else {
        return;
    };
    if finished.sim.expectations().last_snapshot.meeting(key).is_some() {
        return;
    }
    for sim_server in finished.sim.servers().values_mut() {
        if let Some(sim_meeting) = sim_server.meetings.get_mut(&key.id)
            && sim_meeting.key == *key
            && sim_meeting.users == 0
        {
            sim_meeting.acknowledged_at = None;
        }
    }
}

/// Clears the acknowledgements of a meeting on all other servers: only the last one counts.
fn clear_other_acknowledgements(sim_servers: &mut SimServers, key: &MeetingKey, server: &ServerId) {
    let others = sim_servers.values_mut().filter(|other| !is_same_server(&other.host, &server.0));
    for sim_meeting in others.filter_map(|sim_server| sim_server.meetings.get_mut(&key.id)) {
        if sim_meeting.key == *key {
            sim_meeting.acknowledged_at = None;
        }
    }
}

/// Returns whether the response of a create describes this meeting, by its creation time.
fn is_response_about(finished: &FinishedUseCase<'_>, sim_meeting: &SimMeeting) -> bool {
    let UseCaseOutcome::Created(Ok(body)) = finished.outcome else { return false };
    let created_at = sim_meeting.created_at.0.to_string();
    let mut elements = parse_text_elements(body).into_iter();
    elements.any(|(path, text)| path == "response/createTime" && text == created_at)
}

/// After a successful create the meeting is recorded on the server and not claimed by the create
/// any more, unless the server was disabled or removed in the meantime.
pub(crate) fn created_meetings_are_recorded(finished: &FinishedUseCase<'_>) -> CheckResult {
    let (Some(key), Some(server)) = (created_key(finished), finished.server) else { return Ok(()) };
    let expectations = finished.sim.expectations();
    let since = finished.use_case.started_at;
    let was_closed = expectations.was_in_state(server, Some(AdminState::Disabled), since)
        || expectations.was_in_state(server, None, since);
    if !expectations.was_on_server(key, server, since) && !was_closed {
        return Err(format!("{} succeeded on {server} and was not recorded", finished.use_case));
    }
    let claim = expectations.last_snapshot.meeting(key).and_then(|meeting| meeting.claim.as_ref());
    match claim {
        Some(claim) if finished.use_case.progress().claim_tokens.contains(&claim.token) => {
            Err(format!("{} succeeded, and its claim is still recorded", finished.use_case))
        }
        _ => Ok(()),
    }
}

/// A failed create leaves no claim, unless the store has failed.
pub(crate) fn failed_creates_leave_nothing(finished: &FinishedUseCase<'_>) -> CheckResult {
    let (UseCaseOutcome::Created(Err(_)), UseCaseKind::Create(key)) =
        (finished.outcome, &finished.use_case.kind)
    else {
        return Ok(());
    };
    let progress = finished.use_case.progress();
    let expectations = finished.sim.expectations();
    let claim = expectations.last_snapshot.meeting(key).and_then(|meeting| meeting.claim.as_ref());
    match claim {
        Some(claim) if progress.claim_tokens.contains(&claim.token) && !progress.store_failed => {
            Err(format!("{} failed, and its claim is still recorded", finished.use_case))
        }
        _ => Ok(()),
    }
}

/// A join redirects to a server on which the meeting was recorded during the join.
pub(crate) fn joins_go_where_the_record_says(finished: &FinishedUseCase<'_>) -> CheckResult {
    let (UseCaseOutcome::Joined(Ok(url)), Some(key)) =
        (finished.outcome, finished.use_case.kind.key())
    else {
        return Ok(());
    };
    let host = domain::server::hostname(url).unwrap_or_default();
    let server = ServerId(host.to_owned());
    if finished.sim.expectations().was_on_server(key, &server, finished.use_case.started_at) {
        return Ok(());
    }
    Err(format!("{} was redirected to {host}, where it was not recorded", finished.use_case))
}

/// After a successful `end` the meeting does not run on the server that was called.
pub(crate) fn ended_meetings_are_gone(finished: &FinishedUseCase<'_>) -> CheckResult {
    let (UseCaseOutcome::Ended(Ok(_)), Some(key), Some(server)) =
        (finished.outcome, finished.use_case.kind.key(), finished.server)
    else {
        return Ok(());
    };
    let sim_servers = finished.sim.servers();
    let sim_meeting = sim_servers.get(&server.0).and_then(|sim_server| sim_server.meeting(key));
    match sim_meeting {
        Some(sim_meeting) if sim_meeting.listed_since < finished.use_case.started_at => {
            Err(format!("{} succeeded, but the meeting still runs on {server}", finished.use_case))
        }
        _ => Ok(()),
    }
}

/// `isMeetingRunning` is true for a meeting with users on a healthy server.
pub(crate) fn running_meetings_are_called_running(finished: &FinishedUseCase<'_>) -> CheckResult {
    let (UseCaseOutcome::RunningChecked(Ok(body)), Some(key)) =
        (finished.outcome, finished.use_case.kind.key())
    else {
        return Ok(());
    };
    let use_case = finished.use_case;
    let response = Response::read(body).map_err(|error| format!("{use_case}: {error}"))?;
    let expectations = finished.sim.expectations();
    if response.running == Some(true) || expectations.store_lost_at.is_some() {
        return Ok(());
    }
    let accepts_joins = |host: &str| {
        let servers = &expectations.last_snapshot.servers;
        let mut entries = servers.iter().filter(|server| is_same_server(&server.id.0, host));
        let is_listed = entries.clone().next().is_some();
        is_listed && entries.all(domain::Server::accepts_joins)
    };
    let sim_servers = finished.sim.servers();
    let overlooked = sim_servers.values().find(|sim_server| {
        sim_server.meeting(key).is_some_and(|sim_meeting| {
            let is_acknowledged =
                sim_meeting.acknowledged_at.is_some_and(|at| at < use_case.started_at);
            let has_users =
                sim_meeting.users > 0 && sim_meeting.entered_at < Some(use_case.started_at);
            is_acknowledged
                && sim_meeting.abandon_reason.is_none()
                && has_users
                && sim_server.was_healthy_since(sim_meeting.created_at)
                && accepts_joins(&sim_server.host)
        })
    });
    match overlooked {
        Some(sim_server) => {
            Err(format!("{use_case} returned false, but the meeting runs on {}", sim_server.host))
        }
        None => Ok(()),
    }
}

/// Responses to a tenant are about its own meetings only.
pub(crate) fn tenants_see_their_own(finished: &FinishedUseCase<'_>) -> CheckResult {
    let (tenant, shown) = match (finished.outcome, &finished.use_case.kind) {
        (UseCaseOutcome::Listed(Ok(body)), UseCaseKind::GetMeetings(tenant)) => {
            (tenant, listed_tenants(body)?)
        }
        (UseCaseOutcome::InfoReturned(Ok(body)), UseCaseKind::GetMeetingInfo(key)) => {
            (&key.tenant, vec![described_tenant(body)])
        }
        _ => return Ok(()),
    };
    match shown.iter().find(|shown| *shown != tenant) {
        Some(other) => Err(format!("{} contained a meeting of {other:?}", finished.use_case)),
        None => Ok(()),
    }
}

fn listed_tenants(body: &Bytes) -> Result<Vec<Option<String>>, String> {
    if !is_well_formed(body) {
        return Err("getMeetings answers what is not well-formed".to_owned());
    }
    let list = MeetingList::read(body).map_err(|error| format!("getMeetings: {error}"))?;
    let tenants = list.meetings.iter().map(|meeting| meeting.meta("tenant-id"));
    Ok(tenants.map(|tenant| tenant.map(str::to_owned)).collect())
}

fn described_tenant(body: &Bytes) -> Option<String> {
    let elements = parse_text_elements(body);
    let found = elements.into_iter().find(|(path, _)| path == "response/metadata/tenant-id");
    found.map(|(_, value)| value)
}
