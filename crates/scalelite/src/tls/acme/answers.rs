//! Answers to the authority's challenges. The authority may ask any replica, whichever orders; anybody else may ask as well, so the store is
//! read once a second at most.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rcgen::{CertificateParams, CustomExtension, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::sign::CertifiedKey;
use sha2::{Digest as _, Sha256};
use tokio::time::Instant;

use super::state::{SavedAnswer, SharedState};
use crate::tls::certificate::provider;

/// Time between two reads of the store for unknown challenges.
const READ_PAUSE: Duration = Duration::from_secs(1);

/// The answers that are known here, and when the store was read last.
#[derive(Default)]
struct Known {
    answers: Vec<SavedAnswer>,
    read_at: Option<Instant>,
}

/// Answers challenges.
#[derive(Clone)]
pub struct ChallengeAnswers {
    state: SharedState,
    known: Arc<Mutex<Known>>,
}

impl ChallengeAnswers {
    /// Answers with what the state has.
    pub fn new(state: SharedState) -> Self {
        Self { state, known: Arc::default() }
    }

    /// Takes note of the answers of an order of this process.
    pub fn set(&self, answers: Vec<SavedAnswer>) {
        self.lock().answers = answers;
    }

    /// Returns what is served for a token (HTTP-01).
    pub async fn text_for(&self, token: &str) -> Option<String> {
        let answer = self.find(|answer| answer.token == token).await?;
        Some(answer.key_authorization)
    }

    /// Returns the certificate that proves that a host is ours (TLS-ALPN-01).
    pub async fn certificate_for(&self, host: &str) -> Option<Arc<CertifiedKey>> {
        let answer = self.find(|answer| answer.host.eq_ignore_ascii_case(host)).await?;
        make_certificate(&answer)
    }

    async fn find(
        &self,
        is_asked: impl Fn(&SavedAnswer) -> bool + Send + Sync,
    ) -> Option<SavedAnswer> {
        let find = |known: &Known| known.answers.iter().find(|answer| is_asked(answer)).cloned();
        {
            let mut known = self.lock();
            let found = find(&known);
            if found.is_some()
                || known.read_at.is_some_and(|read_at| read_at.elapsed() < READ_PAUSE)
            {
                return found;
            }
            known.read_at = Some(Instant::now());
        }
        let order = self.state.read().await.ok()?.order?;
        let mut known = self.lock();
        known.answers = order.answers;
        find(&known)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn make_certificate(answer: &SavedAnswer) -> Option<Arc<CertifiedKey>> {
    let digest = Sha256::digest(answer.key_authorization.as_bytes());
    let mut params = CertificateParams::new(vec![answer.host.clone()]).ok()?;
    params.custom_extensions = vec![CustomExtension::new_acme_identifier(&digest)];
    let key = KeyPair::generate().ok()?;
    let certificate = params.self_signed(&key).ok()?.der().clone();
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let key = provider().key_provider.load_private_key(key).ok()?;
    // Not checked as other certificates are: the extension with the answer is critical and known to authorities only.
    Some(Arc::new(CertifiedKey::new(vec![certificate], key)))
}
