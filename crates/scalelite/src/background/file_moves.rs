//! Finishes moves of recording files that a crash interrupted, empties the trash, and removes the
//! tombstones of recordings that were deleted long ago.

use std::time::Duration;

use app::App;
use app::recordings::file_moves;

use super::runner::{JobResult, NextRun, PeriodicJob, Schedule};

/// Time between two searches for interrupted moves and expired files.
const MAINTENANCE_INTERVAL: Duration = Duration::from_secs(5);

pub(super) struct FileMoves {
    pub(super) app: App,
}

impl PeriodicJob for FileMoves {
    fn schedule(&self) -> Schedule {
        Schedule {
            name: "file_moves",
            failure: "recording file maintenance failed",
            interval: MAINTENANCE_INTERVAL,
            initial_delay: Duration::ZERO,
            retry_delay: MAINTENANCE_INTERVAL,
            shared: true,
            interruptible: false,
        }
    }

    async fn run(&mut self, _run_number: u64) -> JobResult {
        let count = file_moves::finish_abandoned_moves(&self.app).await?;
        if count > 0 {
            tracing::info!(count, "interrupted recording file moves completed");
        }
        let count = file_moves::empty_trash(&self.app).await?;
        if count > 0 {
            tracing::info!(count, "recordings removed from the trash");
        }
        file_moves::forget_deleted_recordings(&self.app).await?;
        Ok(NextRun::Scheduled)
    }
}
