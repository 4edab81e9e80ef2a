//! One-time tokens that open a protected recording.

use async_trait::async_trait;
use domain::Timestamp;
use domain::recording::RecordingFormatId;

use super::store_error::StoreError;

/// One-time tokens.
#[async_trait]
pub trait OneTimeTokens: Send + Sync {
    /// Keeps a token until it is taken or that time comes.
    async fn put_token(
        &self,
        token: &str,
        format_id: &RecordingFormatId,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<(), StoreError>;

    /// Takes a token: of many who take the same one, one gets it.
    async fn take_token(
        &self,
        token: &str,
        now: Timestamp,
    ) -> Result<Option<RecordingFormatId>, StoreError>;
}
