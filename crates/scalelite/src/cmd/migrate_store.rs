//! `migrate-store`: copies everything from one store into another, and says what got there.

use std::io::IsTerminal as _;
use std::sync::Arc;
use std::time::Duration;

use app::memory::{MemoryPoolStore, MemoryRecordings};
use app::store_migration::{self, MigratedKind, MigrationCounts, MigrationPlan, Stores};
use indicatif::{ProgressBar, ProgressStyle};

use crate::cli::MigrateStoreArgs;
use crate::config::stores::{StoreLocation, parse_store_url};
use crate::config::{Config, Sources};
use crate::output::table::{Cell, render};
use crate::output::{print_line, print_note, print_text};
use crate::telemetry;
use crate::wiring::stores::{is_adopted, open_store};

use super::{CommandFailure, build_runtime};

/// Names of what failed that are printed.
const MAX_FAILED_SHOWN: usize = 5;

/// Copies, or says what would be copied.
pub fn run(
    config: &Config,
    sources: &Sources,
    asked: &MigrateStoreArgs,
) -> Result<(), CommandFailure> {
    let rust_log = sources.variable("RUST_LOG").unwrap_or("off");
    let _log = telemetry::start(config.log_level, config.log_format, Some(rust_log));
    let store = |flag: &str, url: &str| {
        parse_store_url(url, config, sources)
            .map_err(|error| CommandFailure(format!("ERROR: {flag}: {error}")))
    };
    let (mut from, mut to) = (store("--from", &asked.from)?, store("--to", &asked.to)?);
    if asked.dry_run {
        (from, to) = (from.into_read_only(), to.into_read_only());
    }
    if from.describe() == to.describe() {
        return Err(CommandFailure("ERROR: --from and --to are the same store".to_owned()));
    }
    let (old, new) = (open_store(&from, false)?, open_target(&to, asked.dry_run)?);
    let plan = MigrationPlan {
        dry_run: asked.dry_run,
        state: asked.only != Some(StorePart::Recordings),
        recordings: asked.only != Some(StorePart::Hot),
    };
    print_line(format!("from {}", from.describe()));
    print_line(format!("to   {}", to.describe()));
    if plan.recordings && (old.recordings.is_none() || new.recordings.is_none()) {
        print_note("Redis keeps no recordings: copy those between SQL stores");
    }
    let mut progress = MigrationProgress::new();
    let moved = build_runtime(true)?.block_on(store_migration::migrate_stores(
        &old,
        &new,
        plan,
        &mut |kind, done, total| {
            progress.show(kind, done, total);
        },
    ));
    progress.clear();
    print_report(&moved?, asked.dry_run)
}

/// What of a store is copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum StorePart {
    /// Servers, meetings, tenants.
    Hot,
    /// Recordings and callbacks.
    Recordings,
}

/// Where to. A dry run makes no store where there is none.
fn open_target(to: &StoreLocation, dry_run: bool) -> Result<Stores, CommandFailure> {
    let is_new = match to {
        StoreLocation::Embedded(path) => !path.is_file(),
        StoreLocation::Postgres(options) if dry_run => {
            !build_runtime(true)?.block_on(is_adopted(options))?
        }
        _ => false,
    };
    if dry_run && is_new {
        let hot = Arc::new(MemoryPoolStore::default());
        return Ok(Stores { state: hot, recordings: Some(Arc::new(MemoryRecordings::default())) });
    }
    Ok(open_store(to, true)?)
}

/// A bar on terminals; silence elsewhere.
struct MigrationProgress {
    bar: ProgressBar,
    kind: Option<MigratedKind>,
}

impl MigrationProgress {
    fn new() -> Self {
        let shown = std::io::stderr().is_terminal();
        let bar = if shown { ProgressBar::new(0) } else { ProgressBar::hidden() };
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

fn print_report(tallies: &[MigrationCounts], dry_run: bool) -> Result<(), CommandFailure> {
    let number = |number: u64| Cell::Number(number.to_string());
    let row = |one: &MigrationCounts| {
        let mut row = vec![
            Cell::text(one.kind.name()),
            number(one.found),
            number(one.unchanged),
            number(one.copied),
            number(one.replaced),
        ];
        row.extend((!dry_run).then(|| number(one.verified)));
        row
    };
    let rows: Vec<_> = tallies.iter().map(row).collect();
    let headings = match dry_run {
        true => &["WHAT", "FOUND", "THERE ALREADY", "WOULD BE COPIED", "WOULD BE REPLACED"][..],
        false => &["WHAT", "FOUND", "THERE ALREADY", "COPIED", "REPLACED", "VERIFIED"][..],
    };
    print_text(render(headings, &rows));
    if dry_run {
        return Ok(());
    }
    for one in tallies.iter().filter(|one| !one.is_complete()) {
        let missing = one.found - one.verified;
        let names: Vec<_> = one.failed.iter().take(MAX_FAILED_SHOWN).cloned().collect();
        print_note(format!(
            "{missing} {} did not get there: {}…",
            one.kind.name(),
            names.join(", ")
        ));
    }
    if tallies.iter().all(MigrationCounts::is_complete) {
        return Ok(());
    }
    Err(CommandFailure(
        "ERROR: not everything was copied; running it again tries what is missing".to_owned(),
    ))
}
