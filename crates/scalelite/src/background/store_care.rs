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
/// Time until a check if errors suggest damage. It doubles with every check that finds none.
const SUSPECT_CHECK_INTERVAL: Duration = Duration::from_secs(60);

pub(super) struct StoreCare {
    store: Arc<dyn EmbeddedStore>,
    last_check: Instant,
    /// Checks in a row that were made because of errors and found no damage.
    vain_checks: u32,
}

impl StoreCare {
    /// The store was checked when it was opened.
    pub(super) fn new(store: Arc<dyn EmbeddedStore>) -> Self {
        Self { store, last_check: Instant::now(), vain_checks: 0 }
    }

    fn is_check_due(&self, now: Instant) -> bool {
        let suspect_interval = SUSPECT_CHECK_INTERVAL * (1 << self.vain_checks.min(6));
        let interval = if self.store.is_suspect() { suspect_interval } else { CHECK_INTERVAL };
        now.duration_since(self.last_check) >= interval.min(CHECK_INTERVAL)
    }

    async fn check(&mut self, now: Instant) {
        let was_suspect = self.store.is_suspect();
        self.last_check = now;
        match self.store.check_integrity().await {
            Err(StoreError::Corrupt(damage)) => {
                tracing::error!(damage, "store damaged: put back a backup of the data directory");
            }
            _ if was_suspect => self.vain_checks = self.vain_checks.saturating_add(1),
            _ => self.vain_checks = 0,
        }
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
            self.check(now).await;
        }
        self.store.update_mark().await?;
        Ok(NextRun::Scheduled)
    }
}
