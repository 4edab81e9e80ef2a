//! Chance that is the same every time.

/// A small generator (xorshift64*), the same everywhere.
pub(in crate::contract) struct TestRng(u64);

impl TestRng {
    pub(in crate::contract) fn new(seed: u64, sequence: u32) -> Self {
        let mixed = seed ^ u64::from(sequence).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut dice = Self(mixed.wrapping_mul(0xbf58_476d_1ce4_e5b9) | 1);
        for _ in 0..8 {
            dice.number_below(2);
        }
        dice
    }

    pub(in crate::contract) fn number_below(&mut self, sides: u32) -> u32 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let high = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32;
        u32::try_from(high).unwrap_or(0) % sides
    }

    pub(in crate::contract) fn ms_below(&mut self, below: u32) -> i64 {
        i64::from(self.number_below(below))
    }

    pub(in crate::contract) fn is_one_in(&mut self, sides: u32) -> bool {
        self.number_below(sides) == 0
    }

    pub(in crate::contract) fn pick<T: Clone>(&mut self, all: &[T]) -> T {
        let at = self.number_below(u32::try_from(all.len()).unwrap_or(u32::MAX));
        all[at as usize].clone()
    }
}
