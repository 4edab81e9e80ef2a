//! Who does what is due once in every interval.

use app::ports::{JobClaim, PeriodicJobs, StoreError};
use async_trait::async_trait;
use domain::Timestamp;
use domain::periodic_job::{JobRun, start_next_run};

use super::connection::{SqlConnection, values};
use super::{Database, SqlStore};

#[async_trait]
impl<D: Database> PeriodicJobs for SqlStore<D> {
    async fn claim_run(
        &self,
        work: &str,
        now: Timestamp,
        interval_ms: i64,
    ) -> Result<JobClaim, StoreError> {
        let work = work.to_owned();
        self.write(move |session| claim_run(session, &work, now, interval_ms)).await
    }
}

fn claim_run(
    session: &mut dyn SqlConnection,
    work: &str,
    now: Timestamp,
    interval_ms: i64,
) -> Result<JobClaim, StoreError> {
    const LAST: &str = "SELECT run_number, started_at FROM periodic_jobs WHERE job = ?1";
    const BEGIN: &str = "INSERT INTO periodic_jobs (job, run_number, started_at) VALUES (?1, ?2, ?3) \
        ON CONFLICT (job) DO UPDATE SET run_number = excluded.run_number, \
        started_at = excluded.started_at";
    let last = session.query_first(LAST, values![work], |row| {
        Ok(JobRun { number: row.get(0)?, started_at: Timestamp(row.get(1)?) })
    })?;
    match start_next_run(last, now, interval_ms) {
        Ok(JobRun { number, started_at: begun_at }) => {
            let counted = i64::try_from(number).unwrap_or(i64::MAX);
            session.execute(BEGIN, values![work, counted, begun_at.0])?;
            Ok(JobClaim::Claimed(number))
        }
        Err(due) => Ok(JobClaim::NotBefore(due)),
    }
}
