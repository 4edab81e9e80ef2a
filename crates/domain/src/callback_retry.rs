//! When a message that was not heard is sent again, and when it is given up.

use crate::time::Timestamp;

/// The pause after the first attempt, in ms. It doubles with each further one.
const FIRST_PAUSE_MS: i64 = 30_000;
/// The longest pause, in ms.
const MAX_PAUSE_MS: i64 = 3_600_000;
/// Messages are sent for so long, in ms.
const MAX_AGE_MS: i64 = 24 * 3_600_000;

/// When to send a message again that was sent so often in vain; none: it is given up. `fraction`, of 0..1, spreads
/// messages that failed together.
#[must_use]
pub fn next_attempt(
    posted_at: Timestamp,
    attempts: u32,
    now: Timestamp,
    fraction: f64,
) -> Option<Timestamp> {
    let doublings = attempts.saturating_sub(1).min(16);
    let pause_ms = (FIRST_PAUSE_MS << doublings).min(MAX_PAUSE_MS);
    // Up to a tenth more.
    let spread_ms = (pause_ms as f64 * fraction.clamp(0.0, 1.0) / 10.0) as i64;
    let next = now.plus_ms(pause_ms + spread_ms);
    (next.ms_since(posted_at) <= MAX_AGE_MS).then_some(next)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_an_hour() {
        let after = |attempts| {
            let next = next_attempt(Timestamp(0), attempts, Timestamp(0), 0.0);
            next.map(|next| next.0 / 1000)
        };
        let pauses = [1, 2, 3, 8, 30, u32::MAX].map(after);
        assert_eq!(pauses, [30, 60, 120, 3600, 3600, 3600].map(Some));
        let spread = next_attempt(Timestamp(0), 1, Timestamp(0), 1.0);
        assert_eq!(spread, Some(Timestamp(33_000)));
    }

    #[test]
    fn after_a_day_it_is_given_up() {
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
