//! `drains`, and `servers drain` with a time: drains that the balancer carries out by itself.

use std::time::Duration;

use app::drains::{DrainError, DrainPlan};
use domain::drain::{AfterDrain, DrainPhase, PlannedDrain};
use serde_json::json;

use super::CommandFailure;
use super::balancer::Balancer;
use crate::output::table::{Cell, render};
use crate::output::time::format_time;
use crate::output::{print_line, print_note, print_text, printable};
use crate::wiring::local_time::{read_local, show_local};

impl From<DrainError> for CommandFailure {
    fn from(error: DrainError) -> Self {
        Self(format!("ERROR: {error}"))
    }
}

/// When a drain is to begin and end.
#[derive(Clone, Debug)]
pub struct DrainTimes {
    /// When it begins; `None` for now.
    pub at: Option<String>,
    /// How long after that the meetings that are left are ended.
    pub deadline: Option<Duration>,
    /// How long before that users are warned.
    pub warn_before: Duration,
}

fn to_ms(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

/// Plans a drain, and says when it begins by the clock of this machine.
pub async fn plan(
    balancer: &Balancer,
    id: &str,
    times: DrainTimes,
    after: AfterDrain,
) -> Result<(), CommandFailure> {
    let read = |text: String| {
        read_local(&text, balancer.now()).ok_or_else(|| {
            CommandFailure(format!(
                "ERROR: --at: {} is no time such as 22:00, 2026-12-01 22:00 or 2026-12-01T22:00:00Z",
                printable(&text)
            ))
        })
    };
    let plan = DrainPlan {
        server: id.to_owned(),
        starts_at: times.at.map(read).transpose()?,
        deadline_ms: times.deadline.map(to_ms),
        warn_ms: to_ms(times.warn_before),
        after,
    };
    let drain = balancer.plan_drain(plan).await?;
    let (host, begins) = (printable(&drain.host), show_local(drain.starts_at));
    print_line(format!("Drain {} of {host} begins at {begins}", drain.id));
    if let Some(at) = drain.ends_at() {
        let warned = match drain.warn_ms {
            0 => "without a warning",
            _ => "after a warning in the chat",
        };
        print_note(format!("Meetings that are left are ended at {}, {warned}.", show_local(at)));
    }
    print_note(
        "The running balancer carries it out. `scalelite drains` shows it, `scalelite drains cancel` cancels it.",
    );
    Ok(())
}

/// Lists drains.
pub async fn list(
    balancer: &Balancer,
    includes_over: bool,
    as_json: bool,
) -> Result<(), CommandFailure> {
    let drains = balancer.list_drains(includes_over).await?;
    if as_json {
        let list: Vec<_> = drains.iter().map(to_json).collect();
        print_line(serde_json::Value::from(list).to_string());
        return Ok(());
    }
    if drains.is_empty() {
        print_note("There are no drains");
        return Ok(());
    }
    let row = |drain: &PlannedDrain| {
        let left = drain.remaining.filter(|_| drain.phase == DrainPhase::Draining);
        let left = left.map(|(meetings, users)| format!("{meetings} meetings, {users} users"));
        vec![
            Cell::text(drain.id.clone()),
            Cell::text(printable(&drain.host)),
            Cell::text(drain.phase.name()),
            Cell::text(show_local(drain.began_at.unwrap_or(drain.starts_at))),
            Cell::text(drain.ends_at().map_or_else(|| "none".to_owned(), show_local)),
            Cell::text(drain.after.name()),
            Cell::text(left.unwrap_or_else(|| "-".to_owned())),
            Cell::text(printable(&drain.planned_by)),
        ]
    };
    let rows: Vec<_> = drains.iter().map(row).collect();
    let headings = ["ID", "SERVER", "PHASE", "BEGINS", "DEADLINE", "THEN", "LEFT", "PLANNED BY"];
    print_text(render(&headings, &rows));
    Ok(())
}

fn to_json(drain: &PlannedDrain) -> serde_json::Value {
    let (meetings, users) = drain.remaining.unzip();
    json!({
        "id": drain.id,
        "server": drain.server.0,
        "host": drain.host,
        "phase": drain.phase.name(),
        "over": drain.phase.is_over(),
        "starts_at": format_time(drain.starts_at),
        "deadline_s": drain.deadline_ms.map(|ms| ms / 1_000),
        "ends_at": drain.ends_at().map(format_time),
        "warn_s": drain.warn_ms / 1_000,
        "then": drain.after.name(),
        "planned_at": format_time(drain.planned_at),
        "planned_by": drain.planned_by,
        "began_at": drain.began_at.map(format_time),
        "warned_at": drain.warned_at.map(format_time),
        "drained_at": drain.drained_at.map(format_time),
        "ended_at": drain.ended_at.map(format_time),
        "remaining_meetings": meetings,
        "remaining_users": users,
    })
}

/// Cancels a drain.
pub async fn cancel(balancer: &Balancer, id: &str) -> Result<(), CommandFailure> {
    let drain = balancer.cancel_drain(id).await?;
    print_line("OK");
    if drain.began_at.is_some() {
        let (host, server) = (printable(&drain.host), printable(&drain.server.0));
        print_note(format!(
            "{host} stays cordoned or disabled; `scalelite servers enable {server}` brings it back."
        ));
    }
    Ok(())
}
