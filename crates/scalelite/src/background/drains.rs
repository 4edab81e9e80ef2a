//! Carries out planned drains that are due.

use std::time::Duration;

use app::{App, drains};

use super::runner::{JobResult, NextRun, PeriodicJob, Schedule};

/// Time between two looks for drains that are due.
const INTERVAL: Duration = Duration::from_secs(1);

pub(super) struct Drains {
    pub(super) app: App,
}

impl PeriodicJob for Drains {
    fn schedule(&self) -> Schedule {
        Schedule {
            name: "drains",
            failure: "planned drains not carried out",
            interval: INTERVAL,
            initial_delay: INTERVAL,
            retry_delay: INTERVAL,
            // Every process looks, and reserves each drain for itself.
            shared: false,
            interruptible: false,
        }
    }

    async fn run(&mut self, _run_number: u64) -> JobResult {
        drains::run_due(&self.app).await?;
        Ok(NextRun::Scheduled)
    }
}
