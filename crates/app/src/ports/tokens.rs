//! One-time tokens that open a protected recording.

use async_trait::async_trait;
use domain::Timestamp;

use super::StoreError;

/// What a token opens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The recording.
    pub record_id: String,
    /// Its playback format.
    pub format: String,
}

/// One-time tokens.
#[async_trait]
pub trait OneTimeTokens: Send + Sync {
    /// Keeps a token until it is taken or that time comes.
    async fn put_token(
        &self,
        token: &str,
        grant: &Grant,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<(), StoreError>;

    /// Takes a token: of many who take the same one, one gets it.
    async fn take_token(&self, token: &str, now: Timestamp) -> Result<Option<Grant>, StoreError>;
}
