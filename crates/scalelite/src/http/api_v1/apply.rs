//! Brings servers, tenants and their settings to a wanted state.

use app::apply::{ApplyFailure, FileProblem, PlanOptions, apply};
use domain::management::{Scope, may};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::endpoint::{Call, Reply};
use super::input::Nothing;
use super::problem::{InputFault, Problem};
use super::tenants::require_multitenancy;
use crate::pool_file::{PoolFile, SecretReader};

/// Longest body, in bytes: a pool of thousands of servers.
pub(super) const MAX_BYTES: u64 = 4 << 20;

/// A wanted state, and what may be done to reach it.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "WantedPool")]
pub(super) struct ApplyBody {
    /// The file of `scalelite apply`, as JSON. Secrets stand in it: it cannot name files or variables.
    pool: PoolFile,
    /// Remove servers, tenants and settings that are not listed.
    #[serde(default)]
    prune: bool,
    /// Remove and disable servers also if meetings run on them, which are ended.
    #[serde(default)]
    force: bool,
    /// Only plan it.
    #[serde(default)]
    dry_run: bool,
}

/// What was done.
#[derive(Deserialize, Serialize, JsonSchema)]
#[schemars(rename = "Applied")]
pub(super) struct AppliedView {
    dry_run: bool,
    /// The changes that were planned, in their order.
    changes: Vec<PlannedChangeView>,
    /// How many of them were made.
    done: usize,
    /// The change that failed, and why. No further ones were made.
    failure: Option<String>,
    /// What is not done since people would notice.
    not_done: Vec<HeldChangeView>,
    /// What is there and not listed, and was kept.
    unlisted: Vec<String>,
}

/// A change of a server, tenant or setting.
#[derive(Deserialize, Serialize, JsonSchema)]
#[schemars(rename = "PlannedChange")]
struct PlannedChangeView {
    /// add, change or remove.
    action: String,
    /// What it is about: `server URL`, `tenant NAME` or `setting PARAM of tenant NAME`.
    subject: String,
    /// What differs; secrets are not shown.
    fields: Vec<PlannedFieldView>,
    /// It was not made: meetings had begun there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    held: Option<bool>,
}

/// A field that differs.
#[derive(Deserialize, Serialize, JsonSchema)]
#[schemars(rename = "PlannedField")]
struct PlannedFieldView {
    field: String,
    before: Option<String>,
    after: Option<String>,
    is_secret: bool,
}

/// What is not done.
#[derive(Deserialize, Serialize, JsonSchema)]
#[schemars(rename = "HeldChange")]
struct HeldChangeView {
    subject: String,
    reason: String,
}

/// The faults of a body; their places are those in the file of `apply`.
fn to_problem(problems: Vec<FileProblem>) -> Problem {
    let to_pointer =
        |path: &str| format!("/pool/{}", path.replace(['.', '['], "/").replace(']', ""));
    let faults = problems.into_iter().map(|FileProblem { path, text }| InputFault {
        part: "body",
        pointer: to_pointer(&path),
        detail: text,
    });
    Problem::invalid_body(faults.collect())
}

pub(super) async fn bring_about(
    call: Call,
    _: Nothing,
    body: ApplyBody,
) -> Result<Reply<AppliedView>, Problem> {
    call.require_all_tenants()?;
    let ApplyBody { pool, prune, force, dry_run } = body;
    if pool.has_tenants() {
        if !may(&call.holder.scopes, Scope::TenantsWrite) {
            return Err(Problem::missing_scope(Scope::TenantsWrite));
        }
        require_multitenancy(&call)?;
    }
    let wanted = pool.into_wanted(&SecretReader::nowhere()).map_err(to_problem)?;
    let applied = apply(call.app(), &wanted, PlanOptions { prune, force }, dry_run).await;
    let applied = applied.map_err(|failure| match failure {
        ApplyFailure::Problems(problems) => to_problem(problems),
        ApplyFailure::Store(error) => error.into(),
    })?;
    let applied: Value = applied.to_json();
    let view: Option<AppliedView> = serde_json::from_value(applied).ok();
    view.map(Reply::from).ok_or_else(|| Problem::unavailable("the result cannot be shown"))
}
