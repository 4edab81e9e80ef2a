//! Seeded chance: days must be the same on every machine and with every release of a library.

/// SplitMix64.
#[derive(Clone, Debug)]
pub(crate) struct ArenaRng(u64);

impl ArenaRng {
    pub(crate) fn new(seed: u64) -> Self {
        let mut chance = Self(seed);
        chance.next_u64();
        chance
    }

    pub(crate) fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    /// From 0 up to 1.
    pub(crate) fn draw_fraction(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }

    pub(crate) fn draw_in_range(&mut self, from: f64, to: f64) -> f64 {
        from + (to - from) * self.draw_fraction()
    }

    /// Whether something of this probability happens.
    pub(crate) fn draw_bool(&mut self, probability: f64) -> bool {
        self.draw_fraction() < probability
    }

    pub(crate) fn draw_index(&mut self, count: usize) -> usize {
        ((self.draw_fraction() * count as f64) as usize).min(count.saturating_sub(1))
    }

    pub(crate) fn pick<'a, T>(&mut self, things: &'a [T]) -> &'a T {
        &things[self.draw_index(things.len())]
    }

    pub(crate) fn draw_normal(&mut self, mean: f64, spread: f64) -> f64 {
        let radius = (-2.0 * (1.0 - self.draw_fraction()).ln()).sqrt();
        mean + spread * radius * (std::f64::consts::TAU * self.draw_fraction()).cos()
    }

    pub(crate) fn draw_log_normal(&mut self, median: f64, spread: f64) -> f64 {
        median * self.draw_normal(0.0, spread).exp()
    }

    pub(crate) fn draw_exponential(&mut self, mean: f64) -> f64 {
        -mean * (1.0 - self.draw_fraction()).ln()
    }
}
