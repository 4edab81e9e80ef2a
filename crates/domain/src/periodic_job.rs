//! Periodic jobs: work that runs once in every interval, on any one of the replicas. Runs are
//! numbered, so that late results of a slow run can be told from those of a later run.

use crate::time::Timestamp;

/// One run of a periodic job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JobRun {
    /// The number of the run, which increases with each run; serves as the fencing token.
    pub number: u64,
    /// When the run started.
    pub started_at: Timestamp,
}

/// Starts the next run if it is due.
///
/// A last run that lies more than an interval in the future was recorded by a replica whose clock
/// was wrong, and does not delay the next run.
///
/// # Errors
/// When the next run is not due yet: the time when it is.
pub fn start_next_run(
    last: Option<JobRun>,
    now: Timestamp,
    interval_ms: i64,
) -> Result<JobRun, Timestamp> {
    let Some(last) = last else {
        return Ok(JobRun { number: 1, started_at: now });
    };
    let due = last.started_at.plus_ms(interval_ms);
    let has_wrong_clock = last.started_at.ms_since(now) > interval_ms;
    if now < due && !has_wrong_clock {
        return Err(due);
    }
    Ok(JobRun { number: last.number.saturating_add(1), started_at: now })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_job_runs_once_an_interval_however_many_replicas_start_it(
            attempts in proptest::collection::vec(0i64..5_000, 1..60),
            interval_ms in 1i64..2_000,
        ) {
            let mut attempts = attempts;
            attempts.sort_unstable();
            let mut last: Option<JobRun> = None;
            for now in attempts {
                match start_next_run(last, Timestamp(now), interval_ms) {
                    Ok(run) => {
                        prop_assert_eq!(run.number, last.map_or(1, |last| last.number + 1));
                        prop_assert!(last.is_none_or(|last| now - last.started_at.0 >= interval_ms));
                        last = Some(run);
                    }
                    Err(due) => prop_assert!(due > Timestamp(now) && due.0 - now <= interval_ms),
                }
            }
        }
    }

    #[test]
    fn a_wrong_clock_does_not_block_runs() {
        let last = Some(JobRun { number: 7, started_at: Timestamp(1_000_000) });
        assert_eq!(
            start_next_run(last, Timestamp(1_000), 500),
            Ok(JobRun { number: 8, started_at: Timestamp(1_000) })
        );
        assert_eq!(start_next_run(last, Timestamp(999_900), 500), Err(Timestamp(1_000_500)));
    }
}
