//! Time and chance, as parameters of the whole application.

use domain::Timestamp;

/// Tells the time.
pub trait Clock: Send + Sync {
    /// Now.
    fn now(&self) -> Timestamp;
}

/// Makes what nobody may guess or repeat.
pub trait Entropy: Send + Sync {
    /// A password of 8 letters and digits, as the original makes for moderators.
    fn generate_password(&self) -> String;
    /// An identifier that occurs once, in the form of a UUID.
    fn generate_uuid(&self) -> String;
    /// Bytes for what is encrypted.
    fn generate_bytes(&self) -> [u8; 16];
    /// A number in 0..1, for jitter.
    fn generate_fraction(&self) -> f64;
}
