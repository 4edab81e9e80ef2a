//! Polls servers that failed lately, twelve times in every poll interval, so that it is known sooner
//! whether they are offline or back.

use std::time::Duration;

use app::poll::Rechecks;
use app::ports::StoreError;
use app::{App, store_recovery};

use super::runner::{JobResult, NextRun, PeriodicJob, Schedule};

/// Rechecks in one poll interval.
const RECHECKS_PER_INTERVAL: u32 = 12;

pub(super) struct FailedServerRechecks {
    app: App,
    /// The servers that are being rechecked: none is polled twice at the same time.
    rechecks: Rechecks,
    interval: Duration,
}

impl FailedServerRechecks {
    pub(super) fn new(app: App, poll_interval: Duration) -> Self {
        let interval = poll_interval / RECHECKS_PER_INTERVAL;
        Self { app, rechecks: Rechecks::default(), interval }
    }
}

impl PeriodicJob for FailedServerRechecks {
    fn schedule(&self) -> Schedule {
        Schedule {
            name: "recheck",
            failure: "recheck of failed servers failed",
            interval: self.interval,
            // The first poll cycle begins at the start of the process.
            initial_delay: self.interval,
            retry_delay: self.interval,
            shared: true,
            interruptible: false,
        }
    }

    async fn run(&mut self, _run_number: u64) -> JobResult {
        self.rechecks.start_due(&self.app).await?;
        Ok(NextRun::Scheduled)
    }

    /// More often than before poll cycles, so that the backup has a new server long before the next
    /// poll of all servers.
    async fn before_claim(&mut self) -> Result<(), StoreError> {
        store_recovery::save_or_recover(&self.app, false).await
    }
}
