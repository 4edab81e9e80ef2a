//! The load driver: measures a built balancer against a baseline in the same run.
//!
//! This process contains the clients and the simulated servers. The balancer is a child process, and
//! so is the baseline, a bare hyper server with a constant response. Rounds of both alternate, since
//! the speed of a machine changes over time while the ratio of two consecutive rounds hardly does.

mod baseline;
mod client;
mod clock;
mod measurements;
mod pool_process;
mod product;
mod report;
mod round;
mod server_process;
mod setup;
mod signing;
mod stats;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use bench::{Store, find_binary, parse_setting, run_until_signal};
use clap::{Args, Parser, Subcommand, ValueEnum};
use testkit::private::Persistence;
use testkit::stores::TestStores;

use measurements::{Measurement, MeasurementPlan};
use product::Program;
use report::ReportRow;

/// Explanations below the table.
const NOTES: &str = "\
The baseline is a bare hyper server with a constant response in a process of its own; of getMeetings, \
one that sends the same bytes; of poll all, a plain client that fetches the same lists. One client at \
a time sends getMeetings. Its target is the time of one server called directly, times a factor, plus \
the time of the same call while all servers answer at once, which is the time of merging the lists. \
The baseline of replicas is one process of the balancer, called over as many connections.";

/// Measures a built scalelite against a baseline in the same run.
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
    /// Serve as the baseline.
    #[command(hide = true)]
    Baseline(baseline::Options),
    /// Serve as BBB servers.
    #[command(hide = true)]
    Pool(pool_process::Options),
}

#[derive(Args, Debug)]
struct Options {
    /// The balancer's binary [default: scalelite in the directory of this program].
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
    /// Measure short rounds and fewer joins, to see whether everything works.
    #[arg(long)]
    quick: bool,
    /// Print the table as Markdown.
    #[arg(long)]
    markdown: bool,
    /// Run only these measurements.
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Measurement>,
    /// Connections that send calls at the same time.
    #[arg(long, default_value_t = 32, value_parser = parse_count)]
    connections: usize,
    /// Rounds of balancer and baseline each.
    #[arg(long, default_value_t = 5, value_parser = parse_count)]
    rounds: usize,
    /// The balancer's stores; their servers are started for the run and write to disk.
    #[arg(long, value_enum, value_delimiter = ',', default_value = "embedded")]
    store: Vec<Store>,
    /// Have the balancer log warnings and errors only.
    #[arg(long)]
    quiet_log: bool,
    /// An additional setting of the balancer.
    #[arg(long, value_name = "NAME=VALUE", value_parser = parse_setting)]
    setting: Vec<(String, String)>,
}

fn parse_count(text: &str) -> Result<usize, String> {
    let number: usize = text.parse().map_err(|_| "not a number".to_owned())?;
    (1..=1_000).contains(&number).then_some(number).ok_or_else(|| "not from 1 to 1000".to_owned())
}

impl Options {
    async fn build_plan(&self, store: Store) -> anyhow::Result<MeasurementPlan> {
        let binary = find_binary(self.binary.clone())?;
        let quiet = self.quiet_log.then(|| ("RAILS_LOG_LEVEL".to_owned(), "warn".to_owned()));
        let settings = quiet.into_iter().chain(self.setting.clone()).collect();
        let stores = TestStores::start_with(store.kind(), Persistence::EverySecond).await?;
        let (round_ms, joins) = if self.quick { (300, 10_000) } else { (2_000, 100_000) };
        Ok(MeasurementPlan {
            program: Program { binary, settings, stores },
            connections: self.connections,
            rounds: self.rounds,
            round_duration: Duration::from_millis(round_ms),
            memory_joins: joins,
        })
    }

    fn selected_measurements(&self) -> &[Measurement] {
        if self.only.is_empty() { Measurement::value_variants() } else { &self.only }
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    let result = match cli.command {
        Some(Command::Baseline(options)) => baseline::serve(options).await.map(|()| true),
        Some(Command::Pool(options)) => pool_process::serve(options).await.map(|()| true),
        None => run_until_signal(measure(&cli.options)).await,
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("load: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Measures everything and prints the table; returns whether every response was valid. Targets are
/// reported but not enforced, since they are for a machine without other load.
async fn measure(options: &Options) -> anyhow::Result<bool> {
    let mut rows = Vec::new();
    let mut description = String::new();
    for store in &options.store {
        let plan = options.build_plan(*store).await?;
        let measured = measure_store(&plan, options.selected_measurements()).await;
        // Rows name their store, unless only the embedded store is measured.
        let label = (options.store != [Store::Embedded]).then(|| plan.program.stores.kind());
        rows.extend(measured.into_iter().map(|row| match label {
            Some(kind) => ReportRow { name: format!("{kind}: {}", row.name), ..row },
            None => row,
        }));
        description = describe_plan(&plan);
    }
    println!("{description}\n");
    println!("{}\n\n{NOTES}", report::to_table(&rows, options.markdown));
    for row in &rows {
        if let Some(example) = &row.failure_example {
            println!("\n{}: {} failed, for example: {example}", row.name, row.failed);
        }
    }
    Ok(rows.iter().all(|row| row.failed == 0))
}

/// Runs the measurements on one kind of store.
async fn measure_store(plan: &MeasurementPlan, measurements: &[Measurement]) -> Vec<ReportRow> {
    let mut rows = Vec::new();
    for measurement in measurements {
        let name = measurement_name(*measurement);
        eprintln!("measuring {name}, {} ...", plan.program.stores.kind());
        match measurement.run(plan).await {
            Ok(measured) => rows.extend(measured),
            Err(error) => rows.push(ReportRow::from_error(name, &error)),
        }
    }
    rows
}

fn measurement_name(measurement: Measurement) -> String {
    let value = measurement.to_possible_value();
    value.map_or_else(String::new, |value| value.get_name().to_owned())
}

fn describe_plan(plan: &MeasurementPlan) -> String {
    format!(
        "{}; {} connections; medians of {} rounds of {:.1} s, balancer and baseline alternating; \
         clients and simulated servers run on the same machine.",
        report::describe_machine(),
        plan.connections,
        plan.rounds,
        plan.round_duration.as_secs_f64(),
    )
}
