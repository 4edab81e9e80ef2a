//! Chaos runs: a balancer process under load while simulated servers crash, hang, become slow and
//! come back, half of them at once in the middle of the run.
//!
//! Clients create and join meetings at given rates, whether or not earlier calls have been answered,
//! and follow the redirects of joins. A seed determines the times of the calls and the faults. In the
//! end all faults are cleared, and the responses that clients got are compared with the meetings on
//! the simulated servers.

mod audit;
mod call_records;
mod clients;
mod failure_causes;
mod faults;
mod monitor;
mod report;
mod report_text;

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

/// The balancer's setting for the time between two polls, in seconds.
const POLL_INTERVAL: (&str, &str) = ("POLL_INTERVAL", "2");

/// What happens in a chaos run.
#[derive(Clone, Debug)]
pub struct ChaosPlan {
    /// The number of simulated servers.
    pub servers: usize,
    /// The smallest number of servers without a fault at any time; at least half of them in any
    /// case.
    pub min_healthy: usize,
    /// The mean number of servers with a fault.
    pub mean_faulty: f64,
    /// Creates per second.
    pub creates_per_s: f64,
    /// The share of creates that repeat the create of an existing meeting.
    pub repeat_share: f64,
    /// Joins per second.
    pub joins_per_s: f64,
    /// How long clients send calls.
    pub duration: Duration,
    /// The seed of calls and faults.
    pub seed: u64,
    /// Additional settings of the balancer.
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

/// Executes a plan with the balancer of this binary and its state in these stores.
///
/// # Errors
/// If a process does not start, or the balancer ends during the run.
pub async fn run(
    binary: &str,
    stores: &TestStores,
    plan: &ChaosPlan,
) -> anyhow::Result<ChaosReport> {
    let settings = plan.settings.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let settings: Vec<_> = [POLL_INTERVAL].into_iter().chain(settings).collect();
    let deployment = TestDeployment::with_stores(stores, binary, plan.servers, &settings).await?;
    deployment.pool.servers().iter().for_each(|server| server.set_latency(NORMAL_LATENCY));
    let stopwatch = Stopwatch(Instant::now());
    let clients = Clients::new(deployment.product.port(), &deployment.pool, stopwatch);
    let limits = FaultLimits {
        servers: plan.servers,
        max_concurrent: (plan.servers / 2).min(plan.servers.saturating_sub(plan.min_healthy)),
        mean_faulty: plan.mean_faulty,
        duration: plan.duration,
    };
    let mut monitor_log = MonitorLog::default();
    let clients_and_audit = async {
        let faults = faults::draw_faults(limits, plan.seed);
        let faults = monitor::inject_faults(faults, &deployment.pool, stopwatch);
        let (faults, sent) = tokio::join!(faults, Arc::clone(&clients).send_calls(plan));
        sent?;
        let audit = Audit::run(&deployment, &clients, &faults, stopwatch).await;
        anyhow::Ok((faults, audit))
    };
    let (faults, audit) = tokio::select! {
        result = clients_and_audit => result?,
        error = monitor_log.run(&deployment, stopwatch) => {
            return Err(error).with_context(|| deployment.product.log());
        }
    };
    monitor_log.check_once(&deployment, stopwatch).await?;
    let records = std::mem::take(&mut *clients.records());
    let mut report = ChaosReport::new(plan.heading(stores), faults, records, monitor_log, audit);
    report.memory_mib = deployment.product.memory_kib("VmHWM")? / 1_024;
    report.log = deployment.product.log();
    Ok(report)
}

impl ChaosPlan {
    fn heading(&self, stores: &TestStores) -> String {
        let Self { servers, creates_per_s, joins_per_s, duration, seed, mean_faulty, .. } = self;
        format!(
            "{servers} servers, {} store, {creates_per_s} creates/s, {joins_per_s} joins/s, \
             {} s, {mean_faulty} faulty servers on average, seed {seed}",
            stores.kind(),
            duration.as_secs(),
        )
    }
}
