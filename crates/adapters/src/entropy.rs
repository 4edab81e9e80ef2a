//! The system clock and random numbers. No other file of the product reads them.

use std::time::{SystemTime, UNIX_EPOCH};

use app::ports::{Clock, Entropy};
use domain::Timestamp;
use rand::RngExt as _;
use rand::distr::{Alphanumeric, SampleString as _};

/// The system's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the only reader of the clock")]
    fn now(&self) -> Timestamp {
        let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp(i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX))
    }
}

/// Random numbers, seeded by the operating system.
#[derive(Clone, Copy, Debug, Default)]
pub struct OsEntropy;

impl OsEntropy {
    /// Generates a secret of 64 hex digits.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the only source of randomness")]
    pub fn secret(self) -> String {
        let bytes: [u8; 32] = rand::rng().random();
        hex::encode(bytes)
    }

    /// Generates a number.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the only source of randomness")]
    pub fn number(self) -> u64 {
        rand::rng().random()
    }
}

#[expect(clippy::disallowed_methods, reason = "the only source of randomness")]
impl Entropy for OsEntropy {
    fn generate_password(&self) -> String {
        Alphanumeric.sample_string(&mut rand::rng(), 8)
    }

    fn generate_uuid(&self) -> String {
        uuid::Uuid::new_v4().to_string()
    }

    fn generate_bytes(&self) -> [u8; 16] {
        rand::rng().random()
    }

    fn generate_fraction(&self) -> f64 {
        rand::rng().random()
    }
}
