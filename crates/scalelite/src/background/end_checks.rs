//! Finds out whether meetings are over whose front-ends want to be told.

use std::time::Duration;

use app::{App, end_callbacks};

use super::runner::{JobResult, NextRun, PeriodicJob, Schedule};

/// Time between two searches for meetings that are to be checked.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);
/// Wait after a store failed.
const RETRY_DELAY: Duration = Duration::from_secs(5);

pub(super) struct EndChecks {
    pub(super) app: App,
}

impl PeriodicJob for EndChecks {
    fn schedule(&self) -> Schedule {
        Schedule {
            name: "end callbacks",
            failure: "end callbacks not checked",
            interval: CHECK_INTERVAL,
            initial_delay: Duration::ZERO,
            retry_delay: RETRY_DELAY,
            // All replicas check: each end callback is taken by one of them.
            shared: false,
            interruptible: false,
        }
    }

    async fn run(&mut self, _run_number: u64) -> JobResult {
        let checked = end_callbacks::settle_due_ends(&self.app).await?;
        // A run checks a limited number; more may be due.
        Ok(if checked > 0 { NextRun::After(Duration::ZERO) } else { NextRun::Scheduled })
    }
}
