//! Looks after the embedded store: keeps the mark that it has servers, and checks its file for damage,
//! once an hour and when an error suggests damage.

use std::sync::Arc;
use std::time::Duration;

use app::ports::{EmbeddedStore, StoreError};
use tokio::time::Instant;

use super::runner::{JobResult, NextRun, PeriodicJob, Schedule};

/// Time between two looks.
const INTERVAL: Duration = Duration::from_secs(3);
/// Wait after a failure.
const RETRY_DELAY: Duration = Duration::from_secs(60);
/// Time between two checks of the whole file.
const CHECK_INTERVAL: Duration = Duration::from_secs(3600);
/// Time between two checks if errors suggest damage.
const SUSPECT_CHECK_INTERVAL: Duration = Duration::from_secs(60);

pub(super) struct StoreCare {
    store: Arc<dyn EmbeddedStore>,
    last_check: Option<Instant>,
}

impl StoreCare {
    /// The store was checked when it was opened.
    pub(super) fn new(store: Arc<dyn EmbeddedStore>) -> Self {
        Self { store, last_check: None }
    }

    fn is_check_due(&self, now: Instant) -> bool {
        let Some(last_check) = self.last_check else { return self.store.is_suspect() };
        let suspect = self.store.is_suspect();
        let interval = if suspect { SUSPECT_CHECK_INTERVAL } else { CHECK_INTERVAL };
        now.duration_since(last_check) >= interval
    }
}

impl PeriodicJob for StoreCare {
    fn schedule(&self) -> Schedule {
        Schedule {
            name: "store_care",
            failure: "store not looked after",
            interval: INTERVAL,
            initial_delay: Duration::ZERO,
            retry_delay: RETRY_DELAY,
            // Each process has the file open.
            shared: false,
            interruptible: true,
        }
    }

    async fn run(&mut self, _run_number: u64) -> JobResult {
        let now = Instant::now();
        if self.is_check_due(now) {
            self.last_check = Some(now);
            if let Err(StoreError::Corrupt(damage)) = self.store.check_integrity().await {
                tracing::error!(damage, "store damaged: put back a backup of the data directory");
            }
        } else if self.last_check.is_none() {
            self.last_check = Some(now);
        }
        self.store.update_mark().await?;
        Ok(NextRun::Scheduled)
    }
}
