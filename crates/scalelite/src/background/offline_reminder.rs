//! Once an hour the log names the servers that are offline.

use std::time::Duration;

use app::state::REMINDER_INTERVAL;
use app::{App, poll};

use super::runner::{JobResult, NextRun, PeriodicJob, Schedule};

/// Wait before the first run, in which servers are polled for the first time.
const INITIAL_DELAY: Duration = Duration::from_secs(60);

pub(super) struct OfflineReminder {
    pub(super) app: App,
}

impl PeriodicJob for OfflineReminder {
    fn schedule(&self) -> Schedule {
        Schedule {
            name: "offline_reminder",
            failure: "offline servers not listed",
            interval: REMINDER_INTERVAL,
            initial_delay: INITIAL_DELAY,
            retry_delay: INITIAL_DELAY,
            shared: true,
            interruptible: true,
        }
    }

    async fn run(&mut self, _run_number: u64) -> JobResult {
        poll::log_offline_servers(&self.app).await?;
        Ok(NextRun::Scheduled)
    }
}
