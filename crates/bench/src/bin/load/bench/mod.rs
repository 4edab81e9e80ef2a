//! What is measured, one after the other.

mod calls;
mod import;
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

/// The measurements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Bench {
    /// Sending users into their meetings.
    Join,
    /// isMeetingRunning.
    Running,
    /// Creating meetings.
    Create,
    /// getMeetings over servers that are 20 ms away.
    List,
    /// A poll of 200 servers that are 20 ms away.
    Poll,
    /// Memory after many joins.
    Memory,
    /// From the start of the process to its first answer.
    Start,
    /// Joins through two processes on one state, compared with one.
    Replicas,
    /// Bringing a recording in, compared with tar and mv.
    Import,
    /// Loading a large file of a recording, compared with nginx.
    Playback,
}

/// How it is measured.
#[derive(Clone, Debug)]
pub(crate) struct BenchPlan {
    pub(crate) program: Program,
    /// Connections that ask for joins and the like.
    pub(crate) connections: usize,
    /// Rounds of balancer and floor each; the medians of these are reported.
    pub(crate) rounds: usize,
    pub(crate) round_duration: Duration,
    /// Joins before memory is looked at.
    pub(crate) memory_joins: usize,
}

impl Bench {
    pub(crate) async fn run(self, plan: &BenchPlan) -> anyhow::Result<Vec<ReportRow>> {
        match self {
            Self::Join => calls::measure_join(plan).await,
            Self::Running => calls::measure_running(plan).await,
            Self::Create => calls::measure_create(plan).await,
            Self::List => list::run(plan).await,
            Self::Poll => poll::run(plan).await,
            Self::Memory => process::measure_memory(plan).await,
            Self::Start => process::measure_start(plan).await,
            Self::Replicas => replicas::run(plan).await,
            Self::Import => import::run(plan).await,
            Self::Playback => playback::run(plan).await,
        }
    }
}

impl BenchPlan {
    fn build_load(&self, aims: Vec<RequestSource>, expect: ExpectedResponse) -> RequestLoad {
        RequestLoad::new(aims, expect, self.connections)
    }

    /// Rounds of both in turn, after a short one of each that does not count.
    async fn compare(
        &self,
        product: &RequestLoad,
        floor: &RequestLoad,
    ) -> anyhow::Result<Comparison> {
        let mut duel = Comparison::default();
        for load in [floor, product] {
            duel.warm_up.push(load.run_round(self.round_duration / 4).await?);
        }
        for _ in 0..self.rounds {
            duel.floor.push(floor.run_round(self.round_duration).await?);
            duel.product.push(product.run_round(self.round_duration).await?);
        }
        Ok(duel)
    }
}

/// A line about throughput.
fn throughput_row(what: impl Into<String>, duel: &Comparison) -> ReportRow {
    let (failed, complaint) = duel.count_failures();
    ReportRow {
        name: what.into(),
        product: format_rate(median_rate(&duel.product)),
        floor: format_rate(median_rate(&duel.floor)),
        ratio: Some(duel.ratio()),
        target: None,
        p50_p99_ms: Some((
            latency_quantile_ms(&duel.product, 0.5),
            latency_quantile_ms(&duel.product, 0.99),
        )),
        failed,
        failure_example: complaint,
    }
}
