//! The seeded random generator of simulated runs, chaos runs and made-up days.
//!
//! ChaCha with 8 rounds, whose output for a seed is the same on every machine and with every
//! release of `rand_chacha`. Numbers are derived from its 64-bit words here, because the sampling
//! functions of `rand` may change their results with a release.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};

/// A random generator that draws the same values for the same seed.
#[derive(Clone, Debug)]
pub struct SeededRng(ChaCha8Rng);

impl SeededRng {
    /// Returns the generator of this seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }

    /// Returns a generator of its own for a part of a run, so that the number of values which one
    /// part draws does not change what the other parts draw.
    #[must_use]
    pub fn fork(&mut self) -> Self {
        Self::new(self.next_u64())
    }

    /// Draws any number.
    pub fn next_u64(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// Fills a buffer.
    pub fn fill_bytes(&mut self, bytes: &mut [u8]) {
        self.0.fill_bytes(bytes);
    }

    /// Draws from `[0, 1)`, uniformly.
    pub fn draw_fraction(&mut self) -> f64 {
        // An f64 holds 53 bits exactly.
        (self.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Draws from `low..=high`, uniformly.
    pub fn draw_u64(&mut self, low: u64, high: u64) -> u64 {
        low + self.next_u64() % (high - low + 1)
    }

    /// Draws from `[low, high)`, uniformly.
    pub fn draw_f64(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.draw_fraction()
    }

    /// Draws from `0..count`, uniformly; 0 if `count` is 0.
    pub fn draw_index(&mut self, count: usize) -> usize {
        let count = u64::try_from(count).unwrap_or(u64::MAX).max(1);
        usize::try_from(self.next_u64() % count).unwrap_or(0)
    }

    /// Returns true with this probability.
    pub fn draw_bool(&mut self, probability: f64) -> bool {
        self.draw_fraction() < probability
    }

    /// Returns true in `percent` of 100 cases.
    pub fn draw_percent(&mut self, percent: u64) -> bool {
        self.next_u64() % 100 < percent
    }

    /// Draws one of the items; `None` if there are none.
    pub fn pick<'a, T>(&mut self, items: &'a [T]) -> Option<&'a T> {
        if items.is_empty() { None } else { items.get(self.draw_index(items.len())) }
    }

    /// Draws one of the items, each with a probability proportional to its weight; `None` if all
    /// weights are 0.
    pub fn pick_weighted<T: Copy>(&mut self, items: &[(u64, T)]) -> Option<T> {
        let total: u64 = items.iter().map(|(weight, _)| weight).sum();
        let mut rest = self.next_u64() % total.max(1);
        for (weight, item) in items {
            if rest < *weight {
                return Some(*item);
            }
            rest -= weight;
        }
        None
    }

    /// Draws from a normal distribution.
    pub fn draw_normal(&mut self, mean: f64, standard_deviation: f64) -> f64 {
        let radius = (-2.0 * (1.0 - self.draw_fraction()).ln()).sqrt();
        let angle = std::f64::consts::TAU * self.draw_fraction();
        mean + standard_deviation * radius * angle.cos()
    }

    /// Draws from a log-normal distribution; `sigma` is the standard deviation of the logarithm.
    pub fn draw_log_normal(&mut self, median: f64, sigma: f64) -> f64 {
        median * self.draw_normal(0.0, sigma).exp()
    }

    /// Draws from an exponential distribution: the time between independent events that are `mean`
    /// apart on average.
    pub fn draw_exponential(&mut self, mean: f64) -> f64 {
        -mean * (1.0 - self.draw_fraction()).ln()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_draws_the_same_numbers_with_every_release() {
        let mut rng = SeededRng::new(1);
        let drawn: Vec<u64> = (0..3).map(|_| rng.next_u64()).collect();
        assert_eq!(
            drawn,
            [7_424_550_030_962_593_201, 1_482_817_706_323_250_795, 11_004_592_982_271_133_285]
        );
        assert_ne!(SeededRng::new(2).next_u64(), drawn[0]);
    }

    #[test]
    fn draws_stay_within_their_limits() {
        let mut rng = SeededRng::new(1);
        let indices: Vec<usize> = (0..100).map(|_| rng.draw_index(7)).collect();
        assert!((0..7).all(|n| indices.contains(&n)) && !indices.contains(&7));
        assert_eq!(rng.draw_index(0), 0);
        assert!((0..100).all(|_| (3..=5).contains(&rng.draw_u64(3, 5))));
        assert!((0..100).all(|_| (-1.0..2.0).contains(&rng.draw_f64(-1.0, 2.0))));
        assert_eq!(rng.pick(&[] as &[u8]), None);
        assert_eq!(rng.pick_weighted(&[(0, 'a'), (3, 'b')]), Some('b'));
        assert_eq!(rng.pick_weighted(&[(0, 'a')]), None);
    }

    #[test]
    fn distributions_have_their_means() {
        let mut rng = SeededRng::new(5);
        let mut mean_of = |draw: &dyn Fn(&mut SeededRng) -> f64| {
            (0..10_000).map(|_| draw(&mut rng)).sum::<f64>() / 10_000.0
        };
        assert!((mean_of(&SeededRng::draw_fraction) - 0.5).abs() < 0.02);
        assert!((mean_of(&|rng| rng.draw_normal(3.0, 1.0)) - 3.0).abs() < 0.05);
        assert!((mean_of(&|rng| rng.draw_exponential(0.1)) - 0.1).abs() < 0.005);
        assert!((mean_of(&|rng| rng.draw_log_normal(1.0, 0.5)) - 1.133).abs() < 0.05);
        assert!((mean_of(&|rng| f64::from(u8::from(rng.draw_bool(0.3)))) - 0.3).abs() < 0.03);
        assert!((mean_of(&|rng| f64::from(u8::from(rng.draw_percent(30)))) - 0.3).abs() < 0.03);
    }
}
