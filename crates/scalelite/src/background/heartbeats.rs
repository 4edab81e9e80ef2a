//! Asks every server something cheap in every HEARTBEAT_INTERVAL.

use std::time::Duration;

use app::{App, heartbeat};

use super::runner::{JobResult, NextRun, PeriodicJob, Schedule};

pub(super) struct Heartbeats {
    pub(super) app: App,
    pub(super) interval: Duration,
}

impl PeriodicJob for Heartbeats {
    fn schedule(&self) -> Schedule {
        Schedule {
            name: "heartbeat",
            failure: "heartbeats failed",
            // The run itself lasts an interval, since heartbeats are spread over it.
            interval: Duration::ZERO,
            initial_delay: self.interval,
            retry_delay: self.interval,
            shared: false,
            interruptible: true,
        }
    }

    async fn run(&mut self, _run_number: u64) -> JobResult {
        let pause = tokio::time::sleep(self.interval);
        heartbeat::send_heartbeats(&self.app, self.interval).await?;
        pause.await;
        Ok(NextRun::Scheduled)
    }
}
