//! Decides when a callback that failed is sent again, and when it is given up.

use crate::time::Timestamp;

/// Pause after the first attempt, in ms. It doubles with each further attempt.
const FIRST_PAUSE_MS: i64 = 30_000;
/// Maximum pause between two attempts, in ms.
const MAX_PAUSE_MS: i64 = 3_600_000;
/// Time after which a callback is given up, in ms.
const MAX_AGE_MS: i64 = 24 * 3_600_000;

/// Returns when to send a callback again, or `None` if it is given up.
///
/// `attempts` is the number of attempts that failed. `fraction`, from 0 to 1, lengthens the pause
/// by up to a tenth, so that callbacks that failed together are not sent again at the same moment.
#[must_use]
pub fn next_attempt(
    posted_at: Timestamp,
    attempts: u32,
    now: Timestamp,
    fraction: f64,
) -> Option<Timestamp> {
    let doublings = attempts.saturating_sub(1).min(16);
    let pause_ms = (FIRST_PAUSE_MS << doublings).min(MAX_PAUSE_MS);
    let spread_ms = (pause_ms as f64 * fraction.clamp(0.0, 1.0) / 10.0) as i64;
    let next = now.plus_ms(pause_ms + spread_ms);
    (next.ms_since(posted_at) <= MAX_AGE_MS).then_some(next)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_an_hour() {
        let pause_after = |attempts| {
            let next = next_attempt(Timestamp(0), attempts, Timestamp(0), 0.0);
            next.map(|next| next.0 / 1000)
        };
        let pauses = [1, 2, 3, 8, 30, u32::MAX].map(pause_after);
        assert_eq!(pauses, [30, 60, 120, 3600, 3600, 3600].map(Some));
        let spread = next_attempt(Timestamp(0), 1, Timestamp(0), 1.0);
        assert_eq!(spread, Some(Timestamp(33_000)));
    }

    #[test]
    fn callbacks_are_given_up_after_a_day() {
        let (mut now, mut attempts) = (Timestamp(0), 0);
        while let Some(next) = next_attempt(Timestamp(0), attempts + 1, now, 0.5) {
            attempts += 1;
            assert!(next > now && attempts < 100);
            now = next;
        }
        assert!(now.0 > 22 * 3_600_000 && now.0 <= 24 * 3_600_000, "{now:?}");
        assert!((25..40).contains(&attempts), "{attempts}");
    }
}
