//! What all replicas share of the certificate that they get from an authority (ACME): the account, the certificate with its key, and the
//! challenges that any of them must be able to answer. It is one text, sealed by the application.

use async_trait::async_trait;

use super::store_error::StoreError;

/// Longest text that is kept, in bytes.
pub const MAX_CERTIFICATE_STATE_BYTES: usize = 256 << 10;

/// Keeps the text.
#[async_trait]
pub trait CertificateState: Send + Sync {
    /// Returns the text; `None` if there is none yet.
    ///
    /// # Errors
    /// When the store fails.
    async fn read_certificate_state(&self) -> Result<Option<String>, StoreError>;

    /// Replaces the text, if it still is the expected one; `None` expects that there is none. Returns whether it was replaced: of all
    /// that expect the same text, one replaces it.
    ///
    /// # Errors
    /// When the store fails.
    async fn replace_certificate_state(
        &self,
        expected: Option<&str>,
        new: &str,
    ) -> Result<bool, StoreError>;
}
