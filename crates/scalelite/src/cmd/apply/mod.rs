//! `apply`: brings the pool to the state that a file describes; `export` writes such a file.

mod export;
mod file;
mod secrets;
mod yaml_errors;

use std::path::{Path, PathBuf};

use app::apply::{
    CarriedOut, Change, FieldChange, FileProblem, Held, Plan, PlanOptions, PresentState,
    WantedState, carry_out, check, plan, read_present,
};
use clap::Args;
use serde_json::json;

use self::secrets::SecretReader;
use super::{CommandContext, CommandFailure, run_once};
use crate::config::{Config, Sources};
use crate::output::{print_line, print_note, printable};
use crate::wiring::data_dir::Creation;

pub use export::run as run_export;

/// Problems of a file that are shown.
const MAX_SHOWN_PROBLEMS: usize = 20;

/// Arguments of `apply`.
#[derive(Clone, Debug, Args)]
pub struct ApplyArgs {
    /// The file, in YAML; `-` is the standard input.
    #[arg(short, long)]
    pub file: PathBuf,
    /// Only show what would be done.
    #[arg(long)]
    pub dry_run: bool,
    /// Remove servers, tenants and settings that the file does not list.
    #[arg(long)]
    pub prune: bool,
    /// Remove and disable servers also if meetings run on them, which are ended.
    #[arg(long)]
    pub force: bool,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// Reads the file and does what it says. Nothing is changed if anything is wrong with it.
pub fn run(config: &Config, sources: &Sources, args: &ApplyArgs) -> Result<(), CommandFailure> {
    let file = file::read(&args.file).map_err(failure)?;
    if file.has_tenants() && !config.multitenancy_enabled {
        return Err(failure("the file lists tenants, and MULTITENANCY_ENABLED is not set"));
    }
    let dir = args.file.parent().unwrap_or(Path::new("."));
    let wanted = file.into_wanted(&SecretReader { sources, dir });
    let wanted = wanted.map_err(|problems| print_problems(&args.file, &problems))?;
    run_once(config, sources, Creation::NamedStore, async |context: &CommandContext| {
        apply(context, &wanted, args).await
    })
}

/// Writes the schema of the file for editors.
pub fn print_schema() {
    let schema = file::schema();
    print_line(serde_json::to_string_pretty(&schema).unwrap_or_else(|_| schema.to_string()));
}

async fn apply(
    context: &CommandContext,
    wanted: &WantedState,
    args: &ApplyArgs,
) -> Result<(), CommandFailure> {
    let present = read_present(&context.app).await?;
    let mut problems = check(wanted, &present);
    problems.extend(refuse_emptying(wanted, &present, args));
    if !problems.is_empty() {
        return Err(print_problems(&args.file, &problems));
    }
    let options = PlanOptions { prune: args.prune, force: args.force };
    let plan = plan(wanted, &present, options);
    let carried = match args.dry_run {
        true => CarriedOut::default(),
        false => carry_out(&context.app, &plan, options).await,
    };
    let held: Vec<&Held> = plan.held.iter().chain(&carried.held).collect();
    match args.json {
        true => print_json(&plan, &carried, &held, args.dry_run),
        false => print_plan(&plan, &carried, &held, args.dry_run),
    }
    match carried.failure {
        Some(reason) => Err(failure(format!(
            "{}. {} changes were made before; apply the file again",
            printable(&reason),
            carried.done
        ))),
        None if !held.is_empty() => Err(CommandFailure(String::new())),
        None => Ok(()),
    }
}

/// An empty list is more likely a mistake of what wrote the file than the wish to remove everything.
fn refuse_emptying(
    wanted: &WantedState,
    present: &PresentState,
    args: &ApplyArgs,
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
    (args.prune && !args.force).then(|| FileProblem { path: list.to_owned(), text })
}

fn failure(text: impl std::fmt::Display) -> CommandFailure {
    CommandFailure(format!("ERROR: {text}"))
}

fn print_problems(file: &Path, problems: &[FileProblem]) -> CommandFailure {
    let file = file.display();
    for FileProblem { path, text } in problems.iter().take(MAX_SHOWN_PROBLEMS) {
        print_note(printable(&format!("ERROR: {file}: {path}: {text}")));
    }
    let hidden = problems.len().saturating_sub(MAX_SHOWN_PROBLEMS);
    let more = if hidden > 0 { format!("{hidden} more problems. ") } else { String::new() };
    CommandFailure(format!("{more}Nothing was changed."))
}

fn print_plan(plan: &Plan, carried: &CarriedOut, held: &[&Held], is_dry_run: bool) {
    let prefix = if is_dry_run { "would " } else { "" };
    let shown = if is_dry_run { plan.changes.len() } else { carried.done + carried.held.len() };
    let is_held = |change: &&Change| carried.held.iter().any(|it| it.subject == change.subject());
    for change in plan.changes.iter().take(shown).filter(|change| !is_held(change)) {
        print_line(printable(&format!("{prefix}{} {}", change.action(), change.subject())));
        for field in change.fields() {
            print_line(printable(&format!("    {}", describe_field(&field))));
        }
    }
    for held in held {
        print_note(printable(&format!("not done: {}: {}", held.subject, held.reason)));
    }
    for subject in &plan.unlisted {
        print_note(printable(&format!("not in the file, kept (--prune removes it): {subject}")));
    }
    if plan.changes.is_empty() {
        print_line("Nothing to change.");
    }
}

fn describe_field(field: &FieldChange) -> String {
    let FieldChange { field: name, before, after, is_secret } = field;
    match (before, after, is_secret) {
        (None, _, true) => format!("{name}: set"),
        (_, None, true) => format!("{name}: removed"),
        (_, _, true) => format!("{name}: changed"),
        (None, Some(after), false) => format!("{name}: {after}"),
        (Some(before), None, false) => format!("{name}: {before} removed"),
        (Some(before), Some(after), false) => format!("{name}: {before} -> {after}"),
        (None, None, false) => name.to_string(),
    }
}

fn print_json(plan: &Plan, carried: &CarriedOut, held: &[&Held], is_dry_run: bool) {
    let to_json = |change: &Change| json!({ "action": change.action(), "subject": change.subject(), "fields": change.fields() });
    let held: Vec<_> =
        held.iter().map(|held| json!({ "subject": held.subject, "reason": held.reason })).collect();
    let document = json!({
        "dry_run": is_dry_run,
        "changes": plan.changes.iter().map(to_json).collect::<Vec<_>>(),
        "done": carried.done,
        "failure": carried.failure,
        "not_done": held,
        "unlisted": plan.unlisted,
    });
    print_line(document.to_string());
}
