//! Signatures with an RSA key of the operator, made by the library that TLS uses.

use std::sync::Arc;

use rustls::SignatureScheme;
use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::sign::SigningKey;

/// An RSA key.
#[derive(Clone, Debug)]
pub struct RsaKey(Arc<dyn SigningKey>);

impl RsaKey {
    /// Reads a key in PEM, `RSA PRIVATE KEY` or `PRIVATE KEY`. Returns `None` for anything else.
    #[must_use]
    pub fn from_pem(pem: &[u8]) -> Option<Self> {
        let key = PrivateKeyDer::from_pem_slice(pem).ok()?;
        let key = Self(any_supported_type(&key).ok()?);
        key.sign(b"").map(|_| key)
    }

    /// Signs a message: SHA-256, PKCS #1 v1.5.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> Option<Vec<u8>> {
        self.0.choose_scheme(&[SignatureScheme::RSA_PKCS1_SHA256])?.sign(message).ok()
    }
}
