//! The certificate in use. A new one takes its place between two handshakes; connections go on with the one they began with.

use std::sync::{Arc, PoisonError, RwLock};

use domain::Timestamp;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::certificate::{Certificate, CertificateFacts};

/// The certificate in use, and what keeps it from being renewed.
#[derive(Debug, Default)]
pub struct CertificateHolder {
    current: RwLock<Option<Certificate>>,
    problem: RwLock<Option<String>>,
}

/// What there is to say of the certificate in use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateStatus {
    /// When it ends; `None` if there is none.
    pub not_after: Option<Timestamp>,
    /// Why it is not renewed; `None` if all is well.
    pub problem: Option<String>,
}

impl CertificateHolder {
    /// Puts a certificate into use.
    pub fn set(&self, certificate: Certificate) {
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Some(certificate);
    }

    /// Takes note of what keeps the certificate from being renewed. Returns whether that is new.
    pub fn set_problem(&self, problem: Option<String>) -> bool {
        let mut known = self.problem.write().unwrap_or_else(PoisonError::into_inner);
        let is_new = *known != problem;
        *known = problem;
        is_new
    }

    /// Returns what the certificate in use says of itself.
    pub fn facts(&self) -> Option<CertificateFacts> {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        current.as_ref().map(|certificate| certificate.facts.clone())
    }

    /// Returns what there is to say of the certificate in use.
    pub fn status(&self) -> CertificateStatus {
        let problem = self.problem.read().unwrap_or_else(PoisonError::into_inner).clone();
        CertificateStatus { not_after: self.facts().map(|facts| facts.not_after), problem }
    }

    fn key(&self) -> Option<Arc<CertifiedKey>> {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        current.as_ref().map(|certificate| certificate.key.clone())
    }
}

impl ResolvesServerCert for CertificateHolder {
    fn resolve(&self, _client_hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.key()
    }
}
