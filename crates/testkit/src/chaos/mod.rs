//! Chaos: a started balancer under load while its servers die, hang, crawl and come back, half of
//! them at once at the worst.
//!
//! Clients create meetings and join them at given rates, whatever becomes of earlier calls, and go
//! where they are sent. A seed decides when they come and what goes wrong when. In the end all is
//! mended, and what clients were told is compared with what the simulated servers know.

mod audit;
mod call_records;
mod clients;
mod excuses;
mod faults;
mod monitor;
mod report;

pub use report::ChaosReport;

use crate::deployment::TestDeployment;
use crate::stores::TestStores;
use anyhow::Context as _;
use audit::Audit;
use clients::Clients;
use faults::{FaultLimits, NORMAL_LATENCY};
use monitor::MonitorLog;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Seconds between two polls.
const POLL_INTERVAL: (&str, &str) = ("POLL_INTERVAL", "2");

/// A run.
#[derive(Clone, Debug)]
pub struct ChaosPlan {
    /// Simulated servers.
    pub servers: usize,
    /// How many of them are well at any time, at least; half of them are in any case.
    pub min_healthy: usize,
    /// How many of them are in trouble on average.
    pub mean_faulty: f64,
    /// Creates in a second.
    pub creates_per_s: f64,
    /// The share of creates that are for meetings which have been created before.
    pub repeat_share: f64,
    /// Joins in a second.
    pub joins_per_s: f64,
    /// How long clients come.
    pub duration: Duration,
    /// What decides about arrivals and trouble.
    pub seed: u64,
    /// Settings of the balancer.
    pub settings: Vec<(String, String)>,
}

/// Time since the beginning of the run.
#[derive(Clone, Copy, Debug)]
struct Stopwatch(Instant);

impl Stopwatch {
    fn elapsed(self) -> Duration {
        self.0.elapsed()
    }

    fn instant_at(self, time: Duration) -> Instant {
        self.0 + time
    }
}

/// Runs the plan with the balancer of this binary and its state in these stores.
///
/// # Errors
/// When anything does not start, or the balancer ends.
pub async fn run(
    binary: &str,
    stores: &TestStores,
    plan: &ChaosPlan,
) -> anyhow::Result<ChaosReport> {
    let settings = plan.settings.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let settings: Vec<_> = [POLL_INTERVAL].into_iter().chain(settings).collect();
    let world = TestDeployment::with_stores(stores, binary, plan.servers, &settings).await?;
    world.pool.servers().iter().for_each(|server| server.set_latency(NORMAL_LATENCY));
    let watch = Stopwatch(Instant::now());
    let clients = Clients::new(world.product.port(), &world.pool, watch);
    let measure = FaultLimits {
        servers: plan.servers,
        max_concurrent: (plan.servers / 2).min(plan.servers.saturating_sub(plan.min_healthy)),
        mean_faulty: plan.mean_faulty,
        duration: plan.duration,
    };
    let mut seen = MonitorLog::default();
    let played = async {
        let strikes = faults::draw_faults(measure, plan.seed);
        let strikes = monitor::inject_faults(strikes, &world.pool, watch);
        let (strikes, worked) = tokio::join!(strikes, Arc::clone(&clients).send_calls(plan));
        worked?;
        let audit = Audit::run(&world, &clients, &strikes, watch).await;
        anyhow::Ok((strikes, audit))
    };
    let (strikes, audit) = tokio::select! {
        played = played => played?,
        error = seen.run(&world, watch) => {
            return Err(error).with_context(|| world.product.log());
        }
    };
    seen.check_once(&world, watch).await?;
    let ledger = std::mem::take(&mut *clients.records());
    let mut report = ChaosReport::new(plan.heading(stores), strikes, ledger, seen, audit);
    report.memory_mib = world.product.memory_kib("VmHWM")? / 1_024;
    report.log = world.product.log();
    Ok(report)
}

impl ChaosPlan {
    fn heading(&self, stores: &TestStores) -> String {
        let Self {
            servers,
            creates_per_s,
            joins_per_s,
            duration: length,
            seed,
            mean_faulty: troubled,
            ..
        } = self;
        format!(
            "{servers} servers, {} store, {creates_per_s} creates/s, {joins_per_s} joins/s, \
             {} s, {troubled} servers in trouble on average, seed {seed}",
            stores.kind(),
            length.as_secs(),
        )
    }
}
