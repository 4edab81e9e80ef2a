//! Sends the callbacks that are due to front-ends.

use std::time::Duration;

use app::{App, callbacks};

use super::runner::{JobResult, NextRun, PeriodicJob, Schedule};

/// Time between two searches for callbacks that are due.
const DELIVERY_INTERVAL: Duration = Duration::from_secs(1);
/// Wait after the store failed.
const RETRY_DELAY: Duration = Duration::from_secs(5);

pub(super) struct CallbackDelivery {
    pub(super) app: App,
}

impl PeriodicJob for CallbackDelivery {
    fn schedule(&self) -> Schedule {
        Schedule {
            name: "callbacks",
            failure: "callback delivery failed",
            interval: DELIVERY_INTERVAL,
            initial_delay: Duration::ZERO,
            retry_delay: RETRY_DELAY,
            // All replicas deliver: each callback is taken from the outbox by one of them.
            shared: false,
            interruptible: false,
        }
    }

    async fn run(&mut self, _run_number: u64) -> JobResult {
        let sent = callbacks::deliver_due(&self.app).await?;
        // A run sends a limited number of callbacks; more may be due.
        Ok(if sent > 0 { NextRun::After(Duration::ZERO) } else { NextRun::Scheduled })
    }
}
