//! Rules for the moment at which a server starts or ends a meeting.

use domain::{AdminState, MeetingKey, ServerId, Timestamp};

use super::{CheckResult, MAX_SKEW_MS};
use crate::simulator::entries::is_same_server;
use crate::simulator::sim_run::SimRun;
use crate::simulator::use_case::{UseCase, UseCaseKind, meeting_name};

/// Longest time between the last read of the store, or of another server, and the arrival of the
/// call that follows from it.
const MAX_TRANSIT_MS: i64 = 150;

/// A meeting starts on a server that was enabled at some time since the create began.
pub(crate) fn check_server_enabled(sim: &SimRun, use_case: &UseCase, host: &str) -> CheckResult {
    let server = ServerId(host.to_owned());
    let expectations = sim.expectations();
    if expectations.was_in_state(&server, Some(AdminState::Enabled), use_case.started_at) {
        return Ok(());
    }
    // A repeated create of a meeting that is recorded on a server which is no longer enabled: the
    // meeting may end between the question whether it runs and the create, and BBB offers no call
    // that does both at once.
    let Some(key) = use_case.kind.key() else { return not_enabled(use_case, host) };
    let was_recorded = expectations.was_on_server(key, &server, use_case.started_at);
    let record = expectations.last_snapshot.meeting(key);
    if was_recorded && record.is_some_and(|record| record.claim.is_some()) {
        // Its first create was sent before the server was closed, and is still under way there.
        return Ok(());
    }
    let sim_servers = sim.servers();
    let progress = use_case.progress();
    let mut sent = progress.pending_creates.list().iter().filter(|sent| sent.host == host);
    if was_recorded && sent.any(|sent| sent.is_claimed) {
        // It was so when this create was sent, and the request was slow.
        return Ok(());
    }
    let ended_meetings = sim_servers.get(host).map(|sim_server| sim_server.ended_meetings.iter());
    let has_just_ended = ended_meetings.is_some_and(|mut ended| {
        ended.any(|ended| ended.meeting.key == *key && ended.ended_at >= use_case.started_at)
    });
    if was_recorded && has_just_ended { Ok(()) } else { not_enabled(use_case, host) }
}

fn not_enabled(use_case: &UseCase, host: &str) -> CheckResult {
    Err(format!("{use_case} started a meeting on {host}, which was not enabled"))
}

/// A meeting starts with the voice bridge that is reserved for it.
pub(crate) fn check_voice_bridge(
    sim: &SimRun,
    use_case: &UseCase,
    host: &str,
    key: &MeetingKey,
    arrived_at: Timestamp,
) -> CheckResult {
    let expectations = sim.expectations();
    let progress = use_case.progress();
    if expectations.recorded_since(key).is_some_and(|since| arrived_at < since) {
        // It is an earlier request of this create, for the place that the meeting had before.
        return Ok(());
    }
    // Of simultaneous creates, only the one with the claim is checked.
    let record = expectations.last_snapshot.meeting(key).filter(|record| {
        let claim = record.claim.as_ref();
        record.server.0 == host
            && claim.is_some_and(|claim| progress.claim_tokens.contains(&claim.token))
    });
    let reserved = record.and_then(|record| record.voice_bridge.as_deref());
    let sim_servers = sim.servers();
    let sim_meeting = sim_servers.get(host).and_then(|sim_server| sim_server.meeting(key));
    match (reserved, sim_meeting) {
        (Some(reserved), Some(sim_meeting)) if sim_meeting.voice_bridge != reserved => {
            let actual = &sim_meeting.voice_bridge;
            Err(format!("{use_case} started with {actual}, reserved is {reserved}"))
        }
        _ => Ok(()),
    }
}

/// Without a request the balancer ends only meetings whose create was not acknowledged, or that
/// run on another server.
pub(crate) fn check_may_end(sim: &SimRun, use_case: &UseCase, host: &str, id: &str) -> CheckResult {
    let was_requested = match &use_case.kind {
        UseCaseKind::End(_) | UseCaseKind::AdminEnd(_) => true,
        UseCaseKind::ChangeServer(action, _) => action.may_forget_meetings(),
        _ => false,
    };
    if was_requested {
        return Ok(());
    }
    let expectations = sim.expectations();
    let sim_servers = sim.servers();
    let Some(sim_meeting) = sim_servers.get(host).and_then(|it| it.meetings.get(id)) else {
        return Ok(());
    };
    let Some(acknowledged_at) = sim_meeting.acknowledged_at else { return Ok(()) };
    if sim_meeting.ended_at.is_some() || sim_meeting.abandon_reason.is_some() {
        return Ok(());
    }
    // Whatever runs when an end that a front-end asked for succeeds is meant.
    let confirmed_end = expectations.confirmed_ends.get(&sim_meeting.key);
    if confirmed_end.is_some_and(|(_, over)| sim_meeting.created_at <= over.plus_ms(MAX_SKEW_MS)) {
        return Ok(());
    }
    let record = expectations.last_snapshot.meeting(&sim_meeting.key);
    let recorded_elsewhere = record.filter(|record| !is_same_server(&record.server.0, host));
    if recorded_elsewhere.is_some_and(|record| record.claim.is_none()) {
        return Ok(());
    }
    // The record may have been another one when the store was read.
    let server = ServerId(host.to_owned());
    let read_at = sim.now().plus_ms(-MAX_TRANSIT_MS);
    if record.is_none() && expectations.was_on_other_server(&sim_meeting.key, &server, read_at) {
        return Ok(());
    }
    // An `end` that was already sent when the create was acknowledged cannot be called back.
    if sim.now().ms_since(acknowledged_at) < MAX_TRANSIT_MS {
        return Ok(());
    }
    let recorded = record.map(|record| &record.server.0);
    let name = meeting_name(&sim_meeting.key);
    Err(format!("{use_case} ends {name} on {host}, recorded: {recorded:?}"))
}
