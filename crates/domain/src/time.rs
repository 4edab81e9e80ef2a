//! The type of points in time. The domain reads no clock; callers pass the current time.

use serde::{Deserialize, Serialize};

/// How far a recorded time may lie in the future, in ms: clocks of replicas differ a little, and calls
/// take their time. One that lies further ahead was written by a clock that has been set back since.
const MAX_LEAD_MS: i64 = 2 * 60_000;

/// Milliseconds since 1970, UTC.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// Returns the time this many milliseconds later.
    #[must_use]
    pub fn plus_ms(self, ms: i64) -> Self {
        Self(self.0.saturating_add(ms))
    }

    /// Returns the milliseconds since `earlier`; negative if `earlier` is later than this time.
    #[must_use]
    pub fn ms_since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }

    /// Returns whether this recorded time lies so far after `now` that the clock has been set back
    /// since. Then nothing follows from comparing the two.
    #[must_use]
    pub fn is_from_wrong_clock(self, now: Self) -> bool {
        self.ms_since(now) > MAX_LEAD_MS
    }

    /// Returns whether so many ms have passed from this recorded time to `now`. If the clock has been
    /// set back since, the time that has passed is unknown and counts as long enough.
    #[must_use]
    pub fn is_past(self, ms: i64, now: Self) -> bool {
        now >= self.plus_ms(ms) || self.is_from_wrong_clock(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_000_000_000);

    #[test]
    fn times_of_a_clock_that_was_set_back_count_as_long_ago() {
        assert!(!NOW.is_past(30_000, NOW.plus_ms(29_999)));
        assert!(NOW.is_past(30_000, NOW.plus_ms(30_000)));
        assert!(!NOW.is_past(30_000, NOW.plus_ms(-MAX_LEAD_MS)), "clocks differ");
        assert!(NOW.is_past(30_000, NOW.plus_ms(-MAX_LEAD_MS - 1)));
        assert!(Timestamp(i64::MAX).is_past(30_000, NOW));
    }
}
