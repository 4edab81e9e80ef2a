//! Periodic jobs: work that one of all replicas does in every interval.

use async_trait::async_trait;
use domain::Timestamp;
use domain::periodic_job::JobRun;

use super::store_error::StoreError;

/// The outcome of [`PeriodicJobs::claim_run`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobClaim {
    /// The caller does this run of the job. The number increases with every run of the job, so that
    /// the results of an earlier run can be told from those of a later one.
    Claimed(u64),
    /// Another replica has started the current run; the next one is due at this time.
    NotBefore(Timestamp),
}

/// Distributes the runs of periodic jobs.
#[async_trait]
pub trait PeriodicJobs: Send + Sync {
    /// Returns the last run of a job that any process has started.
    ///
    /// # Errors
    /// When the store fails.
    async fn find_last_run(&self, job: &str) -> Result<Option<JobRun>, StoreError>;

    /// Starts the next run of a job if it is due by [`domain::periodic_job::start_next_run`]. The
    /// method is atomic: of all callers within an interval one gets the run. Nothing is held in
    /// between: if that replica dies, any replica gets the next run.
    ///
    /// # Errors
    /// When the store fails.
    async fn claim_run(
        &self,
        job: &str,
        now: Timestamp,
        interval_ms: i64,
    ) -> Result<JobClaim, StoreError>;
}
