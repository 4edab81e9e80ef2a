//! The only place that reads the clock and draws random numbers.

use std::time::{SystemTime, UNIX_EPOCH};

use app::ports::{Clock, Entropy};
use domain::Timestamp;
use rand::RngExt as _;
use rand::distr::{Alphanumeric, SampleString as _};

/// The system's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the place that reads the clock")]
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }
}

/// The operating system's randomness.
#[derive(Clone, Copy, Debug, Default)]
pub struct OsEntropy;

impl OsEntropy {
    /// A secret of 64 hex digits.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the place that draws randomness")]
    pub fn secret(self) -> String {
        let bytes: [u8; 32] = rand::rng().random();
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Any number.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the place that draws randomness")]
    pub fn number(self) -> u64 {
        rand::rng().random()
    }
}

#[expect(clippy::disallowed_methods, reason = "this is the place that draws randomness")]
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
