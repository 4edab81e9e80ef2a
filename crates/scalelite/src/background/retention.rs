//! Deletes recordings that are older than RECORDING_RETENTION_DAYS, once a day.

use std::time::Duration;

use app::App;
use app::recordings::retention;

use super::runner::{JobResult, NextRun, PeriodicJob, Schedule};

/// Time between two days' deletions.
const RETENTION_INTERVAL: Duration = Duration::from_secs(24 * 3600);
/// Wait after a failure.
const RETRY_DELAY: Duration = Duration::from_secs(600);
/// Log message for a run that failed.
const FAILURE: &str = "recording retention failed";

pub(super) struct RecordingRetention {
    pub(super) app: App,
}

impl PeriodicJob for RecordingRetention {
    fn schedule(&self) -> Schedule {
        Schedule {
            name: "retention",
            failure: FAILURE,
            interval: RETENTION_INTERVAL,
            initial_delay: Duration::ZERO,
            retry_delay: RETRY_DELAY,
            shared: true,
            interruptible: false,
        }
    }

    /// Deletes a limited number of recordings, and keeps the claim until none is left: with a new
    /// claim, the rest would have to wait for the next day.
    async fn run(&mut self, _run_number: u64) -> JobResult {
        Ok(match retention::delete_expired_by_settings(&self.app).await {
            Ok(retention::MAX_DELETIONS_PER_RUN) => NextRun::After(Duration::ZERO),
            Ok(_) => NextRun::Scheduled,
            Err(error) => {
                tracing::error!(%error, "{FAILURE}");
                NextRun::After(RETRY_DELAY)
            }
        })
    }
}
