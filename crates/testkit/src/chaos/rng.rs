//! Repeatable chance: the same seed draws the same arrivals and the same faults.

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use std::time::Duration;

/// A seeded source of what is drawn here.
#[derive(Debug)]
pub(super) struct ChaosRng(StdRng);

impl ChaosRng {
    pub(super) fn new(seed: u64) -> Self {
        Self(StdRng::seed_from_u64(seed))
    }

    /// Even over `[0, 1)`.
    pub(super) fn draw_fraction(&mut self) -> f64 {
        // The upper 53 bits are what a f64 holds exactly.
        let bits = self.0.next_u64() >> 11;
        bits as f64 / (1u64 << 53) as f64
    }

    /// One of `0..count`; 0 if there is none.
    pub(super) fn draw_index(&mut self, count: usize) -> usize {
        // A float becomes the integer below it.
        ((self.draw_fraction() * count as f64) as usize).min(count.saturating_sub(1))
    }

    /// Even between the two.
    pub(super) fn draw_duration(&mut self, min: Duration, max: Duration) -> Duration {
        min + max.saturating_sub(min).mul_f64(self.draw_fraction())
    }

    /// The pause before the next of events that happen so often in a second, independently.
    pub(super) fn draw_pause(&mut self, per_s: f64) -> Duration {
        let seconds = -(1.0 - self.draw_fraction()).ln() / per_s;
        Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_repeat_and_stay_within_their_ends() {
        let draw = |seed| {
            let mut chance = ChaosRng::new(seed);
            (0..100).map(|_| chance.draw_index(7)).collect::<Vec<_>>()
        };
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
        assert!((0..7).all(|n| draw(1).contains(&n)) && !draw(1).contains(&7));
        assert_eq!(ChaosRng::new(1).draw_index(0), 0);
        assert_eq!(ChaosRng::new(1).draw_pause(0.0), Duration::MAX);
    }

    #[test]
    fn pauses_have_their_mean() {
        let mut chance = ChaosRng::new(5);
        let sum: Duration = (0..10_000).map(|_| chance.draw_pause(10.0)).sum();
        assert!((950..1_050).contains(&sum.as_secs()), "{sum:?}");
    }
}
