//! What is measured, one after the other.

mod calls;
mod import;
mod list;
mod playback;
mod poll;
mod process;
mod replicas;

use crate::client::Expect;
use crate::product::Program;
use crate::report::{Row, per_second};
use crate::round::{Aim, Load};
use crate::stats::{Duel, rate, within_ms};
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
pub(crate) struct Plan {
    pub(crate) program: Program,
    /// Connections that ask for joins and the like.
    pub(crate) connections: usize,
    /// Rounds of balancer and floor each; the medians of these are reported.
    pub(crate) rounds: usize,
    pub(crate) round: Duration,
    /// Joins before memory is looked at.
    pub(crate) joins: usize,
}

impl Bench {
    pub(crate) async fn run(self, plan: &Plan) -> anyhow::Result<Vec<Row>> {
        match self {
            Self::Join => calls::join(plan).await,
            Self::Running => calls::running(plan).await,
            Self::Create => calls::create(plan).await,
            Self::List => list::run(plan).await,
            Self::Poll => poll::run(plan).await,
            Self::Memory => process::memory(plan).await,
            Self::Start => process::start(plan).await,
            Self::Replicas => replicas::run(plan).await,
            Self::Import => import::run(plan).await,
            Self::Playback => playback::run(plan).await,
        }
    }
}

impl Plan {
    fn load(&self, aims: Vec<Aim>, expect: Expect) -> Load {
        Load::new(aims, expect, self.connections)
    }

    /// Rounds of both in turn, after a short one of each that does not count.
    async fn duel(&self, product: &Load, floor: &Load) -> anyhow::Result<Duel> {
        let mut duel = Duel::default();
        for load in [floor, product] {
            duel.warm_up.push(load.round(self.round / 4).await?);
        }
        for _ in 0..self.rounds {
            duel.floor.push(floor.round(self.round).await?);
            duel.product.push(product.round(self.round).await?);
        }
        Ok(duel)
    }
}

/// A line about throughput.
fn row(what: impl Into<String>, duel: &Duel) -> Row {
    let (failed, complaint) = duel.failures();
    Row {
        what: what.into(),
        product: per_second(rate(&duel.product)),
        floor: per_second(rate(&duel.floor)),
        ratio: Some(duel.ratio()),
        target: None,
        within_ms: Some((within_ms(&duel.product, 0.5), within_ms(&duel.product, 0.99))),
        failed,
        complaint,
    }
}
