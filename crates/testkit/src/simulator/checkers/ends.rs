//! Rules for meetings that the balancer ends without having been asked.

use domain::Timestamp;

use super::{CheckResult, MAX_SKEW_MS};
use crate::simulator::entries::is_same_server;
use crate::simulator::sim_meeting::SimMeeting;
use crate::simulator::sim_run::SimRun;
use crate::simulator::use_case::{UseCase, UseCaseKind, meeting_name};

/// A create that was sent so long before the loss of the store's data may be proven by a pending end
/// that was made after it: twice the difference between clocks.
const MAX_WINDOW_MS: i64 = 10_000;
/// Time during which what the balancer was told about two copies may have changed.
const MAX_STALE_MS: i64 = 15_000;
/// Users that may have joined or left meanwhile.
const MAX_CHANGED_USERS: u32 = 3;

/// Returns whether a use case ends meetings that nobody has asked it to end.
fn is_automatic(use_case: &UseCase) -> bool {
    matches!(
        use_case.kind,
        UseCaseKind::Poll | UseCaseKind::Create(_) | UseCaseKind::Join(_) | UseCaseKind::Internal
    )
}

/// Returns whether a front-end or an administrator has decided that the meeting is over.
fn is_over(sim_meeting: &SimMeeting) -> bool {
    sim_meeting.ended_at.is_some() || sim_meeting.abandon_reason.is_some()
}

/// Nothing is ended automatically whose proof was lost with the data of the store. `foreign` has the
/// rule for what this deployment did not make.
pub(crate) fn check_proof(sim: &SimRun, use_case: &UseCase, host: &str, id: &str) -> CheckResult {
    let expectations = sim.expectations();
    let lost_at = expectations.store_lost_at;
    let sim_servers = sim.servers();
    let Some(sim_meeting) = sim_servers.get(host).and_then(|it| it.meetings.get(id)) else {
        return Ok(());
    };
    let is_known = expectations.running_at_loss.contains(&sim_meeting.created_by);
    if !is_automatic(use_case) || is_over(sim_meeting) || is_known {
        return Ok(());
    }
    let is_forgotten = |lost_at: Timestamp| {
        use_case.started_at > lost_at && sim_meeting.created_at < lost_at.plus_ms(-MAX_WINDOW_MS)
    };
    if lost_at.is_some_and(is_forgotten) {
        let name = meeting_name(&sim_meeting.key);
        return Err(format!("{use_case} ends {name} on {host}, and cannot know that it is ours"));
    }
    Ok(())
}

/// A meeting with users is only ended automatically if another copy runs that has as many users.
pub(crate) fn check_copies(sim: &SimRun, use_case: &UseCase, host: &str, id: &str) -> CheckResult {
    let now = sim.now();
    let sim_servers = sim.servers();
    let Some(ended) = sim_servers.get(host).and_then(|it| it.meetings.get(id)) else {
        return Ok(());
    };
    let has_users = ended.entered_at.is_some_and(|at| at < now.plus_ms(-MAX_STALE_MS));
    // Whatever runs when an end that somebody asked for is over is meant.
    let was_meant = sim
        .expectations()
        .end_times
        .get(&ended.key)
        .is_some_and(|(_, over)| ended.created_at <= over.plus_ms(MAX_SKEW_MS));
    if !is_automatic(use_case) || is_over(ended) || ended.users == 0 || !has_users || was_meant {
        return Ok(());
    }
    let others = sim_servers.values().filter(|other| !is_same_server(&other.host, host));
    let kept_users = others.filter_map(|other| {
        let running = other.meeting(&ended.key).map(|kept| kept.users);
        let just_ended = other.ended_meetings.iter().rev().find(|past| {
            past.meeting.key == ended.key && past.ended_at >= now.plus_ms(-MAX_STALE_MS)
        });
        running.or_else(|| just_ended.map(|past| past.meeting.users))
    });
    match kept_users.max() {
        Some(kept) if kept + MAX_CHANGED_USERS >= ended.users => Ok(()),
        kept => {
            let (name, users) = (meeting_name(&ended.key), ended.users);
            Err(format!("{use_case} ends {name} on {host} with {users} users, kept: {kept:?}"))
        }
    }
}
