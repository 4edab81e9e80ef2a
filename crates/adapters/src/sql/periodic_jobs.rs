//! The port [`PeriodicJobs`]: which process runs a job that is due once in an interval.

use app::ports::{JobClaim, PeriodicJobs, StoreError};
use async_trait::async_trait;
use domain::Timestamp;
use domain::periodic_job::{JobRun, start_next_run};

use super::connection::{SqlConnection, values};
use super::{Database, SqlStore};

#[async_trait]
impl<D: Database> PeriodicJobs for SqlStore<D> {
    async fn find_last_run(&self, job: &str) -> Result<Option<JobRun>, StoreError> {
        let job = job.to_owned();
        self.database.read(move |connection| find_last_run(connection, &job)).await
    }

    async fn claim_run(
        &self,
        job: &str,
        now: Timestamp,
        interval_ms: i64,
    ) -> Result<JobClaim, StoreError> {
        let job = job.to_owned();
        self.write(move |connection| claim_run(connection, &job, now, interval_ms)).await
    }
}

fn find_last_run(
    connection: &mut dyn SqlConnection,
    job: &str,
) -> Result<Option<JobRun>, StoreError> {
    const LAST: &str = "SELECT run_number, started_at FROM periodic_jobs WHERE job = ?1";
    connection.query_first(LAST, values![job], |row| {
        Ok(JobRun { number: row.get(0)?, started_at: Timestamp(row.get(1)?) })
    })
}

fn claim_run(
    connection: &mut dyn SqlConnection,
    job: &str,
    now: Timestamp,
    interval_ms: i64,
) -> Result<JobClaim, StoreError> {
    const BEGIN: &str = "INSERT INTO periodic_jobs (job, run_number, started_at) VALUES (?1, ?2, ?3) \
        ON CONFLICT (job) DO UPDATE SET run_number = excluded.run_number, \
        started_at = excluded.started_at";
    match start_next_run(find_last_run(connection, job)?, now, interval_ms) {
        Ok(JobRun { number, started_at }) => {
            let run_number = i64::try_from(number).unwrap_or(i64::MAX);
            connection.execute(BEGIN, values![job, run_number, started_at.0])?;
            Ok(JobClaim::Claimed(number))
        }
        Err(due_at) => Ok(JobClaim::NotBefore(due_at)),
    }
}
