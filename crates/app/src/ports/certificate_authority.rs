//! An authority that makes certificates for hosts whose control it can check (ACME, RFC 8555).

use async_trait::async_trait;

/// How the authority checks that a host is ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChallengeKind {
    /// It reads a text below `/.well-known/acme-challenge` on port 80.
    Http,
    /// It does a handshake for the protocol `acme-tls/1` on port 443.
    TlsAlpn,
}

/// What a certificate is ordered with.
#[derive(Clone)]
pub struct CertificateOrder {
    /// The hosts that it is to be for.
    pub hosts: Vec<String>,
    pub challenge: ChallengeKind,
    /// The account of earlier orders, as [`IssuedCertificate::account`]; `None` creates one.
    pub account: Option<String>,
}

/// The answer to one challenge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChallengeAnswer {
    pub host: String,
    pub token: String,
    /// What is served for the token; its SHA-256 is in the certificate of a handshake.
    pub key_authorization: String,
}

/// A certificate that was made.
pub struct IssuedCertificate {
    /// The certificate and its chain, in PEM format.
    pub chain: String,
    /// Its key, in PEM format.
    pub key: String,
    /// The account, for further orders. Secret.
    pub account: String,
}

/// Why no certificate was made. The text is for administrators.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthorityError {
    /// The authority does not know the account any longer.
    #[error("the authority does not know the account")]
    UnknownAccount,
    /// Anything else.
    #[error("{0}")]
    Failed(String),
}

/// Makes the answers to challenges known to all that may be asked for them.
#[async_trait]
pub trait AnswerPublisher: Send + Sync {
    /// Makes these answers known.
    ///
    /// # Errors
    /// When they cannot be: the authority must not ask then.
    async fn publish(&self, answers: &[ChallengeAnswer]) -> Result<(), String>;
}

/// Orders certificates.
#[async_trait]
pub trait CertificateAuthority: Send + Sync {
    /// Orders a certificate. The authority checks the hosts after their answers were published.
    ///
    /// # Errors
    /// When none was made.
    async fn order(
        &self,
        order: CertificateOrder,
        publisher: &dyn AnswerPublisher,
    ) -> Result<IssuedCertificate, AuthorityError>;
}
