//! Notes the users of running meetings once a minute, for the plots of the console.

use std::sync::Arc;
use std::time::Duration;

use app::App;

use super::runner::{JobResult, NextRun, PeriodicJob, Schedule};
use crate::metrics::MeetingCurves;

pub(super) struct MeetingObservation {
    pub(super) app: App,
    pub(super) curves: Arc<MeetingCurves>,
}

impl PeriodicJob for MeetingObservation {
    fn schedule(&self) -> Schedule {
        Schedule {
            name: "meeting-curves",
            failure: "users of meetings not noted",
            interval: Duration::from_secs(60),
            initial_delay: Duration::from_secs(7),
            retry_delay: Duration::from_secs(60),
            // Each replica shows its own pages.
            shared: false,
            interruptible: true,
        }
    }

    async fn run(&mut self, _run_number: u64) -> JobResult {
        let meetings = self.app.pool.list_meetings(None).await?;
        self.curves.note(&meetings, self.app.clock.now());
        Ok(NextRun::Scheduled)
    }
}
