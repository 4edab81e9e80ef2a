//! Sealing: what is stored encrypted.

/// Seals what nobody who reads the store may read or change.
pub trait Sealer: Send + Sync {
    /// Returns the sealed text. `context` says what it belongs to, and is not part of it. `None` if
    /// there is no key.
    fn seal(&self, context: &str, plain: &[u8]) -> Option<String>;

    /// Returns what was sealed. `None` if that was done with another key or for another context, or if
    /// the text was changed.
    fn open(&self, context: &str, sealed: &str) -> Option<Vec<u8>>;
}
