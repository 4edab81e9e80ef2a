//! Rules for runs in which clocks are set.

use domain::AdminState;

use super::{CheckResult, FinishedUseCase};

/// By then a dead server is offline: a poll interval, and the polls that it takes, in ms.
const OFFLINE_AFTER_MS: i64 = 125_000;

/// A dead server is offline in time, whatever clocks say.
pub(crate) fn dead_servers_are_offline(finished: &FinishedUseCase<'_>) -> CheckResult {
    let sim = finished.sim;
    if !sim.scenario.clock_steps {
        return Ok(());
    }
    let since = sim.now().plus_ms(-OFFLINE_AFTER_MS);
    let expectations = sim.expectations();
    let sim_servers = sim.servers();
    let is_dead = |id: &str| {
        sim_servers.get(id).is_some_and(|it| {
            it.down_until.is_some() && it.crashed_at.is_some_and(|crashed_at| crashed_at < since)
        })
    };
    let servers = expectations.last_snapshot.servers.iter();
    let mut enabled = servers.filter(|server| server.state == AdminState::Enabled);
    match enabled.find(|server| server.is_online() && is_dead(&server.id.0)) {
        Some(server) => Err(format!("{} is dead, and online all the same", server.id)),
        None => Ok(()),
    }
}

/// Rules that compare what clocks of replicas have written with the true time, and those that need the
/// proof that follows from when a create was sent, or wait for a recorded time. They are not meant for runs in which clocks are set.
pub(crate) const BY_TRUE_TIME: &[&str] = &[
    "browsers_find_their_own_meeting",
    "claims_run_out_soon",
    "ended_meetings_stay_ended",
    "ends_are_told",
    "ends_are_told_when_meetings_are_over",
    "joins_survive_dead_servers",
    "meetings_live_once",
    "running_meetings_are_known",
];
