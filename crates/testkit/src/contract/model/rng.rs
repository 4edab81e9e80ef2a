//! The random numbers of the model: the same for the same seed and sequence.

use crate::seeded_rng::SeededRng;

/// A seeded generator with draws that are convenient for making up calls.
pub(in crate::contract) struct TestRng(SeededRng);

impl TestRng {
    pub(in crate::contract) fn new(seed: u32, sequence: u32) -> Self {
        Self(SeededRng::new(u64::from(seed) << 32 | u64::from(sequence)))
    }

    /// Draws from `0..limit`.
    pub(in crate::contract) fn number_below(&mut self, limit: u32) -> u32 {
        u32::try_from(self.0.draw_u64(0, u64::from(limit.max(1) - 1))).unwrap()
    }

    /// Draws a number of milliseconds from `0..limit`.
    pub(in crate::contract) fn ms_below(&mut self, limit: u32) -> i64 {
        i64::from(self.number_below(limit))
    }

    /// Returns true in one of `count` cases.
    pub(in crate::contract) fn is_one_in(&mut self, count: u32) -> bool {
        self.number_below(count) == 0
    }

    /// Draws one of the items, of which there must be some.
    pub(in crate::contract) fn pick<T: Clone>(&mut self, items: &[T]) -> T {
        self.0.pick(items).expect("an item").clone()
    }
}
