//! A clock that is set by hand, and values that count up instead of random ones.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use domain::Timestamp;

use crate::ports::{Clock, Entropy};

/// A clock that only changes when it is advanced.
#[derive(Debug, Default)]
pub struct ManualClock(AtomicI64);

impl ManualClock {
    /// Creates a clock that shows this time.
    #[must_use]
    pub fn starting_at(now: Timestamp) -> Self {
        Self(AtomicI64::new(now.0))
    }

    /// Advances the clock; a negative number sets it back.
    pub fn advance_ms(&self, ms: i64) {
        self.0.fetch_add(ms, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }
}

/// A counter instead of randomness: every value differs, and every run produces the same values.
#[derive(Debug, Default)]
pub struct CountingEntropy(AtomicU64);

impl CountingEntropy {
    fn next_number(&self) -> u64 {
        self.0.fetch_add(1, Ordering::SeqCst)
    }
}

impl Entropy for CountingEntropy {
    fn generate_password(&self) -> String {
        format!("pw{:06}", self.next_number())
    }

    fn generate_uuid(&self) -> String {
        format!("00000000-0000-4000-8000-{:012}", self.next_number())
    }

    fn generate_bytes(&self) -> [u8; 16] {
        u128::from(self.next_number()).to_be_bytes()
    }

    fn generate_fraction(&self) -> f64 {
        0.5
    }
}
