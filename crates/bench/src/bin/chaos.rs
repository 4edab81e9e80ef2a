//! The chaos run by hand, as long and as hard as one likes.

use anyhow::Context as _;
use clap::{Parser, ValueEnum};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;
use testkit::chaos::{ChaosPlan, run};
use testkit::private::Persistence;
use testkit::stores::{StoreKind, TestStores};
use tokio::signal::unix::{SignalKind, signal};

/// Has clients create and join meetings while servers die, hang, crawl and come back.
#[derive(Debug, Parser)]
#[command(name = "chaos")]
struct Options {
    /// The balancer [default: scalelite beside this program].
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
    /// Where the balancer keeps its state; servers are started for it, and write to disk.
    #[arg(long, value_enum, default_value = "embedded")]
    store: Store,
    /// Simulated servers.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u16).range(2..=500))]
    servers: u16,
    /// Servers that are well at any time, at least; half of them are in any case.
    #[arg(long, default_value_t = 1)]
    well: u16,
    /// Servers in trouble on average.
    #[arg(long, default_value_t = 5.0)]
    troubled: f64,
    /// Creates in a second.
    #[arg(long, default_value_t = 50.0)]
    creates: f64,
    /// The share of creates that are repeated ones.
    #[arg(long, default_value_t = 0.1)]
    repeated: f64,
    /// Joins in a second.
    #[arg(long, default_value_t = 200.0)]
    joins: f64,
    /// How long clients come.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Decides about arrivals and trouble.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// A setting for the balancer.
    #[arg(long, value_name = "NAME=VALUE", value_parser = parse_setting)]
    env: Vec<(String, String)>,
    /// Where to leave the balancer's log.
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
}

/// Where state is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Store {
    /// In a file.
    Embedded,
    /// In Redis, recordings in PostgreSQL.
    Redis,
    /// In PostgreSQL.
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

fn parse_setting(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("no equals sign")?;
    Ok((name.to_owned(), value.to_owned()))
}

#[tokio::main]
async fn main() -> ExitCode {
    match run_until_interrupted(&Options::parse()).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("chaos: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Runs until told to stop; what runs then is dropped, and with it all children and folders.
async fn run_until_interrupted(options: &Options) -> anyhow::Result<bool> {
    let mut interrupted = signal(SignalKind::interrupt())?;
    let mut terminated = signal(SignalKind::terminate())?;
    tokio::select! {
        outcome = run_and_report(options) => outcome,
        _ = interrupted.recv() => anyhow::bail!("interrupted"),
        _ = terminated.recv() => anyhow::bail!("terminated"),
    }
}

/// Returns whether all promises were kept.
async fn run_and_report(options: &Options) -> anyhow::Result<bool> {
    let beside = || anyhow::Ok(std::env::current_exe()?.with_file_name("scalelite"));
    let binary = options.binary.clone().map_or_else(beside, Ok)?;
    let binary = binary.canonicalize().with_context(|| binary.display().to_string())?;
    let stores = TestStores::start_with(options.store.kind(), Persistence::EverySecond).await?;
    let plan = ChaosPlan {
        servers: options.servers.into(),
        min_healthy: options.well.into(),
        mean_faulty: options.troubled,
        creates_per_s: options.creates,
        repeat_share: options.repeated,
        joins_per_s: options.joins,
        duration: Duration::from_secs(options.seconds),
        seed: options.seed,
        settings: options.env.clone(),
    };
    let report = run(&binary.to_string_lossy(), &stores, &plan).await?;
    if let Some(file) = &options.log {
        std::fs::write(file, report.log())?;
    }
    print!("{report}");
    Ok(report.fatal_findings().is_empty() && report.unmet_requirements().is_empty())
}
