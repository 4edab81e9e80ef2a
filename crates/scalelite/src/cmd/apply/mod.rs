//! `apply`: brings the pool to the state that a file describes; `export` writes such a file.

mod export;
mod wanted_json;

use std::path::{Path, PathBuf};

use app::apply::{Applied, ApplyFailure, FileProblem, PlanOptions, WantedState, apply};
use clap::Args;
use serde_json::{Value, json};

use super::balancer::{Balancer, RemoteBalancer};
use super::{CommandFailure, run_once};
use crate::config::{Config, Sources};
use crate::output::{print_line, print_note, printable};
use crate::pool_file::{self, SecretReader};
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
    let wanted = read_wanted(sources, args)?;
    if wanted.tenants.is_some() && !config.multitenancy_enabled {
        return Err(failure("the file lists tenants, and MULTITENANCY_ENABLED is not set"));
    }
    run_once(config, sources, Creation::NamedStore, async |balancer| {
        apply_to(balancer, &wanted, args).await
    })
}

/// Does what the file says to another balancer. Secrets in files and variables are those of this machine.
pub async fn run_there(
    remote: RemoteBalancer,
    sources: &Sources,
    args: &ApplyArgs,
) -> Result<(), CommandFailure> {
    let wanted = read_wanted(sources, args)?;
    apply_to(&Balancer::There(Box::new(remote)), &wanted, args).await
}

fn read_wanted(sources: &Sources, args: &ApplyArgs) -> Result<WantedState, CommandFailure> {
    let file = pool_file::read(&args.file).map_err(failure)?;
    let dir = args.file.parent().unwrap_or(Path::new("."));
    let wanted = file.into_wanted(&SecretReader::new(sources, dir));
    wanted.map_err(|problems| print_problems(&args.file, &problems))
}

/// Writes the schema of the file for editors.
pub fn print_schema() {
    let schema = pool_file::schema();
    print_line(serde_json::to_string_pretty(&schema).unwrap_or_else(|_| schema.to_string()));
}

async fn apply_to(
    balancer: &Balancer,
    wanted: &WantedState,
    args: &ApplyArgs,
) -> Result<(), CommandFailure> {
    let options = PlanOptions { prune: args.prune, force: args.force };
    let applied = match balancer {
        Balancer::Here(context) => {
            let applied = apply(&context.app, wanted, options, args.dry_run).await;
            applied.as_ref().map(Applied::to_json).map_err(|failure| match failure {
                ApplyFailure::Problems(problems) => print_problems(&args.file, problems),
                ApplyFailure::Store(error) => error.clone().into(),
            })?
        }
        Balancer::There(remote) => {
            let body = json!({
                "pool": wanted_json::to_json(wanted), "prune": args.prune, "force": args.force,
                "dry_run": args.dry_run,
            });
            remote.post::<Value>("/apply", &body).await?
        }
    };
    report(&applied, args.json)
}

/// Prints what was done. Fails if not everything was.
fn report(applied: &Value, as_json: bool) -> Result<(), CommandFailure> {
    match as_json {
        true => print_line(applied.to_string()),
        false => print_applied(applied),
    }
    match applied["failure"].as_str() {
        Some(reason) => Err(failure(format!(
            "{}. {} changes were made before; apply the file again",
            printable(reason),
            applied["done"]
        ))),
        None if !list(applied, "not_done").is_empty() => Err(CommandFailure(String::new())),
        None => Ok(()),
    }
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

fn list<'a>(applied: &'a Value, name: &str) -> &'a [Value] {
    applied[name].as_array().map(Vec::as_slice).unwrap_or_default()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// Prints the changes that were made, or would be, and what was not done.
fn print_applied(applied: &Value) {
    let changes = list(applied, "changes");
    let is_dry_run = applied["dry_run"] == true;
    let is_held = |change: &&Value| change["held"] == true;
    let done = applied["done"].as_u64().and_then(|done| usize::try_from(done).ok()).unwrap_or(0);
    let shown = if is_dry_run { changes.len() } else { done };
    let prefix = if is_dry_run { "would " } else { "" };
    for change in changes.iter().filter(|change| !is_held(change)).take(shown) {
        let (action, subject) = (text(&change["action"]), text(&change["subject"]));
        print_line(printable(&format!("{prefix}{action} {subject}")));
        for field in list(change, "fields") {
            print_line(printable(&format!("    {}", describe_field(field))));
        }
    }
    for held in list(applied, "not_done") {
        let (subject, reason) = (text(&held["subject"]), text(&held["reason"]));
        print_note(printable(&format!("not done: {subject}: {reason}")));
    }
    for subject in list(applied, "unlisted").iter().map(text) {
        print_note(printable(&format!("not in the file, kept (--prune removes it): {subject}")));
    }
    if changes.is_empty() {
        print_line("Nothing to change.");
    }
}

fn describe_field(field: &Value) -> String {
    let (before, after) = (field["before"].as_str(), field["after"].as_str());
    let name = text(&field["field"]);
    match (before, after, field["is_secret"] == true) {
        (None, _, true) => format!("{name}: set"),
        (_, None, true) => format!("{name}: removed"),
        (_, _, true) => format!("{name}: changed"),
        (None, Some(after), false) => format!("{name}: {after}"),
        (Some(before), None, false) => format!("{name}: {before} removed"),
        (Some(before), Some(after), false) => format!("{name}: {before} -> {after}"),
        (None, None, false) => name.to_owned(),
    }
}
