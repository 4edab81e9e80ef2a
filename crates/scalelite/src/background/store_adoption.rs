//! Uses the recording store once at the start of the process, so that its schema is brought up to
//! date then, and not when the first recording arrives; and records there how long deleted recordings
//! are kept.

use std::time::Duration;

use app::App;
use app::recordings::trash_time;

use super::runner::{JobResult, NextRun, PeriodicJob, Schedule};

/// Wait before the store is tried again.
const RETRY_DELAY: Duration = Duration::from_secs(5);

pub(super) struct StoreAdoption {
    pub(super) app: App,
}

impl PeriodicJob for StoreAdoption {
    fn schedule(&self) -> Schedule {
        Schedule {
            name: "recording_store",
            failure: "recording store not ready",
            interval: RETRY_DELAY,
            initial_delay: Duration::ZERO,
            retry_delay: RETRY_DELAY,
            shared: false,
            interruptible: true,
        }
    }

    async fn run(&mut self, _run_number: u64) -> JobResult {
        if let Some(recordings) = &self.app.recording_store {
            recordings.check_recording_store().await?;
            trash_time::record_trash_ms(&self.app).await?;
        }
        Ok(NextRun::Never)
    }
}
