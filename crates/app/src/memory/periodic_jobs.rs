//! Turns behind the same lock as servers and meetings.

use async_trait::async_trait;
use domain::Timestamp;
use domain::periodic_job::start_next_run;

use super::MemoryPoolStore;
use crate::ports::{JobClaim, PeriodicJobs, StoreError};

#[async_trait]
impl PeriodicJobs for MemoryPoolStore {
    async fn claim_run(
        &self,
        work: &str,
        now: Timestamp,
        interval_ms: i64,
    ) -> Result<JobClaim, StoreError> {
        let cycles = &mut self.lock().job_runs;
        Ok(match start_next_run(cycles.get(work).copied(), now, interval_ms) {
            Ok(cycle) => {
                cycles.insert(work.to_owned(), cycle);
                JobClaim::Claimed(cycle.number)
            }
            Err(due) => JobClaim::NotBefore(due),
        })
    }
}
