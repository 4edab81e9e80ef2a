//! Writes queued records of the audit to the store, and forgets old ones.

use std::time::Duration;

use app::{App, audit};

use super::runner::{JobResult, NextRun, PeriodicJob, Schedule};

/// Writes what is queued.
pub(super) struct AuditWriting {
    pub(super) app: App,
}

impl PeriodicJob for AuditWriting {
    fn schedule(&self) -> Schedule {
        Schedule {
            name: "audit_writing",
            failure: "changes not recorded in the audit yet",
            interval: Duration::from_secs(1),
            initial_delay: Duration::ZERO,
            retry_delay: Duration::from_secs(5),
            // Each process has a queue of its own.
            shared: false,
            interruptible: false,
        }
    }

    async fn run(&mut self, _run_number: u64) -> JobResult {
        audit::write_queue(&self.app).await?;
        Ok(NextRun::Scheduled)
    }
}

/// Forgets records that are older than AUDIT_KEEP_DAYS.
pub(super) struct AuditPruning {
    pub(super) app: App,
    pub(super) keep_ms: i64,
}

impl PeriodicJob for AuditPruning {
    fn schedule(&self) -> Schedule {
        Schedule {
            name: "audit_pruning",
            failure: "old changes not forgotten",
            // Servers that die take hundreds of meetings with them, each with a record: the bound must hold within minutes.
            interval: Duration::from_secs(60),
            initial_delay: Duration::ZERO,
            retry_delay: Duration::from_secs(60),
            shared: true,
            interruptible: true,
        }
    }

    async fn run(&mut self, _run_number: u64) -> JobResult {
        audit::forget_old(&self.app, self.keep_ms).await?;
        Ok(NextRun::Scheduled)
    }
}
