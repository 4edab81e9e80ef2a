//! Polls the servers: one `getMeetings` per server and cycle gives health, load, statistics and the list of its meetings.
//!
//! [`observe`] asks a server; the store applies the rules of [`domain::poll`] and records the result in one transaction;
//! [`unwanted`] ends the meetings that the result says are unwanted; [`versions`] reads the servers' versions; [`rechecks`] polls servers
//! that failed lately, between two cycles.

mod excess;
mod observe;
mod offline_reminder;
mod rechecks;
mod unwanted;
mod versions;

use std::time::Duration;

use domain::health::HealthChange;
use domain::poll::PollObservation;
use domain::{Server, ServerId, Timestamp};
use futures_util::FutureExt as _;
use futures_util::stream::{self, StreamExt as _};
use serde_json::json;
use tokio::time::Instant;

use crate::audit::{self, AuditEvent};
use crate::context::App;
use crate::end_callbacks;
use crate::ports::{PollReport, StoreError};
use crate::sessions;

pub use observe::list_reported_meetings;
pub(crate) use observe::refusal_reason;
pub use offline_reminder::log_offline_servers;
pub use rechecks::Rechecks;
pub use unwanted::end_meetings;
pub use versions::refresh_versions;

/// A poll that a call waits for takes at most so long, in ms.
const PROBE_TIMEOUT_MS: u64 = 4_000;

/// Counts of a poll cycle, for the log and the command line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PollSummary {
    /// Servers that answered.
    pub answered: usize,
    /// Servers that did not.
    pub failed: usize,
    /// Meetings that were forgotten.
    pub forgotten: usize,
}

/// Polls all servers, a limited number at a time, each with a deadline of its own: the whole takes at most
/// servers / concurrency × three deadlines (list of meetings, version, ends of unwanted meetings). `cycle` is the number of
/// the run, if it belongs to one. `refreshes_versions` also reads the version of each server.
///
/// # Errors
/// When the store fails.
pub async fn poll_all_servers(
    app: &App,
    refreshes_versions: bool,
    cycle: Option<u64>,
) -> Result<PollSummary, StoreError> {
    let servers = app.pool.list_servers().await?;
    let started = Instant::now();
    app.response_times.retain(&servers);
    app.meters.retain(&servers);
    app.shared_lists.retain(&servers);
    app.change_budgets.retain(&servers);
    let last_known = servers.iter().map(|server| server.health.answered_at).max();
    let last_known = last_known.filter(|at| *at > Timestamp::default());
    app.clock_watch.note_last_known(last_known, app.clock.now());
    let polls: Vec<_> = servers
        .into_iter()
        .map(|server| poll_server(app, server, refreshes_versions, cycle).boxed())
        .collect();
    let mut polls = stream::iter(polls).buffer_unordered(app.policy.poll_concurrency.max(1));
    let mut summary = PollSummary::default();
    while let Some(report) = polls.next().await {
        let report = match report {
            // A server whose record cannot be read must not keep the others from being polled.
            Err(StoreError::Corrupt(reason)) => {
                tracing::error!(reason, "poll not recorded");
                summary.failed += 1;
                continue;
            }
            report => report?,
        };
        let Some(report) = report else { continue };
        let has_answered = report.server.health.unhealthy_count == 0 && report.server.is_online();
        if has_answered {
            summary.answered += 1;
        } else {
            summary.failed += 1;
        }
        summary.forgotten += report.forgotten.len();
    }
    drop(polls);
    app.meters.record_cycle(started.elapsed());
    let now = app.clock.now();
    if app.clock_watch.may_delete_by_age(now) {
        let expired = now.plus_ms(-app.policy.meeting_ttl_ms);
        summary.forgotten += app.pool.forget_unseen(expired).await?.len();
        sessions::forget_old_sessions(app).await?;
    }
    Ok(summary)
}

/// Polls one server and records the result. Returns `None` if the server was removed meanwhile, or if a later cycle has recorded
/// a poll of it already.
///
/// # Errors
/// When the store fails.
pub async fn poll_server(
    app: &App,
    server: Server,
    refreshes_version: bool,
    cycle: Option<u64>,
) -> Result<Option<PollReport>, StoreError> {
    let observation = observe::observe_server(app, &server, app.policy.poll_timeout_ms).await;
    record_observation(app, &server.id, &observation, refreshes_version, cycle).await
}

/// Polls one server out of turn and with a short deadline, because a call waits for the result.
///
/// # Errors
/// When the store fails.
pub async fn probe_server(app: &App, server: Server) -> Result<Option<PollReport>, StoreError> {
    let observation = observe_briefly(app, &server).await;
    record_observation(app, &server.id, &observation, false, None).await
}

/// Asks a server for its meetings with a short deadline, because a call waits for the result.
pub(crate) async fn observe_briefly(app: &App, server: &Server) -> PollObservation {
    let timeout_ms = app.policy.poll_timeout_ms.min(PROBE_TIMEOUT_MS);
    observe::observe_server(app, server, timeout_ms).await
}

/// Records what a server answered, and does what follows from it. Returns `None` like [`poll_server`].
///
/// # Errors
/// When the store fails.
pub(crate) async fn record_observation(
    app: &App,
    id: &ServerId,
    observation: &PollObservation,
    refreshes_version: bool,
    cycle: Option<u64>,
) -> Result<Option<PollReport>, StoreError> {
    if observation.result.is_ok() {
        let took_ms = observation.finished_at.ms_since(observation.started_at);
        let took_ms = u64::try_from(took_ms).unwrap_or(0);
        app.response_times.record(id, took_ms);
        app.meters.record_poll(id, Duration::from_millis(took_ms));
    }
    let policy = excess::limit_adoptions(app, id);
    let recorded = app.pool.record_poll(id, observation, &policy, cycle).await?;
    let Some(mut report) = recorded else {
        return Ok(None);
    };
    log_poll(app, &report, observation);
    audit_poll(app, &report);
    count_poll(app, &report);
    excess::note_excess(app, &report).await?;
    log_twins(app, &report);
    for meeting in &report.forgotten {
        sessions::record_ended_meeting(app, meeting, None).await;
    }
    let forgotten: Vec<_> = report.forgotten.iter().map(|meeting| meeting.key.clone()).collect();
    end_callbacks::suspect_ends(app, &forgotten).await;
    if !report.outcome.unwanted.is_empty() {
        let deadline = Duration::from_millis(app.policy.poll_timeout_ms);
        // The next poll ends what is left.
        let _ = tokio::time::timeout(deadline, unwanted::end_unwanted_meetings(app, &report)).await;
    }
    let may_be_new = report.server.bbb_version.is_none() || report.outcome.change.is_some();
    if observation.result.is_ok() && (refreshes_version || may_be_new) {
        report.server.bbb_version = versions::refresh_version(app, &report.server).await?;
    }
    Ok(Some(report))
}

/// Counts what a poll has changed, for metrics.
fn count_poll(app: &App, report: &PollReport) {
    match report.outcome.change {
        Some(HealthChange::WentOnline) => app.meters.went_online.count(),
        Some(HealthChange::WentOffline) => app.meters.went_offline.count(),
        None => {}
    }
    let adopted = report.outcome.adopted.iter().filter(|meeting| meeting.origin.is_adopted);
    app.meters.adoptions.add(adopted.count());
}

/// Warns once of each pair of entries that turn out to be one server.
fn log_twins(app: &App, report: &PollReport) {
    let server = &report.server;
    let host = server.hostname();
    for twin in &report.outcome.twins {
        if app.known_twins.insert(&server.id, twin) {
            tracing::warn!(server = %server.id, host, %twin, "two servers of the pool are the same one");
        }
    }
}

/// Records in the audit how a poll has changed the state of its server.
fn audit_poll(app: &App, report: &PollReport) {
    let server = &report.server;
    let note = |reason: &str, event: AuditEvent| {
        audit::note_automatic(app, reason, event.on_server(server));
    };
    match report.outcome.change {
        Some(HealthChange::WentOnline) => note("poll", AuditEvent::new("server.online")),
        Some(HealthChange::WentOffline) => {
            let failure = server.health.last_failure.as_ref();
            let after = json!({
                "reason": failure.map(|failure| failure.reason.as_str()),
                "detached_meetings": report.outcome.meeting_updates.len(),
            });
            note("poll", AuditEvent::new("server.offline").after(after));
        }
        None => {}
    }
    if report.outcome.drained {
        let [before, after] =
            ["cordoned", server.state.name()].map(|state| json!({ "state": state }));
        note("drain", AuditEvent::new("server.update").before(before).after(after));
    }
}

fn log_poll(app: &App, report: &PollReport, observation: &PollObservation) {
    let server = &report.server;
    let (id, host) = (&server.id, server.hostname());
    let took_ms = observation.finished_at.ms_since(observation.started_at);
    match &observation.result {
        Ok(_) => tracing::debug!(server = %id, host, took_ms, load = server.load, "server polled"),
        // The log tells that a server does not answer when it begins, and then once an hour.
        Err(reason) if report.outcome.change.is_none() && server.health.failures == 1 => {
            tracing::warn!(server = %id, host, took_ms, reason, "poll failed");
        }
        Err(reason) => tracing::debug!(server = %id, host, took_ms, reason, "poll failed again"),
    }
    if report.outcome.answers_again {
        let failures = server.health.failures;
        tracing::info!(server = %id, host, failures, "server answers again");
    }
    match report.outcome.change {
        Some(HealthChange::WentOnline) => tracing::info!(server = %id, host, "server online"),
        Some(HealthChange::WentOffline) => {
            let detached = report.outcome.meeting_updates.len();
            let failure = server.health.last_failure.as_ref();
            let reason = failure.map(|failure| failure.reason.as_str());
            let failures = server.health.failures;
            tracing::error!(server = %id, host, reason, failures, detached, "server offline");
        }
        None => {}
    }
    if report.outcome.drained {
        app.server_backup.note_own_change(id, Some(server));
        tracing::info!(server = %id, host, "cordoned server has no meetings left, disabled");
    }
    if report.outcome.attached > 0 {
        let meetings = report.outcome.attached;
        tracing::info!(server = %id, host, meetings, "meetings attached again");
    }
    for meeting in &report.outcome.adopted {
        let name = &meeting.key.id;
        if meeting.origin.is_adopted {
            tracing::warn!(server = %id, host, meeting = name, "meeting adopted");
        } else {
            tracing::info!(server = %id, host, meeting = name, "meeting recorded here");
        }
    }
    for meeting in &report.forgotten {
        tracing::info!(server = %id, host, meeting = meeting.key.id, "meeting forgotten");
    }
}
