//! Chance that is the same every time.

/// A small generator (xorshift64*), the same everywhere.
pub(in crate::contract) struct Dice(u64);

impl Dice {
    pub(in crate::contract) fn new(seed: u64, sequence: u32) -> Self {
        let mixed = seed ^ u64::from(sequence).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut dice = Self(mixed.wrapping_mul(0xbf58_476d_1ce4_e5b9) | 1);
        for _ in 0..8 {
            dice.roll(2);
        }
        dice
    }

    pub(in crate::contract) fn roll(&mut self, sides: u32) -> u32 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let high = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32;
        u32::try_from(high).unwrap_or(0) % sides
    }

    pub(in crate::contract) fn ms(&mut self, below: u32) -> i64 {
        i64::from(self.roll(below))
    }

    pub(in crate::contract) fn one_in(&mut self, sides: u32) -> bool {
        self.roll(sides) == 0
    }

    pub(in crate::contract) fn of<T: Clone>(&mut self, all: &[T]) -> T {
        let at = self.roll(u32::try_from(all.len()).unwrap_or(u32::MAX));
        all[at as usize].clone()
    }
}
