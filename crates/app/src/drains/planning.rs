//! What people do with drains: plan, list, cancel, and take a server over by changing its state.

use domain::drain::{AfterDrain, DrainOutcome, DrainPhase, PlannedDrain};
use domain::{Server, ServerId, Timestamp};

use super::{MAX_OPEN, REASON, describe};
use crate::admin::servers::{self, AdminError};
use crate::audit::{self, AuditEvent, actor_name};
use crate::context::App;
use crate::origin::{self, Actor};
use crate::ports::{DrainAddition, StoreError};

/// Longest time from the beginning to the deadline.
pub const MAX_DEADLINE_MS: i64 = 7 * 86_400_000;
/// How far ahead a drain can be planned.
const MAX_AHEAD_MS: i64 = 366 * 86_400_000;
/// A time that has just passed means now: requests take a while, and clocks differ.
const MAX_PASSED_MS: i64 = 60_000;
/// How often a change is tried that others precede.
const MAX_ATTEMPTS: u32 = 10;

/// A drain to plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DrainPlan {
    /// The id of the server.
    pub server: String,
    /// When it begins; `None` for now.
    pub starts_at: Option<Timestamp>,
    /// How long after its beginning the meetings that are left are ended; `None`: never.
    pub deadline_ms: Option<i64>,
    /// How long before that users are warned; 0: not at all.
    pub warn_ms: i64,
    /// What happens when the server is empty.
    pub after: AfterDrain,
}

/// Why a drain was not planned or cancelled. Unless the store failed, nothing has changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DrainError {
    /// There is no server of this id.
    #[error("No server found with id: {0}")]
    UnknownServer(ServerId),
    /// The server has one already.
    #[error("{host} has a drain that is not over: {id}; cancel it first")]
    ServerHasOne {
        /// The host name of the server.
        host: String,
        /// The id of its drain.
        id: String,
    },
    /// There are as many as there may be.
    #[error("{MAX_OPEN} drains are planned already; cancel some first")]
    TooMany,
    /// It would begin in the past, or in more than a year.
    #[error("A drain begins within a year from now, not in the past")]
    BadTime,
    /// The time until the deadline is unusable.
    #[error("The deadline is at most 7 days after the beginning")]
    BadDeadline,
    /// There is no drain of this id.
    #[error("There is no drain {0}")]
    Unknown(String),
    /// It is over.
    #[error("The drain {0} is over: {name}", name = .1.name())]
    Over(String, DrainOutcome),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Plans a drain.
///
/// # Errors
/// When there is no such server, it has a drain already, a time is unusable, or the store fails.
pub async fn plan(app: &App, plan: DrainPlan) -> Result<PlannedDrain, DrainError> {
    let now = app.clock.now();
    let starts_at = plan.starts_at.unwrap_or(now);
    let is_usable =
        now.ms_since(starts_at) <= MAX_PASSED_MS && starts_at.ms_since(now) <= MAX_AHEAD_MS;
    if !is_usable {
        return Err(DrainError::BadTime);
    }
    if plan.deadline_ms.is_some_and(|ms| !(0..=MAX_DEADLINE_MS).contains(&ms)) {
        return Err(DrainError::BadDeadline);
    }
    let server = servers::find(app, &plan.server).await.map_err(|error| match error {
        AdminError::Store(error) => DrainError::Store(error),
        _ => DrainError::UnknownServer(ServerId(plan.server.clone())),
    })?;
    let starts_at = starts_at.max(now);
    let drain = PlannedDrain {
        id: app.entropy.generate_uuid(),
        server: server.id.clone(),
        host: server.hostname().to_owned(),
        planned_state: server.state,
        planned_at: now,
        planned_by: actor_name(),
        starts_at,
        deadline_ms: plan.deadline_ms,
        warn_ms: plan.warn_ms.clamp(0, MAX_DEADLINE_MS),
        after: plan.after,
        phase: DrainPhase::Planned,
        began_at: None,
        warned_at: None,
        drained_at: None,
        ended_at: None,
        remaining: None,
        failures: 0,
        successes: 0,
        due_at: starts_at,
        revision: 0,
    };
    match app.drains.add_drain(&drain, MAX_OPEN).await? {
        DrainAddition::Added => {}
        DrainAddition::ServerHasOne(id) => {
            return Err(DrainError::ServerHasOne { host: drain.host, id });
        }
        DrainAddition::TooMany => return Err(DrainError::TooMany),
    }
    let (id, host, after) = (&drain.id, &drain.host, drain.after.name());
    let (in_s, by) = (starts_at.ms_since(now) / 1_000, origin::actor());
    tracing::info!(drain = id, server = %server.id, host, in_s, then = after, %by, "drain planned");
    let event = AuditEvent::new("drain.plan").on_server(&server).after(describe(&drain));
    audit::record(app, event).await;
    Ok(drain)
}

/// Lists the drains that are not over and, if wanted, the last ones that are.
///
/// # Errors
/// When the store fails.
pub async fn list(app: &App, includes_over: bool) -> Result<Vec<PlannedDrain>, StoreError> {
    app.drains.list_drains(includes_over).await
}

/// Cancels a drain by its id, or that of its server, or the server's host name. What it has done stays: a server that is cordoned or disabled is not
/// enabled.
///
/// # Errors
/// When there is none, it is over, or the store fails.
pub async fn cancel(app: &App, id: &str) -> Result<PlannedDrain, DrainError> {
    for _ in 0..MAX_ATTEMPTS {
        let drains = app.drains.list_drains(true).await?;
        let is_of_server = |drain: &PlannedDrain| {
            !drain.phase.is_over() && (drain.server.0 == id || drain.host == id)
        };
        let mut found = drains.iter().filter(|drain| drain.id == id);
        let found = found.next().or_else(|| drains.iter().find(|drain| is_of_server(drain)));
        let drain = found.ok_or_else(|| DrainError::Unknown(id.to_owned()))?;
        if let DrainPhase::Over(outcome) = drain.phase {
            return Err(DrainError::Over(drain.id.clone(), outcome));
        }
        if let Some(ended) = end(app, drain, DrainOutcome::Cancelled).await? {
            return Ok(ended);
        }
    }
    Err(DrainError::Store(StoreError::Unavailable("the drain changes all the time".to_owned())))
}

/// Notes that somebody has changed the state of a server. If it is being drained, it is theirs now.
pub(crate) async fn note_state_change(app: &App, server: &Server) {
    if origin::actor() != Actor::Automatic(REASON) {
        let has_begun = |drain: &PlannedDrain| drain.phase != DrainPhase::Planned;
        end_of_server(app, &server.id, has_begun, DrainOutcome::TakenOver).await;
    }
}

/// Notes that a server was removed.
pub(crate) async fn note_removal(app: &App, server: &ServerId) {
    end_of_server(app, server, |_| true, DrainOutcome::ServerRemoved).await;
}

/// Ends the drain of a server. If that fails, the next look at the server finds out.
async fn end_of_server(
    app: &App,
    server: &ServerId,
    is_meant: impl Fn(&PlannedDrain) -> bool,
    outcome: DrainOutcome,
) {
    for _ in 0..MAX_ATTEMPTS {
        let ended = match app.drains.list_drains(false).await {
            Ok(drains) => {
                let mut drains = drains.into_iter();
                let Some(drain) = drains.find(|drain| drain.server == *server && is_meant(drain))
                else {
                    return;
                };
                end(app, &drain, outcome).await
            }
            Err(error) => Err(error),
        };
        match ended {
            Ok(Some(_)) => return,
            Ok(None) => {}
            Err(error) => {
                tracing::warn!(%server, %error, "drain of a changed server not ended yet");
                return;
            }
        }
    }
}

/// Ends a drain; `None` if others have changed it since it was read.
async fn end(
    app: &App,
    drain: &PlannedDrain,
    outcome: DrainOutcome,
) -> Result<Option<PlannedDrain>, StoreError> {
    let mut ended = drain.clone();
    ended.end(outcome, app.clock.now());
    ended.revision += 1;
    if !app.drains.replace_drain(&ended).await? {
        return Ok(None);
    }
    note_end(app, drain, &ended).await;
    Ok(Some(ended))
}

/// Tells the log and the audit how a drain has ended.
pub(super) async fn note_end(app: &App, before: &PlannedDrain, ended: &PlannedDrain) {
    let (was, outcome, by) = (before.phase.name(), ended.phase.name(), origin::actor());
    let (id, server, host) = (&ended.id, &ended.server, &ended.host);
    match ended.phase {
        DrainPhase::Over(DrainOutcome::Missed | DrainOutcome::NotBack) => {
            tracing::warn!(drain = id, %server, host, was, outcome, "drain over");
        }
        _ => tracing::info!(drain = id, %server, host, was, outcome, %by, "drain over"),
    }
    let action = match ended.phase {
        DrainPhase::Over(DrainOutcome::Cancelled) => "drain.cancel",
        _ => "drain.end",
    };
    let after = serde_json::json!({ "drain": ended.id, "outcome": outcome });
    let event = AuditEvent::new(action).on_server_id(&server.0, Some(host));
    let before = serde_json::json!({ "drain": before.id, "phase": was });
    audit::record(app, event.before(before).after(after)).await;
}
