//! Chaos runs on demand: clients create and join meetings while servers fail; prints a report.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use bench::{Store, find_binary, parse_setting, run_until_signal};
use clap::Parser;
use testkit::chaos::{ChaosPlan, run};
use testkit::private::Persistence;
use testkit::stores::TestStores;

/// Has clients create and join meetings while servers crash, hang, become slow and come back.
#[derive(Debug, Parser)]
#[command(name = "chaos")]
struct Options {
    /// The balancer's binary [default: scalelite in the directory of this program].
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
    /// The balancer's store; its servers are started for the run and write to disk.
    #[arg(long, value_enum, default_value = "embedded")]
    store: Store,
    /// Number of simulated servers.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u16).range(2..=500))]
    servers: u16,
    /// Smallest number of servers without a fault at any time; at least half of them in any case.
    #[arg(long, default_value_t = 1)]
    min_healthy: u16,
    /// Mean number of servers with a fault.
    #[arg(long, default_value_t = 5.0)]
    mean_faulty: f64,
    /// Creates per second.
    #[arg(long, default_value_t = 50.0)]
    creates: f64,
    /// Share of creates that repeat the create of an existing meeting.
    #[arg(long, default_value_t = 0.1)]
    repeat_share: f64,
    /// Joins per second.
    #[arg(long, default_value_t = 200.0)]
    joins: f64,
    /// How long clients send calls.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Seed of calls and faults.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// An additional setting of the balancer.
    #[arg(long, value_name = "NAME=VALUE", value_parser = parse_setting)]
    setting: Vec<(String, String)>,
    /// Write the balancer's log to this file.
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run_until_signal(run_and_report(&Options::parse())).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("chaos: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Returns whether all requirements were met.
async fn run_and_report(options: &Options) -> anyhow::Result<bool> {
    let binary = find_binary(options.binary.clone())?;
    let stores = TestStores::start_with(options.store.kind(), Persistence::EverySecond).await?;
    let plan = ChaosPlan {
        servers: options.servers.into(),
        min_healthy: options.min_healthy.into(),
        mean_faulty: options.mean_faulty,
        creates_per_s: options.creates,
        repeat_share: options.repeat_share,
        joins_per_s: options.joins,
        duration: Duration::from_secs(options.seconds),
        seed: options.seed,
        settings: options.setting.clone(),
    };
    let report = run(&binary.to_string_lossy(), &stores, &plan).await?;
    if let Some(file) = &options.log {
        std::fs::write(file, report.log())?;
    }
    print!("{report}");
    Ok(report.fatal_findings().is_empty() && report.unmet_requirements().is_empty())
}
