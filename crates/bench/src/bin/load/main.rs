//! The load driver: measures a built balancer against a floor in the same run.
//!
//! This process holds the clients and the simulated servers; the balancer is a child process, and
//! so is the floor, a bare hyper server with a constant answer. Rounds of both take turns, since
//! the speed of a machine changes from moment to moment while the ratio of neighbours does not.

mod bench;
mod child;
mod client;
mod floor;
mod product;
mod report;
mod round;
mod setup;
mod signing;
mod stats;
mod stopwatch;

use anyhow::Context;
use bench::{Bench, BenchPlan};
use clap::{Args, Parser, Subcommand, ValueEnum};
use product::Program;
use report::ReportRow;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;
use testkit::private::Persistence;
use testkit::stores::{StoreKind, TestStores};
use tokio::signal::unix::{SignalKind, signal};

/// What the table does not say by itself.
const NOTES: &str = "\
The floor is a bare hyper server with a constant answer in a process of its own; of getMeetings, one \
that sends the same bytes; of poll all, a plain client that fetches the same lists. One client at a \
time asks for getMeetings. Its target is made of the time of one server asked directly and of the \
time of the same call while all servers answer at once, which is the merge. The floor of replicas is \
one process of the balancer alone, asked by as many connections.";

/// Measures a built scalelite against a floor in the same run.
#[derive(Debug, Parser)]
#[command(name = "load", args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    options: Options,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Be the floor.
    #[command(hide = true)]
    Floor(floor::Options),
}

#[derive(Args, Debug)]
struct Options {
    /// The program to measure [default: scalelite beside this program].
    #[arg(long, value_name = "FILE")]
    bin: Option<PathBuf>,
    /// Short rounds and fewer joins, to see whether all works.
    #[arg(long)]
    quick: bool,
    /// Print the table as Markdown.
    #[arg(long)]
    markdown: bool,
    /// Measure only these.
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Bench>,
    /// Connections that ask for joins and the like.
    #[arg(long, default_value_t = 32, value_parser = parse_count)]
    connections: usize,
    /// Rounds of balancer and floor each.
    #[arg(long, default_value_t = 5, value_parser = parse_count)]
    rounds: usize,
    /// Where the balancer keeps its state; servers are started for it, and write to disk.
    #[arg(long, value_enum, value_delimiter = ',', default_value = "embedded")]
    store: Vec<Store>,
    /// Let the balancer log warnings only.
    #[arg(long)]
    quiet_log: bool,
    /// A setting for the balancer.
    #[arg(long, value_name = "NAME=VALUE", value_parser = parse_setting)]
    env: Vec<(String, String)>,
}

/// Where state is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Store {
    /// In a file.
    Embedded,
    /// In Redis, with an append-only file that is synchronised every second.
    Redis,
    /// In PostgreSQL, with fsync.
    Postgres,
}

impl Store {
    fn kind(self) -> StoreKind {
        match self {
            Self::Embedded => StoreKind::Embedded,
            Self::Redis => StoreKind::RedisAndPostgres,
            Self::Postgres => StoreKind::Postgres,
        }
    }
}

fn parse_count(text: &str) -> Result<usize, String> {
    let number: usize = text.parse().map_err(|_| "not a number".to_owned())?;
    (1..=1_000).contains(&number).then_some(number).ok_or_else(|| "not from 1 to 1000".to_owned())
}

fn parse_setting(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("no equals sign")?;
    Ok((name.to_owned(), value.to_owned()))
}

impl Options {
    async fn build_plan(&self, store: Store) -> anyhow::Result<BenchPlan> {
        let beside = || anyhow::Ok(std::env::current_exe()?.with_file_name("scalelite"));
        let binary = self.bin.clone().map_or_else(beside, Ok)?;
        let binary = binary.canonicalize().with_context(|| binary.display().to_string())?;
        let quiet = self.quiet_log.then(|| ("RAILS_LOG_LEVEL".to_owned(), "warn".to_owned()));
        let settings = quiet.into_iter().chain(self.env.clone()).collect();
        let stores = TestStores::start_with(store.kind(), Persistence::EverySecond).await?;
        let (round_ms, joins) = if self.quick { (300, 10_000) } else { (2_000, 100_000) };
        Ok(BenchPlan {
            program: Program { binary, settings, stores },
            connections: self.connections,
            rounds: self.rounds,
            round_duration: Duration::from_millis(round_ms),
            memory_joins: joins,
        })
    }

    fn selected_benches(&self) -> &[Bench] {
        if self.only.is_empty() { Bench::value_variants() } else { &self.only }
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    let outcome = match cli.command {
        Some(Command::Floor(options)) => floor::serve(options).await.map(|()| true),
        None => run_until_interrupted(&cli.options).await,
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("load: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Measures until told to stop; what runs then is dropped, and with it all children and folders.
async fn run_until_interrupted(options: &Options) -> anyhow::Result<bool> {
    let mut interrupted = signal(SignalKind::interrupt())?;
    let mut terminated = signal(SignalKind::terminate())?;
    tokio::select! {
        outcome = measure(options) => outcome,
        _ = interrupted.recv() => anyhow::bail!("interrupted"),
        _ = terminated.recv() => anyhow::bail!("terminated"),
    }
}

/// Returns whether every answer was as it should be. Targets are reported, not enforced: they are
/// for quiet machines.
async fn measure(options: &Options) -> anyhow::Result<bool> {
    let mut rows = Vec::new();
    let mut said = String::new();
    for store in &options.store {
        let plan = options.build_plan(*store).await?;
        let measured = measure_store(&plan, options.selected_benches()).await;
        // The file of its own is what goes without saying, if nothing else is measured.
        let label = (options.store != [Store::Embedded]).then(|| plan.program.stores.kind());
        rows.extend(measured.into_iter().map(|row| match label {
            Some(kind) => ReportRow { name: format!("{kind}: {}", row.name), ..row },
            None => row,
        }));
        said = describe_plan(&plan);
    }
    println!("{said}\n");
    println!("{}\n\n{NOTES}", report::to_table(&rows, options.markdown));
    for row in &rows {
        if let Some(complaint) = &row.failure_example {
            println!("\n{}: failed {}, for example: {complaint}", row.name, row.failed);
        }
    }
    Ok(rows.iter().all(|row| row.failed == 0))
}

/// All measurements on one kind of store.
async fn measure_store(plan: &BenchPlan, benches: &[Bench]) -> Vec<ReportRow> {
    let mut rows = Vec::new();
    for bench in benches {
        eprintln!("measuring {}, {} ...", bench_name(*bench), plan.program.stores.kind());
        match bench.run(plan).await {
            Ok(measured) => rows.extend(measured),
            Err(error) => rows.push(ReportRow::from_error(bench_name(*bench), &error)),
        }
    }
    rows
}

fn bench_name(bench: Bench) -> String {
    let value = bench.to_possible_value();
    value.map_or_else(String::new, |value| value.get_name().to_owned())
}

fn describe_plan(plan: &BenchPlan) -> String {
    format!(
        "{}; {} connections; medians of {} rounds of {:.1} s, balancer and floor in turn; clients \
         and simulated servers run on the same machine.",
        report::describe_machine(),
        plan.connections,
        plan.rounds,
        plan.round_duration.as_secs_f64(),
    )
}
