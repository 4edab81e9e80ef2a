//! `migrate-store`: copies everything from one store into another, and reports what was copied.

use std::io::IsTerminal as _;
use std::sync::Arc;
use std::time::Duration;

use app::audit::{self, AuditEvent};
use app::memory::{MemoryPoolStore, MemoryRecordings};
use app::origin::{self, WorkOrigin};
use app::ports::StateStore;
use app::store_migration::{self, MigratedKind, MigrationCounts, MigrationPlan, Stores};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use crate::cli::MigrateStoreArgs;
use crate::config::stores::{StoreLocation, parse_store_url};
use crate::config::{Config, Sources};
use crate::output::table::{Cell, render};
use crate::output::{print_line, print_note, print_text};
use crate::telemetry;
use crate::wiring;
use crate::wiring::stores::{is_adopted, open_store};

use super::actor::find_actor;
use super::{CommandFailure, build_runtime};

/// Most names of records that were not copied that are printed.
const MAX_PRINTED_NAMES: usize = 5;

/// Copies the records, or reports what would be copied.
pub fn run(
    config: &Config,
    sources: &Sources,
    arguments: &MigrateStoreArgs,
) -> Result<(), CommandFailure> {
    let rust_log = sources.variable("RUST_LOG").unwrap_or("off");
    let _log = telemetry::start(config.log_level, config.log_format, Some(rust_log));
    let locate = |flag: &str, url: &str| {
        parse_store_url(url, config, sources)
            .map_err(|error| CommandFailure(format!("ERROR: {flag}: {error}")))
    };
    let (mut from, mut to) = (locate("--from", &arguments.from)?, locate("--to", &arguments.to)?);
    if arguments.dry_run {
        (from, to) = (from.into_read_only(), to.into_read_only());
    }
    if from.describe() == to.describe() {
        return Err(CommandFailure("ERROR: --from and --to are the same store".to_owned()));
    }
    let (source, target) = (open_store(&from, false)?, open_target(&to, arguments.dry_run)?);
    let plan = MigrationPlan {
        dry_run: arguments.dry_run,
        state: arguments.only != Some(StorePart::Recordings),
        recordings: arguments.only != Some(StorePart::State),
    };
    print_line(format!("from {}", from.describe()));
    print_line(format!("to   {}", to.describe()));
    if plan.recordings && (source.recordings.is_none() || target.recordings.is_none()) {
        print_note("Redis does not store recordings: copy them between SQL stores");
    }
    let mut progress = MigrationProgress::new();
    let result = build_runtime(true)?.block_on(store_migration::migrate_stores(
        &source,
        &target,
        plan,
        &mut |kind, done, total| {
            progress.show(kind, done, total);
        },
    ));
    progress.clear();
    let counts = result?;
    if !arguments.dry_run {
        record(sources, target.state.as_ref(), (&from, &to), &counts);
    }
    print_report(&counts, arguments.dry_run)
}

/// Records in the audit of the target what was copied into it.
fn record(
    sources: &Sources,
    log: &dyn StateStore,
    (from, to): (&StoreLocation, &StoreLocation),
    counts: &[MigrationCounts],
) {
    let copied: u64 = counts.iter().map(|counts| counts.copied + counts.replaced).sum();
    if copied == 0 {
        return;
    }
    let after = json!({ "from": from.describe(), "to": to.describe(), "copied": copied });
    let now = wiring::current_time();
    let unique = format!("{}-{}", now.0, std::process::id());
    let origin = WorkOrigin { request_id: None, actor: find_actor(sources) };
    let work = async {
        let event = AuditEvent::new("stores.migrate").after(after);
        audit::record_in(log, (now, &unique), event).await
    };
    let recorded =
        build_runtime(true).map(|runtime| runtime.block_on(origin::run_from(origin, work)));
    if let Ok(Err(error)) = recorded {
        print_note(format!("WARNING: not recorded in the audit: {error}"));
    }
}

/// The part of a store that is copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum StorePart {
    /// Servers, meetings, tenants.
    #[value(alias = "hot")]
    State,
    /// Recordings and callbacks.
    Recordings,
}

/// Opens the destination. A dry run does not create a store: if there is none, an empty store in
/// memory stands in for it.
fn open_target(to: &StoreLocation, dry_run: bool) -> Result<Stores, CommandFailure> {
    let is_new = match to {
        StoreLocation::Embedded(path) => !path.is_file(),
        StoreLocation::Postgres(options) if dry_run => {
            !build_runtime(true)?.block_on(is_adopted(options))?
        }
        _ => false,
    };
    if dry_run && is_new {
        let state = Arc::new(MemoryPoolStore::default());
        return Ok(Stores { state, recordings: Some(Arc::new(MemoryRecordings::default())) });
    }
    Ok(open_store(to, true)?)
}

/// A progress bar on a terminal; no output otherwise.
struct MigrationProgress {
    bar: ProgressBar,
    kind: Option<MigratedKind>,
}

impl MigrationProgress {
    fn new() -> Self {
        let is_terminal = std::io::stderr().is_terminal();
        let bar = if is_terminal { ProgressBar::new(0) } else { ProgressBar::hidden() };
        let style = ProgressStyle::with_template("{msg:15} {wide_bar} {pos}/{len} {eta}");
        if let Ok(style) = style {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(200));
        Self { bar, kind: None }
    }

    fn show(&mut self, kind: MigratedKind, done: u64, total: u64) {
        if self.kind != Some(kind) {
            self.kind = Some(kind);
            self.bar.set_message(kind.name());
            self.bar.reset();
        }
        self.bar.set_length(total);
        self.bar.set_position(done);
    }

    fn clear(&self) {
        self.bar.finish_and_clear();
    }
}

fn print_report(counts: &[MigrationCounts], dry_run: bool) -> Result<(), CommandFailure> {
    let rows: Vec<_> = counts.iter().map(|counts| table_row(counts, dry_run)).collect();
    let headings = match dry_run {
        true => &["KIND", "FOUND", "UNCHANGED", "WOULD BE COPIED", "WOULD BE REPLACED"][..],
        false => &["KIND", "FOUND", "UNCHANGED", "COPIED", "REPLACED", "VERIFIED"][..],
    };
    print_text(render(headings, &rows));
    if dry_run {
        return Ok(());
    }
    for counts in counts.iter().filter(|counts| !counts.is_complete()) {
        let missing = counts.found - counts.verified;
        let names: Vec<_> = counts.failed.iter().take(MAX_PRINTED_NAMES).cloned().collect();
        print_note(format!("{missing} {} not copied: {}…", counts.kind.name(), names.join(", ")));
    }
    if counts.iter().all(MigrationCounts::is_complete) {
        return Ok(());
    }
    Err(CommandFailure(
        "ERROR: not everything was copied; run it again to copy the rest".to_owned(),
    ))
}

fn table_row(counts: &MigrationCounts, dry_run: bool) -> Vec<Cell> {
    let number = |number: u64| Cell::Number(number.to_string());
    let mut row = vec![
        Cell::text(counts.kind.name()),
        number(counts.found),
        number(counts.unchanged),
        number(counts.copied),
        number(counts.replaced),
    ];
    row.extend((!dry_run).then(|| number(counts.verified)));
    row
}
