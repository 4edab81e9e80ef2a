//! Carries drains out. Every process looks for drains that are due, and reserves one for a while before it works on it: if the process dies, another
//! one, or the next, goes on. Each step may be repeated.

use domain::drain::{DrainOutcome, DrainPhase, DrainStep, LEASE_MS, PlannedDrain};
use domain::{AdminState, Server};
use futures_util::stream::{self, StreamExt as _};

use super::planning::note_end;
use super::{KEPT_MS, MAX_OVER, REASON, describe};
use crate::admin::drain::{
    begin_drain, end_remaining_meetings, poll_remaining_load, warn_users, warning_text,
};
use crate::admin::servers::{self, AdminError};
use crate::audit::{self, AuditEvent};
use crate::context::App;
use crate::origin::run_automatically;
use crate::poll;
use crate::ports::{ServerChange, StoreError};

/// Drains that are worked on at the same time.
const MAX_CONCURRENT: usize = 8;
/// Wait after a step that failed.
const RETRY_MS: i64 = 5_000;

/// Does what is due; returns the number of drains that were worked on.
///
/// # Errors
/// When the store fails.
pub async fn run_due(app: &App) -> Result<usize, StoreError> {
    let now = app.clock.now();
    let drains = app.drains.list_drains(false).await?;
    let due = drains.into_iter().filter(|drain| drain.is_due(now));
    let mut work =
        stream::iter(due.map(|drain| advance(app, drain))).buffer_unordered(MAX_CONCURRENT);
    let mut result = Ok(0);
    while let Some(advanced) = work.next().await {
        // An error does not stop the other drains.
        result = match (result, advanced) {
            (Ok(count), Ok(is_ours)) => Ok(count + usize::from(is_ours)),
            (Err(error), _) | (_, Err(error)) => Err(error),
        };
    }
    result
}

/// Does the next step of a drain, unless another process does; returns whether it was this one.
async fn advance(app: &App, drain: PlannedDrain) -> Result<bool, StoreError> {
    let mut claimed = drain;
    claimed.due_at = app.clock.now().plus_ms(LEASE_MS);
    claimed.revision += 1;
    if !app.drains.replace_drain(&claimed).await? {
        return Ok(false);
    }
    let mut next = claimed.clone();
    let worked = run_automatically(REASON, work_on(app, &mut next)).await;
    let now = app.clock.now();
    let result = match worked {
        Ok(()) => Ok(true),
        Err(AdminError::Unknown(_)) => {
            next.end(DrainOutcome::ServerRemoved, now);
            Ok(true)
        }
        Err(AdminError::Store(error)) => Err(error),
        Err(error) => {
            tracing::warn!(drain = next.id, host = next.host, %error, "step of a drain failed");
            Ok(true)
        }
    };
    next.due_at = if result.is_ok() { next.next_look(now) } else { now.plus_ms(RETRY_MS) };
    next.revision += 1;
    // If it is not replaced, somebody has cancelled it or taken its server over meanwhile.
    if app.drains.replace_drain(&next).await? && next.phase.is_over() {
        run_automatically(REASON, note_end(app, &claimed, &next)).await;
        app.drains.forget_drains(now.plus_ms(-KEPT_MS), MAX_OVER).await?;
    }
    result
}

async fn work_on(app: &App, drain: &mut PlannedDrain) -> Result<(), AdminError> {
    match drain.phase {
        DrainPhase::Planned => begin(app, drain).await,
        DrainPhase::Draining => drain_on(app, drain).await,
        DrainPhase::Away => await_return(app, drain).await,
        DrainPhase::Over(_) => Ok(()),
    }
}

async fn begin(app: &App, drain: &mut PlannedDrain) -> Result<(), AdminError> {
    let now = app.clock.now();
    if drain.is_missed(now) {
        drain.end(DrainOutcome::Missed, now);
        return Ok(());
    }
    let before = servers::find(app, &drain.server.0).await?;
    let server = begin_drain(app, &drain.server.0).await?;
    drain.begin(before.state, now);
    let (id, after, planned_by) = (&drain.id, drain.after.name(), &drain.planned_by);
    let (host, was) = (server.hostname(), before.state.name());
    tracing::info!(drain = id, server = %server.id, host, was, then = after, planned_by, "drain begun");
    let mut described = describe(drain);
    if let Some(fields) = described.as_object_mut() {
        fields.insert("planned_by".to_owned(), planned_by.as_str().into());
    }
    let event = AuditEvent::new("drain.begin").on_server(&server).after(described);
    audit::record(app, event).await;
    Ok(())
}

/// Looks what is left, warns users, ends meetings at the deadline, and disables the server when it is empty.
async fn drain_on(app: &App, drain: &mut PlannedDrain) -> Result<(), AdminError> {
    let id = drain.server.0.clone();
    let server = servers::find(app, &id).await?;
    let is_empty = match server.state {
        AdminState::Enabled => {
            drain.end(DrainOutcome::TakenOver, app.clock.now());
            return Ok(());
        }
        // The poll that found it empty has disabled it.
        AdminState::Disabled => true,
        AdminState::Cordoned => match poll_remaining_load(app, &id).await? {
            Ok(left) => {
                drain.remaining = Some((left.meetings, left.users));
                left.meetings == 0
            }
            Err(_) => false,
        },
    };
    if !is_empty && !act_on_deadline(app, drain, &server).await? {
        return Ok(());
    }
    if !is_still_wanted(app, drain).await? {
        return Ok(());
    }
    disable(app, &id).await?;
    drain.note_drained(app.clock.now());
    Ok(())
}

/// Warns users, or ends meetings, when it is time; returns whether meetings were ended.
async fn act_on_deadline(
    app: &App,
    drain: &mut PlannedDrain,
    server: &Server,
) -> Result<bool, AdminError> {
    let now = app.clock.now();
    let (id, host, drain_id) = (&server.id.0, server.hostname(), drain.id.clone());
    match drain.step(now) {
        DrainStep::Wait => Ok(false),
        DrainStep::Warn => {
            drain.warned_at = Some(now);
            let left_ms = drain.ends_at().map_or(0, |at| at.ms_since(now));
            let seconds = u64::try_from(left_ms / 1_000).unwrap_or(0);
            let meetings = warn_users(app, id, &warning_text(seconds)).await?;
            tracing::info!(
                drain = drain_id,
                server = id,
                host,
                meetings,
                "users of a drain warned"
            );
            Ok(false)
        }
        DrainStep::End if !is_still_wanted(app, drain).await? => Ok(false),
        DrainStep::End => {
            let meetings = end_remaining_meetings(app, id).await?;
            tracing::info!(
                drain = drain_id,
                server = id,
                host,
                meetings,
                "meetings ended at the deadline of a drain"
            );
            Ok(true)
        }
    }
}

/// Whether nobody has cancelled the drain or taken its server over since this process reserved it: a poll may take a while.
async fn is_still_wanted(app: &App, drain: &PlannedDrain) -> Result<bool, StoreError> {
    let drains = app.drains.list_drains(false).await?;
    Ok(drains.iter().any(|other| other.id == drain.id && other.revision == drain.revision))
}

async fn disable(app: &App, id: &str) -> Result<(), AdminError> {
    let server = servers::find(app, id).await?;
    if server.state != AdminState::Disabled {
        servers::update(app, id, ServerChange::with_state(AdminState::Disabled)).await?;
    }
    Ok(())
}

/// Polls a server that is away, and enables it once it is back.
async fn await_return(app: &App, drain: &mut PlannedDrain) -> Result<(), AdminError> {
    let now = app.clock.now();
    let server = servers::find(app, &drain.server.0).await?;
    if server.state != AdminState::Disabled {
        drain.end(DrainOutcome::TakenOver, now);
        return Ok(());
    }
    if drain.is_given_up(now) {
        drain.end(DrainOutcome::NotBack, now);
        return Ok(());
    }
    let (id, known_answer) = (server.id.clone(), server.health.answered_at);
    let polled = poll::poll_server(app, server, true, None).await?;
    let polled = polled.ok_or_else(|| AdminError::Unknown(id.clone()))?.server;
    let has_answered = polled.health.answered_at != known_answer;
    let needed = app.policy.poll.thresholds.healthy;
    let is_back = drain.note_answer(has_answered, needed) && polled.is_online();
    if is_back && is_still_wanted(app, drain).await? {
        servers::update(app, &id.0, ServerChange::with_state(AdminState::Enabled)).await?;
        drain.end(DrainOutcome::Enabled, app.clock.now());
    }
    Ok(())
}
