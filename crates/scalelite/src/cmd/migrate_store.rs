//! `migrate-store`: copies everything from one store into another, and says what got there.

use std::io::IsTerminal as _;
use std::sync::Arc;
use std::time::Duration;

use app::memory::{MemoryCluster, MemoryRecordings};
use app::moving::{self, House, Kind, Plan, Tally};
use indicatif::{ProgressBar, ProgressStyle};

use crate::cli::MigrateStore;
use crate::config::stores::{Store, of_url};
use crate::config::{Config, Sources};
use crate::output::table::{Cell, render};
use crate::output::{note, say, say_text};
use crate::telemetry;
use crate::wiring::stores::{is_adopted, open_one};

use super::{Failure, runtime};

/// Names of what failed that are printed.
const FAILED_SHOWN: usize = 5;

/// Copies, or says what would be copied.
pub fn run(config: &Config, sources: &Sources, asked: &MigrateStore) -> Result<(), Failure> {
    let rust_log = sources.variable("RUST_LOG").unwrap_or("off");
    let _log = telemetry::start(config.log_level, config.log_format, Some(rust_log));
    let store = |flag: &str, url: &str| {
        of_url(url, config, sources).map_err(|error| Failure(format!("ERROR: {flag}: {error}")))
    };
    let (mut from, mut to) = (store("--from", &asked.from)?, store("--to", &asked.to)?);
    if asked.dry_run {
        (from, to) = (from.looked_at(), to.looked_at());
    }
    if from.describe() == to.describe() {
        return Err(Failure("ERROR: --from and --to are the same store".to_owned()));
    }
    let (old, new) = (open_one(&from, false)?, target(&to, asked.dry_run)?);
    let plan = Plan {
        dry_run: asked.dry_run,
        hot: asked.only != Some(Part::Recordings),
        recordings: asked.only != Some(Part::Hot),
    };
    say(format!("from {}", from.describe()));
    say(format!("to   {}", to.describe()));
    if plan.recordings && (old.recordings.is_none() || new.recordings.is_none()) {
        note("Redis keeps no recordings: copy those between SQL stores");
    }
    let mut progress = Progress::new();
    let moved = runtime(true)?.block_on(moving::run(&old, &new, plan, &mut |kind, done, total| {
        progress.show(kind, done, total);
    }));
    progress.clear();
    report(&moved?, asked.dry_run)
}

/// What of a store is copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Part {
    /// Servers, meetings, tenants.
    Hot,
    /// Recordings and callbacks.
    Recordings,
}

/// Where to. A dry run makes no store where there is none.
fn target(to: &Store, dry_run: bool) -> Result<House, Failure> {
    let is_new = match to {
        Store::Embedded(path) => !path.is_file(),
        Store::Postgres(options) if dry_run => !runtime(true)?.block_on(is_adopted(options))?,
        _ => false,
    };
    if dry_run && is_new {
        let hot = Arc::new(MemoryCluster::default());
        return Ok(House { hot, recordings: Some(Arc::new(MemoryRecordings::default())) });
    }
    Ok(open_one(to, true)?)
}

/// A bar on terminals; silence elsewhere.
struct Progress {
    bar: ProgressBar,
    kind: Option<Kind>,
}

impl Progress {
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

    fn show(&mut self, kind: Kind, done: u64, total: u64) {
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

fn report(tallies: &[Tally], dry_run: bool) -> Result<(), Failure> {
    let number = |number: u64| Cell::Number(number.to_string());
    let row = |one: &Tally| {
        let mut row = vec![
            Cell::text(one.kind.name()),
            number(one.found),
            number(one.same),
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
    say_text(render(headings, &rows));
    if dry_run {
        return Ok(());
    }
    for one in tallies.iter().filter(|one| !one.complete()) {
        let missing = one.found - one.verified;
        let names: Vec<_> = one.failed.iter().take(FAILED_SHOWN).cloned().collect();
        note(format!("{missing} {} did not get there: {}…", one.kind.name(), names.join(", ")));
    }
    if tallies.iter().all(Tally::complete) {
        return Ok(());
    }
    Err(Failure(
        "ERROR: not everything was copied; running it again tries what is missing".to_owned(),
    ))
}
