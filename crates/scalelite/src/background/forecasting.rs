//! Keeps the load forecast, by which this process places meetings, up to date.

use std::time::Duration;

use app::{App, forecaster};

use super::runner::{JobResult, NextRun, PeriodicJob, Schedule};

/// Time between two refreshes of the forecast.
const REFRESH_INTERVAL: Duration = Duration::from_secs(10);

pub(super) struct Forecasting {
    pub(super) app: App,
}

impl PeriodicJob for Forecasting {
    fn schedule(&self) -> Schedule {
        Schedule {
            name: "forecast",
            failure: "forecast refresh failed",
            interval: REFRESH_INTERVAL,
            initial_delay: Duration::ZERO,
            retry_delay: REFRESH_INTERVAL,
            // Each process has a forecast of its own in memory.
            shared: false,
            interruptible: false,
        }
    }

    async fn run(&mut self, _run_number: u64) -> JobResult {
        forecaster::refresh(&self.app).await?;
        Ok(NextRun::Scheduled)
    }
}
