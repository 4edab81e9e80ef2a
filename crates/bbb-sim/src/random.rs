//! Repeatable random numbers for latencies and schedules: the same seed gives the same numbers.

use std::f64::consts::TAU;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// A seeded source of uniform and normal random numbers.
#[derive(Debug)]
pub(crate) struct RandomSource(StdRng);

impl RandomSource {
    pub(crate) fn new(seed: u64) -> Self {
        Self(StdRng::seed_from_u64(seed))
    }

    /// Draws a number from the uniform distribution over `[0, 1)`.
    pub(crate) fn uniform(&mut self) -> f64 {
        // An f64 represents integers of 53 bits exactly.
        let bits = self.0.next_u64() >> 11;
        bits as f64 / (1u64 << 53) as f64
    }

    /// Draws a number from the standard normal distribution (Box-Muller transform).
    pub(crate) fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.uniform()).ln()).sqrt();
        radius * (TAU * self.uniform()).cos()
    }
}
