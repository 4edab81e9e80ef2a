//! The measurements and what they share.

mod calls;
mod consoles;
mod import;
mod large;
mod list;
mod playback;
mod poll;
mod process;
mod replicas;

use crate::client::ExpectedResponse;
use crate::product::Program;
use crate::report::{ReportRow, format_rate};
use crate::round::{RequestLoad, RequestSource};
use crate::stats::{Comparison, latency_quantile_ms, median_rate};
use clap::ValueEnum;
use std::time::Duration;

/// A measurement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Measurement {
    /// Joins per second.
    Join,
    /// isMeetingRunning calls per second.
    Running,
    /// Creates per second.
    Create,
    /// getMeetings over servers with a latency of 20 ms.
    List,
    /// A poll of 200 servers with a latency of 20 ms.
    Poll,
    /// Polls, creates and memory with 2,000 servers; getMeetings for several clients.
    Large,
    /// Memory with 500 servers and 20 open consoles; joins while metrics, audit and a console are read.
    Consoles,
    /// Memory after many joins.
    Memory,
    /// Time from the start of the process to its first response.
    Start,
    /// Joins through two processes on the same stores, compared with one.
    Replicas,
    /// Import of a recording, compared with tar and mv.
    Import,
    /// Download of a large file of a recording, compared with nginx.
    Playback,
}

/// The options of all measurements.
#[derive(Clone, Debug)]
pub(crate) struct MeasurementPlan {
    pub(crate) program: Program,
    /// Connections that send calls at the same time.
    pub(crate) connections: usize,
    /// Rounds of balancer and baseline each, whose medians are reported.
    pub(crate) rounds: usize,
    pub(crate) round_duration: Duration,
    /// Number of joins before memory is measured.
    pub(crate) memory_joins: usize,
}

impl Measurement {
    pub(crate) async fn run(self, plan: &MeasurementPlan) -> anyhow::Result<Vec<ReportRow>> {
        match self {
            Self::Join => calls::measure_join(plan).await,
            Self::Running => calls::measure_running(plan).await,
            Self::Create => calls::measure_create(plan).await,
            Self::List => list::run(plan).await,
            Self::Poll => poll::run(plan).await,
            Self::Large => large::run(plan).await,
            Self::Consoles => consoles::run(plan).await,
            Self::Memory => process::measure_memory(plan).await,
            Self::Start => process::measure_start(plan).await,
            Self::Replicas => replicas::run(plan).await,
            Self::Import => import::run(plan).await,
            Self::Playback => playback::run(plan).await,
        }
    }
}

impl MeasurementPlan {
    fn build_load(&self, sources: Vec<RequestSource>, expected: ExpectedResponse) -> RequestLoad {
        RequestLoad::new(sources, expected, self.connections)
    }

    /// Measures alternating rounds of both, after a short round of each that does not count.
    async fn compare(
        &self,
        product: &RequestLoad,
        baseline: &RequestLoad,
    ) -> anyhow::Result<Comparison> {
        let mut comparison = Comparison::default();
        for load in [baseline, product] {
            comparison.warm_up.push(load.run_round(self.round_duration / 4).await?);
        }
        for _ in 0..self.rounds {
            comparison.baseline.push(baseline.run_round(self.round_duration).await?);
            comparison.product.push(product.run_round(self.round_duration).await?);
        }
        Ok(comparison)
    }
}

/// Returns the row of a comparison of rates.
fn throughput_row(name: impl Into<String>, comparison: &Comparison) -> ReportRow {
    let (failed, failure_example) = comparison.count_failures();
    ReportRow {
        name: name.into(),
        product: format_rate(median_rate(&comparison.product)),
        baseline: format_rate(median_rate(&comparison.baseline)),
        ratio: Some(comparison.ratio()),
        target: None,
        p50_p99_ms: Some((
            latency_quantile_ms(&comparison.product, 0.5),
            latency_quantile_ms(&comparison.product, 0.99),
        )),
        failed,
        failure_example,
    }
}
