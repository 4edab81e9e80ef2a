//! Polls all servers once in every interval, and reads their versions in every tenth cycle.

use std::time::Duration;

use app::health::POLL_JOB;
use app::ports::StoreError;
use app::{App, poll, store_recovery};

use super::runner::{JobResult, NextRun, PeriodicJob, Schedule};

/// Wait after the store failed.
const RETRY_DELAY: Duration = Duration::from_secs(1);
/// Number of poll cycles in which the versions of all servers are read once.
const CYCLES_PER_VERSION: u64 = 10;

pub(super) struct PollCycles {
    pub(super) app: App,
    pub(super) interval: Duration,
}

impl PeriodicJob for PollCycles {
    fn schedule(&self) -> Schedule {
        Schedule {
            name: POLL_JOB,
            failure: "poll cycle failed",
            interval: self.interval,
            initial_delay: Duration::ZERO,
            retry_delay: RETRY_DELAY,
            shared: true,
            // What is lost is read again by the next poll, and a silent server takes long.
            interruptible: true,
        }
    }

    async fn run(&mut self, run_number: u64) -> JobResult {
        let with_versions = run_number % CYCLES_PER_VERSION == 1;
        let summary = poll::poll_all_servers(&self.app, with_versions, Some(run_number)).await?;
        let (answered, failed) = (summary.answered, summary.failed);
        tracing::debug!(answered, failed, forgotten = summary.forgotten, "poll cycle finished");
        Ok(NextRun::Scheduled)
    }

    async fn before_claim(&mut self) -> Result<(), StoreError> {
        store_recovery::save_or_recover(&self.app, true).await
    }
}
