//! The whole of it: what is wanted is checked, compared with what is there, and done.

use serde_json::{Value, json};

use super::carry_out::{CarriedOut, carry_out, read_present};
use super::check::{FileProblem, check};
use super::plan::{Held, Plan, PlanOptions, PresentState, plan};
use super::wanted::WantedState;
use crate::context::App;
use crate::ports::StoreError;

/// Why nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ApplyFailure {
    /// Something is wrong with what is wanted.
    Problems(Vec<FileProblem>),
    /// The store failed.
    Store(StoreError),
}

impl From<StoreError> for ApplyFailure {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// What was planned and done.
#[derive(Clone, Debug, PartialEq)]
pub struct Applied {
    plan: Plan,
    carried: CarriedOut,
    is_dry_run: bool,
}

/// Brings the pool to what is wanted; a dry run only plans it. Nothing is changed if anything is wrong.
///
/// # Errors
/// When something is wrong, or the store fails.
pub async fn apply(
    app: &App,
    wanted: &WantedState,
    options: PlanOptions,
    is_dry_run: bool,
) -> Result<Applied, ApplyFailure> {
    let present = read_present(app).await?;
    let mut problems = check(wanted, &present);
    problems.extend(refuse_emptying(wanted, &present, options));
    if !problems.is_empty() {
        return Err(ApplyFailure::Problems(problems));
    }
    let plan = plan(wanted, &present, options);
    let carried = match is_dry_run {
        true => CarriedOut::default(),
        false => carry_out(app, &plan, options).await,
    };
    Ok(Applied { plan, carried, is_dry_run })
}

/// An empty list is more likely a mistake of what wrote the file than the wish to remove everything.
fn refuse_emptying(
    wanted: &WantedState,
    present: &PresentState,
    options: PlanOptions,
) -> Option<FileProblem> {
    let servers = wanted.servers.as_ref().is_some_and(Vec::is_empty);
    let tenants = wanted.tenants.as_ref().is_some_and(Vec::is_empty);
    let list = if servers && !present.servers.is_empty() {
        "servers"
    } else if tenants && !present.tenants.is_empty() {
        "tenants"
    } else {
        return None;
    };
    let text = format!("the list is empty, and --prune would remove all {list}: add --force");
    let is_refused = options.prune && !options.force;
    is_refused.then(|| FileProblem { path: list.to_owned(), text })
}

impl Applied {
    /// Returns it as JSON, as commands print it and the management API answers.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let Self { plan, carried, is_dry_run } = self;
        let is_held = |subject: &str| carried.held.iter().any(|held| held.subject == subject);
        let changes = plan.changes.iter().map(|change| {
            let subject = change.subject();
            let mut shown = json!({
                "action": change.action(), "subject": subject, "fields": change.fields(),
            });
            if is_held(&subject) {
                shown["held"] = json!(true);
            }
            shown
        });
        let held = plan.held.iter().chain(&carried.held);
        let held =
            held.map(|Held { subject, reason }| json!({ "subject": subject, "reason": reason }));
        json!({
            "dry_run": is_dry_run,
            "changes": changes.collect::<Vec<_>>(),
            "done": carried.done,
            "failure": carried.failure,
            "not_done": held.collect::<Vec<_>>(),
            "unlisted": plan.unlisted,
        })
    }
}
