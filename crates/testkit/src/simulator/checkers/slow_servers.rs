//! Rules for servers that are slow. Slow is not dead: as long as a server answers small requests, its
//! create is awaited, and nobody suspects it.

use domain::Server;

use super::{CheckResult, StoreChange};
use crate::simulator::hostile::FLOOD_NAME;
use crate::simulator::sim_run::SimRun;
use crate::simulator::use_case::UseCase;

/// A failure that is recorded now belongs to a call that was sent at most so long ago beyond the time
/// that servers may take to answer, in ms.
const MAX_RECORDING_MS: i64 = 10_000;

/// No second server gets a create while the first one, which has no fault, is working on it.
pub(crate) fn check_made_once(sim: &SimRun, use_case: &UseCase, host: &str) -> CheckResult {
    let response_ms = i64::try_from(sim.scenario.response_ms).unwrap_or(0);
    let now = sim.now();
    let sim_servers = sim.servers();
    let progress = use_case.progress();
    if progress.pending_creates.was_asked(host) {
        // It was asked first, and has told that the meeting is there under another password.
        return Ok(());
    }
    let mut others = progress.pending_creates.list().iter().filter(|sent| sent.host != host);
    let awaited = others.find(|sent| {
        let is_well = |sent_at| {
            sim_servers.get(&sent.host).is_some_and(|server| server.was_healthy_since(sent_at))
        };
        now.ms_since(sent.sent_at) < response_ms && is_well(sent.sent_at)
    });
    match awaited {
        Some(sent) => {
            let waited_ms = now.ms_since(sent.sent_at);
            let first = &sent.host;
            Err(format!("{use_case} goes on to {host} after {waited_ms} ms, and {first} is well"))
        }
        None => Ok(()),
    }
}

/// No failure is recorded of a server that has no fault, however slow or odd its answers are, unless it lists more meetings than can
/// be adopted.
pub(crate) fn slow_servers_stay_sound(change: &StoreChange<'_>) -> CheckResult {
    if !matches!(change.operation, "record_failure" | "record_poll") {
        return Ok(());
    }
    let since = change.now.plus_ms(-change.rules.max_call_ms - MAX_RECORDING_MS);
    let was_well = |server: &Server| {
        let sim_server = change.servers.get(&server.id.0);
        sim_server.is_some_and(|sim_server| {
            let floods = sim_server.meetings.keys().any(|id| id.starts_with(FLOOD_NAME));
            !floods && sim_server.was_healthy_since(since)
        })
    };
    let has_new_failure = |server: &&Server| {
        let before = change.before.server(&server.id);
        before.is_some_and(|before| before.health.last_failure != server.health.last_failure)
    };
    match change.after.servers.iter().find(|server| has_new_failure(server) && was_well(server)) {
        Some(server) => {
            let failure = server.health.last_failure.as_ref();
            let reason = failure.map_or("", |failure| failure.reason.as_str());
            Err(format!(
                "{} has had no fault and failed by {}: {reason}",
                server.id, change.operation
            ))
        }
        None => Ok(()),
    }
}
