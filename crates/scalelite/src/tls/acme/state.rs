//! What replicas share of the certificate that they get by ACME. It is stored as one sealed text, and replaced only by whoever has read it as it
//! is: of several replicas one orders.

use std::sync::Arc;

use app::ports::{CertificateState, ChallengeAnswer, Clock, Sealer, StoreError};
use domain::Timestamp;
use serde::{Deserialize, Serialize};

/// What the sealed text belongs to.
const CONTEXT: &str = "certificate";
/// A text that cannot be opened is left alone for so long: another replica with another secret may have written it.
const FOREIGN_MS: i64 = 2 * 24 * 3600 * 1000;
/// Attempts to change the state while others change it too.
const MAX_TRIES: usize = 5;

/// What is shared.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct AcmeState {
    /// The account at an authority.
    pub account: Option<SavedAccount>,
    /// The certificate.
    pub certificate: Option<SavedCertificate>,
    /// The order that is under way.
    pub order: Option<RunningOrder>,
    /// Orders in a row that failed.
    pub failures: u32,
    /// Not before this time is ordered again, in ms since 1970.
    pub next_order_ms: i64,
    /// Why the last order failed.
    pub problem: Option<String>,
}

/// An account, and the directory of its authority.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SavedAccount {
    pub directory: String,
    pub credentials: String,
}

/// A certificate with its chain and its key, in PEM format.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct SavedCertificate {
    pub chain: String,
    pub key: String,
}

impl std::fmt::Debug for SavedCertificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SavedCertificate")
    }
}

/// An order that is under way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunningOrder {
    /// The process that orders.
    pub owner: String,
    /// When others may order, because the process has probably died, in ms since 1970.
    pub until_ms: i64,
    pub answers: Vec<SavedAnswer>,
}

/// The answer to a challenge.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SavedAnswer {
    pub host: String,
    pub token: String,
    pub key_authorization: String,
}

impl From<&ChallengeAnswer> for SavedAnswer {
    fn from(answer: &ChallengeAnswer) -> Self {
        let ChallengeAnswer { host, token, key_authorization } = answer.clone();
        Self { host, token, key_authorization }
    }
}

/// The text in the store.
#[derive(Serialize, Deserialize)]
struct Envelope {
    written_ms: i64,
    sealed: String,
}

/// Why the state cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SharedStateError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(
        "the stored certificate was sealed with another secret: all replicas need the same SECRET_KEY_BASE or LOADBALANCER_SECRET; \
         if it was changed, put the former one into LOADBALANCER_SECRETS, or wait two days"
    )]
    Foreign,
    #[error("the state cannot be stored: there is no secret to seal it with")]
    NoSecret,
    #[error("other replicas change the stored certificate at the same time")]
    Busy,
}

/// The state in the store.
#[derive(Clone)]
pub struct SharedState {
    pub store: Arc<dyn CertificateState>,
    pub sealer: Arc<dyn Sealer>,
    pub clock: Arc<dyn Clock>,
}

impl SharedState {
    /// Reads the state.
    ///
    /// # Errors
    /// When the store fails, or another secret has sealed it.
    pub async fn read(&self) -> Result<AcmeState, SharedStateError> {
        Ok(self.read_text().await?.1)
    }

    async fn read_text(&self) -> Result<(Option<String>, AcmeState), SharedStateError> {
        let Some(text) = self.store.read_certificate_state().await? else {
            return Ok((None, AcmeState::default()));
        };
        let Ok(envelope) = serde_json::from_str::<Envelope>(&text) else {
            return Ok((Some(text), AcmeState::default()));
        };
        let opened = self.sealer.open(CONTEXT, &envelope.sealed);
        let state = opened.and_then(|plain| serde_json::from_slice(&plain).ok());
        let age_ms = self.clock.now().0.saturating_sub(envelope.written_ms);
        match state {
            Some(state) => Ok((Some(text), state)),
            None if age_ms.abs() < FOREIGN_MS => Err(SharedStateError::Foreign),
            None => Ok((Some(text), AcmeState::default())),
        }
    }

    /// Changes the state. `change` returns whether there is anything to change, and may run several times. Returns the state afterwards, and
    /// whether it was changed.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn change(
        &self,
        change: impl Fn(&mut AcmeState, Timestamp) -> bool + Send + Sync,
    ) -> Result<(AcmeState, bool), SharedStateError> {
        for _ in 0..MAX_TRIES {
            let (text, mut state) = self.read_text().await?;
            let now = self.clock.now();
            if !change(&mut state, now) {
                return Ok((state, false));
            }
            let new = self.seal(&state, now)?;
            if self.store.replace_certificate_state(text.as_deref(), &new).await? {
                return Ok((state, true));
            }
        }
        Err(SharedStateError::Busy)
    }

    fn seal(&self, state: &AcmeState, now: Timestamp) -> Result<String, SharedStateError> {
        let plain = serde_json::to_vec(state).map_err(|_| SharedStateError::NoSecret)?;
        let sealed = self.sealer.seal(CONTEXT, &plain).ok_or(SharedStateError::NoSecret)?;
        let envelope = Envelope { written_ms: now.0, sealed };
        serde_json::to_string(&envelope).map_err(|_| SharedStateError::NoSecret)
    }
}
