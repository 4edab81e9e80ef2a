//! Takes samples of the pool, once a minute, for the plots of the console.

use std::time::Duration;

use app::App;
use app::sampling::take_samples;

use super::runner::{JobResult, NextRun, PeriodicJob, Schedule};

pub(super) struct Sampling {
    pub(super) app: App,
}

impl PeriodicJob for Sampling {
    fn schedule(&self) -> Schedule {
        Schedule {
            name: "sampling",
            failure: "samples of the pool not taken",
            interval: Duration::from_secs(60),
            initial_delay: Duration::from_secs(5),
            retry_delay: Duration::from_secs(60),
            shared: true,
            interruptible: true,
        }
    }

    async fn run(&mut self, _run_number: u64) -> JobResult {
        take_samples(&self.app).await?;
        Ok(NextRun::Scheduled)
    }
}
