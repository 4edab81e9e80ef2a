//! Turns: work that is due once in every interval, whoever does it. The cycles are numbered, so
//! that what a slow worker brings can be told from what a later one brought.

use crate::time::Timestamp;

/// A cycle of such work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JobRun {
    /// Counts up; serves as the fencing token.
    pub number: u64,
    /// When it began.
    pub started_at: Timestamp,
}

/// Begins the next cycle if it is due.
///
/// A cycle that seems to have begun in the future by more than an interval comes from a clock that
/// was wrong, and holds nobody back.
///
/// # Errors
/// When it is not due yet; the time when it will be.
pub fn start_next_run(
    last: Option<JobRun>,
    now: Timestamp,
    interval_ms: i64,
) -> Result<JobRun, Timestamp> {
    let Some(last) = last else {
        return Ok(JobRun { number: 1, started_at: now });
    };
    let due = last.started_at.plus_ms(interval_ms);
    let from_a_wrong_clock = last.started_at.ms_since(now) > interval_ms;
    if now < due && !from_a_wrong_clock {
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
        fn one_run_an_interval_however_many_ask(
            asks in proptest::collection::vec(0i64..5_000, 1..60),
            interval_ms in 1i64..2_000,
        ) {
            let mut asks = asks;
            asks.sort_unstable();
            let mut last: Option<JobRun> = None;
            for at in asks {
                let before = last;
                match start_next_run(last, Timestamp(at), interval_ms) {
                    Ok(cycle) => {
                        prop_assert_eq!(cycle.number, before.map_or(1, |cycle| cycle.number + 1));
                        prop_assert!(before.is_none_or(|b| at - b.started_at.0 >= interval_ms));
                        last = Some(cycle);
                    }
                    Err(due) => prop_assert!(due > Timestamp(at) && due.0 - at <= interval_ms),
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
