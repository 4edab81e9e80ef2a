//! Simulator runs on demand: ranges of seeds on all cores, one seed with its trace, or planted bugs.

use std::io::{self, IsTerminal as _, Write as _};
use std::ops::Range;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use clap::Parser;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use testkit::clock::unix_now_s;
use testkit::simulator::{EventCounts, Mutant, RunReport, SimulationOptions, run, run_traced};

/// Number of failed runs that are shown with their trace.
const MAX_SHOWN_TRACES: usize = 5;
/// Seeds that are run by default.
const DEFAULT_SEEDS: Range<u64> = 0..10_000;
/// Seeds that are run by default with each planted bug, as in the tests.
const DEFAULT_MUTANT_SEEDS: Range<u64> = 0..200;

/// Runs the deterministic simulator.
#[derive(Debug, Parser)]
struct Arguments {
    /// Seeds to run, the last one excluded [default: 0..10000, with --mutants 0..200].
    #[arg(long, value_name = "FROM..TO", value_parser = parse_range)]
    seeds: Option<Range<u64>>,
    /// Run only this seed.
    #[arg(long, conflicts_with = "seeds")]
    seed: Option<u64>,
    /// Print every event of the run.
    #[arg(long, requires = "seed")]
    trace: bool,
    /// Plant each known bug in turn, and count the runs in which a checker finds it.
    #[arg(long, conflicts_with = "seed")]
    mutants: bool,
    /// Number of threads [default: one for each core].
    #[arg(long, conflicts_with_all = ["seed", "mutants"])]
    threads: Option<usize>,
}

fn parse_range(text: &str) -> Result<Range<u64>, String> {
    let (from, to) = text.split_once("..").ok_or("expected FROM..TO")?;
    let number = |text: &str| text.parse().map_err(|_| format!("`{text}` is not a number"));
    Ok(number(from)?..number(to)?)
}

fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    let options = SimulationOptions::default();
    match arguments.seed {
        Some(seed) => run_seed(seed, SimulationOptions { trace: arguments.trace, ..options }),
        None if arguments.mutants => run_mutants(arguments.seeds.unwrap_or(DEFAULT_MUTANT_SEEDS)),
        None => {
            let seeds = arguments.seeds.unwrap_or(DEFAULT_SEEDS);
            Ok(run_seeds(seeds, arguments.threads, options))
        }
    }
}

fn run_seed(seed: u64, options: SimulationOptions) -> anyhow::Result<ExitCode> {
    let report = run(seed, options)?;
    let mut out = io::stdout().lock();
    for line in &report.trace {
        writeln!(out, "{line}")?;
    }
    for violation in &report.violations {
        writeln!(out, "{}: {}", violation.checker, violation.message)?;
    }
    writeln!(
        out,
        "seed {seed}: {} violations, digest {:016x}",
        report.violations.len(),
        report.digest
    )?;
    Ok(to_exit_code(report.violations.is_empty()))
}

/// Prints for each planted bug in how many runs it is found, and by which checkers; fails if a bug is
/// not found.
fn run_mutants(seeds: Range<u64>) -> anyhow::Result<ExitCode> {
    let count = seeds.end.saturating_sub(seeds.start);
    let mut all_found = true;
    for mutant in Mutant::ALL {
        let options = SimulationOptions::with_mutant(*mutant);
        let (mut found, mut checkers) = (0, EventCounts::new());
        for seed in seeds.clone() {
            let report = run(seed, options)?;
            found += u64::from(!report.violations.is_empty());
            for violation in report.violations.iter().take(1) {
                *checkers.entry(violation.checker).or_default() += 1;
            }
        }
        all_found &= found > 0;
        println!("{mutant:?}: found in {found} of {count} runs {checkers:?}");
    }
    Ok(to_exit_code(all_found))
}

fn to_exit_code(is_success: bool) -> ExitCode {
    if is_success { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn run_seeds(seeds: Range<u64>, threads: Option<usize>, options: SimulationOptions) -> ExitCode {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let (started_s, count) = (unix_now_s(), seeds.end.saturating_sub(seeds.start));
    let (next, (sender, reports)) = (AtomicU64::new(seeds.start), channel());
    let (failed, counts) = thread::scope(|scope| {
        for _ in 0..threads.unwrap_or(cores).max(1) {
            let (next, sender, end) = (&next, sender.clone(), seeds.end);
            scope.spawn(move || run_worker(next, end, options, &sender));
        }
        drop(sender);
        collect_reports(&reports, count)
    });
    let elapsed_s = (unix_now_s() - started_s).max(0.001);
    let rate = count as f64 / elapsed_s;
    for (name, count) in &counts {
        println!("{count:>12} {name}");
    }
    println!("{count} seeds in {elapsed_s:.1} s ({rate:.0} per second), {failed} failed");
    to_exit_code(failed == 0)
}

fn run_worker(next: &AtomicU64, end: u64, options: SimulationOptions, reports: &Sender<RunReport>) {
    loop {
        let seed = next.fetch_add(1, Ordering::Relaxed);
        if seed >= end {
            return;
        }
        let Ok(report) = run_traced(seed, options) else { return };
        if reports.send(report).is_err() {
            return;
        }
    }
}

fn collect_reports(reports: &Receiver<RunReport>, count: u64) -> (usize, EventCounts) {
    let bar = ProgressBar::new(count);
    if !io::stderr().is_terminal() {
        bar.set_draw_target(ProgressDrawTarget::hidden());
    }
    if let Ok(style) = ProgressStyle::with_template("{wide_bar} {pos}/{len} {per_sec} {eta} {msg}")
    {
        bar.set_style(style);
    }
    let (mut failed, mut counts) = (0, EventCounts::new());
    for report in reports {
        bar.inc(1);
        for (name, count) in &report.counts {
            *counts.entry(name).or_default() += count;
        }
        if report.violations.is_empty() {
            continue;
        }
        for violation in report.violations.iter().take(1) {
            *counts.entry(violation.checker).or_default() += 1;
        }
        failed += 1;
        bar.set_message(format!("{failed} failed"));
        bar.suspend(|| match report.violations.first() {
            Some(first) if failed > MAX_SHOWN_TRACES => {
                println!("seed {}: {}: {}", report.seed, first.checker, first.message);
            }
            _ => println!("{report}\n"),
        });
    }
    bar.finish_and_clear();
    (failed, counts)
}
