//! Runs of periodic jobs, behind the same lock as servers and meetings.

use async_trait::async_trait;
use domain::Timestamp;
use domain::periodic_job::{JobRun, start_next_run};

use super::pool_store::MemoryPoolStore;
use crate::ports::{JobClaim, PeriodicJobs, StoreError};

#[async_trait]
impl PeriodicJobs for MemoryPoolStore {
    async fn find_last_run(&self, job: &str) -> Result<Option<JobRun>, StoreError> {
        Ok(self.lock().job_runs.get(job).copied())
    }

    async fn claim_run(
        &self,
        job: &str,
        now: Timestamp,
        interval_ms: i64,
    ) -> Result<JobClaim, StoreError> {
        let runs = &mut self.lock().job_runs;
        Ok(match start_next_run(runs.get(job).copied(), now, interval_ms) {
            Ok(run) => {
                runs.insert(job.to_owned(), run);
                JobClaim::Claimed(run.number)
            }
            Err(due_at) => JobClaim::NotBefore(due_at),
        })
    }
}
