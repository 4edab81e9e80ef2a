//! Rules for meetings that are made anew because their servers are dead.

use domain::health::HealthState;
use domain::revival::may_be_revived;
use domain::{MeetingKey, Server, ServerId, Timestamp};

use super::final_state::may_be_unproven;
use super::{CheckResult, FinalState, FinishedUseCase, UseCaseOutcome};
use crate::simulator::entries::is_same_server;
use crate::simulator::expectations::{Expectations, StoreSnapshot};
use crate::simulator::sim_meeting::SimMeeting;
use crate::simulator::sim_run::SimRun;
use crate::simulator::sim_server::SimServer;
use crate::simulator::use_case::{UseCase, UseCaseKind, meeting_name};
use app::api::ApiError;

/// A server that had no fault for so long can take the meeting, and no earlier revival has failed on it, in ms.
const HEALTHY_FOR_MS: i64 = 40_000;
/// A server that answered nothing for so long before the join was offline when that began, in ms.
const OFFLINE_AFTER_MS: i64 = 30_000;

/// Returns when a front-end was told that the meeting is over, unless a create of it has begun or succeeded since.
fn ended_at(expectations: &Expectations, key: &MeetingKey) -> Option<(Timestamp, Timestamp)> {
    let ended = expectations.confirmed_ends.get(key).copied()?;
    expectations.last_created_at(key).is_none_or(|at| at < ended.0).then_some(ended)
}

/// A join starts a meeting only if it was not ended, and if no healthy server has it.
pub(crate) fn check_start(
    sim: &SimRun,
    use_case: &UseCase,
    host: &str,
    key: &MeetingKey,
) -> CheckResult {
    if !matches!(use_case.kind, UseCaseKind::Join(_)) {
        return Ok(());
    }
    sim.count_event("revivals");
    let name = meeting_name(key);
    let expectations = sim.expectations();
    if ended_at(&expectations, key).is_some_and(|(_, over)| over < use_case.started_at) {
        return Err(format!("{use_case} revived {name} on {host}, which was ended"));
    }
    let sim_servers = sim.servers();
    let mut others = sim_servers.values().filter(|other| other.host != host);
    let healthy = others.find(|other| {
        other.meeting(key).is_some_and(|running| {
            running.acknowledged_at.is_some()
                // A copy that had lost its record is none that joins are sent to.
                && expectations.was_on_server(
                    key,
                    &ServerId(other.host.clone()),
                    use_case.started_at,
                )
                && other.was_healthy_since(running.created_at)
                // The revival, or a create beside it, may have asked two servers, since the first one was slow.
                && running.created_at < use_case.started_at
        })
    });
    match healthy {
        Some(other) => Err(format!("{use_case} revived {name}, which runs on {}", other.host)),
        None => Ok(()),
    }
}

/// Whether another entry of the same server is online. The meeting runs there.
fn is_online_under_another_name(snapshot: &StoreSnapshot, server: &Server) -> bool {
    let mut entries = snapshot.servers.iter().filter(|other| other.id != server.id);
    entries.any(|other| other.is_online() && is_same_server(&other.id.0, &server.id.0))
}

/// A join to a meeting that was alive when its dead server answered last succeeds if other servers are healthy.
/// Runs in which stores fail prove nothing.
pub(crate) fn joins_survive_dead_servers(finished: &FinishedUseCase<'_>) -> CheckResult {
    let FinishedUseCase { sim, use_case, outcome, .. } = finished;
    let (UseCaseOutcome::Joined(Err(error)), Some(key)) = (outcome, use_case.kind.key()) else {
        return Ok(());
    };
    let scenario = &sim.scenario;
    let is_disturbed = scenario.store_faults || scenario.store_loss || scenario.external_bridges;
    if is_disturbed || *error == ApiError::NotFound {
        return Ok(());
    }
    let expectations = sim.expectations();
    let snapshot = &expectations.last_snapshot;
    let Some(record) = snapshot.meeting(key) else { return Ok(()) };
    let Some(server) = snapshot.server(&record.server) else { return Ok(()) };
    let window_ms = scenario.policy().revival_window_ms;
    let internal_id = record.origin.identity.as_ref().map(|identity| &identity.internal_id);
    let is_revivable = may_be_revived(record, server, use_case.started_at, window_ms)
        && expectations.kept_creates.get(key) == internal_id
        // It was offline before the join began, and this is the record that the join has found.
        && record.detached
        && expectations.recorded_since(key).is_none_or(|since| since <= use_case.started_at)
        && server.health.answered_at < use_case.started_at.plus_ms(-OFFLINE_AFTER_MS)
        && !is_online_under_another_name(snapshot, server);
    let sim_servers = sim.servers();
    let is_healthy = |other: &Server| {
        let since = use_case.started_at.plus_ms(-HEALTHY_FOR_MS);
        sim_servers.get(&other.id.0).is_some_and(|it| {
            it.was_healthy_since(since) && it.speed.creates_within(scenario.response_ms)
        }) && other.health.state(use_case.started_at) == HealthState::Online
            && !expectations.was_closed(&other.id, since)
    };
    // A server that has another meeting with the id, of any tenant, refuses this one.
    let has_foreign =
        |server: &SimServer| server.meetings.get(&key.id).is_some_and(SimMeeting::is_foreign);
    let has_same_id = snapshot.meetings.iter().any(|it| it.key.id == key.id && it.key != *key)
        || sim_servers.values().any(has_foreign);
    let mut takers = snapshot.servers.iter().filter(|other| other.accepts_meetings()).peekable();
    let have_room = takers.peek().is_some() && takers.all(is_healthy) && !has_same_id;
    if is_revivable && have_room {
        let (name, id) = (meeting_name(key), &record.server);
        return Err(format!(
            "{use_case}: {name} was not made anew, although {id} is dead: {error}"
        ));
    }
    Ok(())
}

/// No revived meeting runs that was ended since its last create, unless the proof is lost that it is ours.
pub(crate) fn revived_meetings_stay_ended(state: &FinalState<'_>) -> CheckResult {
    for sim_server in state.servers.values() {
        for sim_meeting in sim_server.meetings.values().filter(|running| running.is_revived) {
            if may_be_unproven(state, sim_meeting, sim_server) {
                continue;
            }
            if ended_at(state.expectations, &sim_meeting.key).is_some() {
                let (name, host) = (meeting_name(&sim_meeting.key), &sim_server.host);
                return Err(format!("{name} was ended, and was revived on {host}"));
            }
        }
    }
    Ok(())
}
