//! Rules for servers that are listed twice.

use std::collections::BTreeSet;

use bbb::meetings::MeetingList;
use domain::twins::total_stats;
use domain::{Meeting, Server, ServerId};

use super::{CheckResult, FinalState, FinishedUseCase, UseCaseOutcome};
use crate::simulator::entries::{is_same_server, is_twin};
use crate::simulator::sim_server::SimServer;
use crate::simulator::use_case::{ServerAction, UseCaseKind};

/// getMeetings lists no meeting twice.
pub(crate) fn meetings_are_listed_once(finished: &FinishedUseCase<'_>) -> CheckResult {
    let UseCaseOutcome::Listed(Ok(body)) = finished.outcome else { return Ok(()) };
    let list = MeetingList::read(body).map_err(|error| format!("getMeetings: {error}"))?;
    let mut seen = BTreeSet::new();
    match list.meetings.iter().find(|meeting| !seen.insert(meeting.internal_id.as_str())) {
        Some(meeting) => Err(format!("{} lists {} twice", finished.use_case, meeting.internal_id)),
        None => Ok(()),
    }
}

/// A URL that is listed is not listed once more in another spelling.
pub(crate) fn urls_are_listed_once(finished: &FinishedUseCase<'_>) -> CheckResult {
    let (
        UseCaseOutcome::Administered(Ok(())),
        UseCaseKind::ChangeServer(ServerAction::AddSpelling, host),
    ) = (finished.outcome, &finished.use_case.kind)
    else {
        return Ok(());
    };
    let server = ServerId(host.clone());
    let expectations = finished.sim.expectations();
    if expectations.was_in_state(&server, None, finished.use_case.started_at) {
        return Ok(());
    }
    Err(format!("{} succeeded, although the URL is listed", finished.use_case))
}

/// Returns whether a record names a meeting that runs on the server by its own identity, not by an odd one.
fn has_identity(record: &Meeting, sim_server: &SimServer) -> bool {
    let identity = record.origin.identity.as_ref();
    let running = sim_server.meeting(&record.key);
    identity
        .zip(running)
        .is_some_and(|(identity, running)| identity.internal_id == running.internal_id)
}

/// The meetings of a server that is listed twice count once, if a record shows that it is one server.
pub(crate) fn twins_count_once(state: &FinalState<'_>) -> CheckResult {
    let in_use: Vec<&Server> = state.store.servers.iter().filter(|it| it.is_online()).collect();
    let mut expected = 0;
    for sim_server in state.servers.values() {
        let entries: Vec<&&Server> =
            in_use.iter().filter(|it| is_same_server(&it.id.0, &sim_server.host)).collect();
        let is_known_once = entries.len() < 2
            || state.store.meetings.iter().any(|record| {
                is_same_server(&record.server.0, &sim_server.host)
                    && has_identity(record, sim_server)
            });
        if entries.is_empty() {
            continue;
        }
        if !is_known_once && !sim_server.meetings.is_empty() {
            return Ok(());
        }
        expected += sim_server.meetings.len();
    }
    let counted = total_stats(&state.store.servers).meetings;
    if u64::from(counted) == expected as u64 {
        return Ok(());
    }
    let twins = state.store.servers.iter().filter(|it| is_twin(&it.id.0)).count();
    Err(format!("{counted} meetings are counted, {expected} run, with {twins} twins"))
}
