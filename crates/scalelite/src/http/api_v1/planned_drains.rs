//! Planned drains: list, show, plan, cancel.

use app::drains::{self, DrainError, DrainPlan};
use domain::Timestamp;
use domain::drain::{AfterDrain, PlannedDrain};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::endpoint::{Call, NoContent, Reply};
use super::input::Nothing;
use super::paging::{Page, cut_page};
use super::problem::Problem;
use super::views::{read_time, show_time, to_record};

impl From<DrainError> for Problem {
    fn from(error: DrainError) -> Self {
        match error {
            DrainError::UnknownServer(_) => Self::not_found("server"),
            DrainError::Unknown(_) => Self::not_found("drain"),
            DrainError::ServerHasOne { .. } => Self::conflict("has-drain", error),
            DrainError::TooMany => Self::conflict("too-many", error),
            DrainError::Over(..) => Self::conflict("over", error),
            DrainError::BadTime => Self::invalid_value("/at", error),
            DrainError::BadDeadline => Self::invalid_value("/deadline_s", error),
            DrainError::Store(error) => error.into(),
        }
    }
}

/// A drain that the balancer carries out by itself.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "PlannedDrain")]
pub(super) struct DrainView {
    id: String,
    /// The id of the server.
    server: String,
    host: String,
    /// planned, draining, or away (disabled, to be enabled when it comes back); when it is over: drained, enabled, not-back, cancelled, taken-over,
    /// server-removed or missed.
    phase: &'static str,
    over: bool,
    starts_at: String,
    /// How long after its beginning the meetings that are left are ended; null: never.
    deadline_s: Option<i64>,
    /// When that is, as far as it is known.
    ends_at: Option<String>,
    /// How long before that the chat warns users.
    warn_s: i64,
    /// What happens when the server is empty: disable or enable-when-healthy.
    then: &'static str,
    planned_at: String,
    planned_by: String,
    began_at: Option<String>,
    warned_at: Option<String>,
    drained_at: Option<String>,
    ended_at: Option<String>,
    /// What was left at the last look.
    remaining_meetings: Option<u32>,
    remaining_users: Option<u32>,
    /// What the store keeps of it; versions may add to it.
    record: Map<String, Value>,
}

fn view(drain: &PlannedDrain) -> DrainView {
    let show = |time: Option<Timestamp>| time.map(show_time);
    DrainView {
        id: drain.id.clone(),
        server: drain.server.0.clone(),
        host: drain.host.clone(),
        phase: drain.phase.name(),
        over: drain.phase.is_over(),
        starts_at: show_time(drain.starts_at),
        deadline_s: drain.deadline_ms.map(|ms| ms / 1_000),
        ends_at: show(drain.ends_at()),
        warn_s: drain.warn_ms / 1_000,
        then: drain.after.name(),
        planned_at: show_time(drain.planned_at),
        planned_by: drain.planned_by.clone(),
        began_at: show(drain.began_at),
        warned_at: show(drain.warned_at),
        drained_at: show(drain.drained_at),
        ended_at: show(drain.ended_at),
        remaining_meetings: drain.remaining.map(|(meetings, _)| meetings),
        remaining_users: drain.remaining.map(|(_, users)| users),
        record: to_record(drain),
    }
}

/// Which drains are wanted.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct DrainQuery {
    /// Only those of this server, by its id.
    #[schemars(length(max = 255))]
    server: Option<String>,
    /// Those of the last 30 days that are over as well.
    #[serde(default)]
    over: bool,
    /// Entries of a page.
    #[schemars(range(min = 1, max = 500))]
    limit: Option<u32>,
    /// Where the page begins: `next` of the one before.
    #[schemars(length(max = 2000), regex(pattern = r"^([0-9a-f]{2})*$"))]
    cursor: Option<String>,
}

pub(super) async fn list(
    call: Call,
    query: DrainQuery,
    _: Nothing,
) -> Result<Reply<Page<DrainView>>, Problem> {
    let mut drains = drains::list(call.app(), query.over).await?;
    drains.retain(|drain| query.server.as_ref().is_none_or(|server| drain.server.0 == *server));
    let sort_text = |drain: &PlannedDrain| format!("{:020} {}", drain.starts_at.0.max(0), drain.id);
    let page = cut_page(drains, sort_text, query.limit, query.cursor.as_deref())?;
    Ok(page.map(|drain| view(&drain)).into())
}

pub(super) async fn get(call: Call, _: Nothing, _: Nothing) -> Result<Reply<DrainView>, Problem> {
    let drains = drains::list(call.app(), true).await?;
    let found = drains.iter().find(|drain| drain.id == call.part(0));
    found.map(|drain| view(drain).into()).ok_or_else(|| Problem::not_found("drain"))
}

/// What happens when the server is empty.
#[derive(Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum ThenName {
    #[default]
    Disable,
    EnableWhenHealthy,
}

/// A drain to plan.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "NewDrain")]
pub(super) struct NewDrainBody {
    /// The id of the server.
    #[schemars(length(min = 1, max = 255))]
    server: String,
    /// When it begins, e.g. 2026-12-01T22:00:00Z; without this, now.
    #[schemars(regex(pattern = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z$"))]
    at: Option<String>,
    /// How long after its beginning the meetings that are left are ended; without this, never.
    #[schemars(range(min = 0, max = 604_800))]
    deadline_s: Option<i64>,
    /// How long before that the chat warns users (BBB 3.0 or later); 0: not at all. Without this, 60.
    #[schemars(range(min = 0, max = 604_800))]
    warn_s: Option<i64>,
    /// Without this, the server is disabled.
    #[serde(default)]
    then: ThenName,
}

pub(super) async fn plan(
    call: Call,
    _: Nothing,
    body: NewDrainBody,
) -> Result<Reply<DrainView>, Problem> {
    let at = body.at.as_deref().map(|at| {
        read_time("at", at).map_err(|_| Problem::invalid_value("/at", "it is no time that exists"))
    });
    let plan = DrainPlan {
        server: body.server,
        starts_at: at.transpose()?,
        deadline_ms: body.deadline_s.map(|seconds| seconds.saturating_mul(1_000)),
        warn_ms: body
            .warn_s
            .map_or(drains::DEFAULT_WARN_MS, |seconds| seconds.saturating_mul(1_000)),
        after: match body.then {
            ThenName::Disable => AfterDrain::Disable,
            ThenName::EnableWhenHealthy => AfterDrain::EnableWhenHealthy,
        },
    };
    let drain = match drains::plan(call.app(), plan).await {
        Err(error @ DrainError::UnknownServer(_)) => {
            return Err(Problem::invalid_value("/server", error));
        }
        planned => planned?,
    };
    Ok(view(&drain).into())
}

pub(super) async fn cancel(
    call: Call,
    _: Nothing,
    _: Nothing,
) -> Result<Reply<NoContent>, Problem> {
    drains::cancel(call.app(), call.part(0)).await?;
    Ok(NoContent.into())
}
