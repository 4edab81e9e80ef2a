//! The soak: two replicas work for an hour under steady load, with failing servers, imports and a restart every few minutes. It samples memory,
//! descriptors, the size of the store and latencies, draws them, and compares the end with the time after the first minutes: what grows
//! without end would show.

mod load;
mod plot;
mod samples;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use bbb_sim::{BbbPool, PoolOptions};
use bench::{Store, find_binary, run_until_signal};
use clap::Parser;
use testkit::private::Persistence;
use testkit::product::{Product, Setup};
use testkit::samples::recording_dir_settings;
use testkit::stores::TestStores;
use tokio::sync::Mutex;
use tokio::time::{Instant, interval};

use self::load::{Clients, LoadPlan};
use self::samples::{Figures, compare, take_figures};

/// Works for a long time, and tells what grows.
#[derive(Debug, Parser)]
#[command(name = "soak")]
struct Options {
    /// The balancer's binary [default: scalelite in the directory of this program].
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
    /// The balancer's stores.
    #[arg(long, value_enum, default_value = "redis")]
    store: Store,
    /// How long clients send calls.
    #[arg(long, default_value_t = 60)]
    minutes: u64,
    /// The minutes at the beginning that do not count.
    #[arg(long, default_value_t = 10)]
    warm_up: u64,
    /// Creates of new meetings per second.
    #[arg(long, default_value_t = 200)]
    creates: u32,
    /// Simulated servers.
    #[arg(long, default_value_t = 20)]
    servers: usize,
    /// Seconds that each meeting lasts.
    #[arg(long, default_value_t = 20)]
    meeting_seconds: u64,
    /// Minutes between two restarts of a replica.
    #[arg(long, default_value_t = 5)]
    restart_minutes: u64,
    /// Write all samples to this file (CSV).
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
    /// Draw the samples into this file (SVG).
    #[arg(long, value_name = "FILE")]
    plot: Option<PathBuf>,
}

/// The replicas; one is replaced at a restart.
pub(crate) type Replicas = Arc<Vec<Mutex<Product>>>;

/// Time between two samples.
const SAMPLE_INTERVAL: Duration = Duration::from_secs(10);

#[tokio::main]
async fn main() -> ExitCode {
    match run_until_signal(run(&Options::parse())).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("soak: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Returns whether nothing has grown without end.
async fn run(options: &Options) -> anyhow::Result<bool> {
    let binary = find_binary(options.binary.clone())?;
    let stores = TestStores::start_with(options.store.kind(), Persistence::EverySecond).await?;
    let pool_options = PoolOptions { servers: options.servers, ..PoolOptions::default() };
    let pool = Arc::new(BbbPool::start(pool_options).await?);
    let mut setup = Setup::new(&binary.to_string_lossy())?
        .with_stores(&stores)
        .with_setting("POLL_INTERVAL", "10")
        .with_setting("RECORDING_IMPORT_POLL_INTERVAL", "2")
        .with_setting("RUST_LOG", "warn,scalelite::lifecycle=info");
    for (name, folder) in recording_dir_settings(setup.folder()) {
        std::fs::create_dir_all(&folder)?;
        setup = setup.with_setting(name, &folder.display().to_string());
    }
    let replica_count = if options.store == Store::Embedded { 1 } else { 2 };
    let mut replicas = Vec::new();
    for number in 0..replica_count {
        replicas.push(Mutex::new(setup.replica(number).start().await?));
    }
    for server in pool.servers() {
        replicas[0].lock().await.add_simulated_server(server).await?;
    }
    let replicas: Replicas = Arc::new(replicas);
    let plan = LoadPlan {
        creates_per_s: options.creates,
        meeting_time: Duration::from_secs(options.meeting_seconds),
        restart_interval: Duration::from_secs(options.restart_minutes * 60),
        spool: setup.folder().join("spool"),
    };
    let clients = Clients::start(&plan, &replicas, &pool).await;
    let figures = sample(options, &setup, &replicas, &clients).await?;
    clients.stop().await;
    report(options, &figures)
}

/// Samples until the time is over.
async fn sample(
    options: &Options,
    setup: &Setup,
    replicas: &Replicas,
    clients: &Clients,
) -> anyhow::Result<Vec<Figures>> {
    let started = Instant::now();
    let duration = Duration::from_secs(options.minutes * 60);
    let mut ticks = interval(SAMPLE_INTERVAL);
    ticks.tick().await;
    let mut all = Vec::new();
    while started.elapsed() < duration {
        ticks.tick().await;
        let figures = take_figures(started.elapsed(), setup, replicas, clients).await;
        eprintln!("{figures}");
        all.push(figures);
    }
    Ok(all)
}

fn report(options: &Options, figures: &[Figures]) -> anyhow::Result<bool> {
    if let Some(file) = &options.csv {
        std::fs::write(file, samples::to_csv(figures))?;
    }
    if let Some(file) = &options.plot {
        std::fs::write(file, plot::draw(figures))?;
    }
    let warm_up = Duration::from_secs(options.warm_up * 60);
    let comparison = compare(figures, warm_up);
    println!("{comparison}");
    Ok(comparison.is_flat())
}
