//! Chance of a run: one seed gives the same numbers on every machine and with every release of a
//! library.

/// A small generator (`SplitMix64`).
#[derive(Clone, Debug)]
pub(crate) struct SimRng(u64);

impl SimRng {
    /// Dice of that seed.
    #[must_use]
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Dice of their own for a part of the run, so that what one part draws does not change what
    /// the others see.
    pub(crate) fn fork(&mut self) -> Self {
        Self(self.next_u64())
    }

    /// Any number.
    pub(crate) fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number in `low..=high`.
    pub(crate) fn draw_in_range(&mut self, low: u64, high: u64) -> u64 {
        low + self.next_u64() % (high - low + 1)
    }

    /// An index below `length`, which is not 0.
    pub(crate) fn draw_index(&mut self, length: usize) -> usize {
        let length = u64::try_from(length).unwrap_or(u64::MAX).max(1);
        usize::try_from(self.next_u64() % length).unwrap_or(0)
    }

    /// True in so many of a hundred cases.
    pub(crate) fn draw_bool(&mut self, percent: u64) -> bool {
        self.next_u64() % 100 < percent
    }

    /// One of these, if there is any.
    pub(crate) fn pick<'a, T>(&mut self, all: &'a [T]) -> Option<&'a T> {
        if all.is_empty() { None } else { all.get(self.draw_index(all.len())) }
    }

    /// One of these, each as likely as its weight.
    pub(crate) fn draw_weighted<T: Copy>(&mut self, all: &[(u64, T)]) -> Option<T> {
        let total: u64 = all.iter().map(|(weight, _)| weight).sum();
        let mut left = self.next_u64() % total.max(1);
        for (weight, one) in all {
            if left < *weight {
                return Some(*one);
            }
            left -= weight;
        }
        None
    }
}
