//! Forgets messages and addresses of callbacks that are older than CALLBACK_RETENTION_DAYS and
//! CALLBACK_ADDRESS_RETENTION_DAYS, once a day.

use std::time::Duration;

use app::App;
use app::callbacks::{CallbackRetention, forget_old_callbacks};

use super::runner::{JobResult, NextRun, PeriodicJob, Schedule};

pub(super) struct CallbackPruning {
    pub(super) app: App,
    pub(super) rule: CallbackRetention,
}

impl PeriodicJob for CallbackPruning {
    fn schedule(&self) -> Schedule {
        Schedule {
            name: "callback_pruning",
            failure: "old callbacks not forgotten",
            interval: Duration::from_secs(24 * 3600),
            initial_delay: Duration::ZERO,
            retry_delay: Duration::from_secs(600),
            shared: true,
            interruptible: true,
        }
    }

    async fn run(&mut self, _run_number: u64) -> JobResult {
        let (messages, addresses) = forget_old_callbacks(&self.app, self.rule).await?;
        if messages + addresses > 0 {
            tracing::info!(messages, addresses, "old callbacks forgotten");
        }
        Ok(NextRun::Scheduled)
    }
}
