//! The clock and the source of randomness.

use domain::Timestamp;

/// The clock.
pub trait Clock: Send + Sync {
    /// Returns the current time.
    fn now(&self) -> Timestamp;
}

/// A source of unpredictable values.
pub trait Entropy: Send + Sync {
    /// Returns a password of 8 letters and digits, like those that the original generates for
    /// moderators.
    fn generate_password(&self) -> String;
    /// Returns a unique identifier in the form of a UUID.
    fn generate_uuid(&self) -> String;
    /// Returns random bytes for encryption and tokens.
    fn generate_bytes(&self) -> [u8; 16];
    /// Returns a number from 0 (inclusive) to 1 (exclusive), for jitter.
    fn generate_fraction(&self) -> f64;
}
