//! Repeatable random numbers for latencies and arrivals: the same seed gives the same run.

use std::f64::consts::TAU;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// A seeded source of the two distributions the simulator needs.
#[derive(Debug)]
pub(crate) struct RandomSource(StdRng);

impl RandomSource {
    pub(crate) fn new(seed: u64) -> Self {
        Self(StdRng::seed_from_u64(seed))
    }

    /// Even over `[0, 1)`.
    pub(crate) fn uniform(&mut self) -> f64 {
        // The upper 53 bits are what a f64 holds exactly.
        let bits = self.0.next_u64() >> 11;
        bits as f64 / (1u64 << 53) as f64
    }

    /// Standard normal (Box and Muller).
    pub(crate) fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.uniform()).ln()).sqrt();
        radius * (TAU * self.uniform()).cos()
    }
}
