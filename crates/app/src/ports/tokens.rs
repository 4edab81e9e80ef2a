//! One-time tokens, each of which grants access to a playback format of a protected recording once.

use async_trait::async_trait;
use domain::Timestamp;
use domain::recording::RecordingFormatId;

use super::store_error::StoreError;

/// Stores one-time tokens. Every method is atomic, and fails only if the store fails.
#[async_trait]
pub trait OneTimeTokens: Send + Sync {
    /// Stores a token, and what it grants access to, until it is taken or expires at `until`. A
    /// token that exists already is replaced.
    async fn put_token(
        &self,
        token: &str,
        format_id: &RecordingFormatId,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<(), StoreError>;

    /// Removes a token that grants access to this format; returns whether there was one that has not expired. Of several callers one
    /// gets it. A token that grants access to another format stays: it was tried at the wrong recording.
    async fn take_token(
        &self,
        token: &str,
        format_id: &RecordingFormatId,
        now: Timestamp,
    ) -> Result<bool, StoreError>;
}
