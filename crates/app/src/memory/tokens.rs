//! One-time tokens, behind the same lock as servers and meetings.

use async_trait::async_trait;
use domain::Timestamp;
use domain::recording::RecordingFormatId;

use super::pool_store::MemoryPoolStore;
use crate::ports::{OneTimeTokens, StoreError};

#[async_trait]
impl OneTimeTokens for MemoryPoolStore {
    async fn put_token(
        &self,
        token: &str,
        format_id: &RecordingFormatId,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<(), StoreError> {
        let tokens = &mut self.lock().tokens;
        tokens.retain(|_, (_, until)| now < *until);
        tokens.insert(token.to_owned(), (format_id.clone(), until));
        Ok(())
    }

    async fn take_token(
        &self,
        token: &str,
        format_id: &RecordingFormatId,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let tokens = &mut self.lock().tokens;
        if tokens.get(token).is_none_or(|(granted, _)| granted != format_id) {
            return Ok(false);
        }
        Ok(tokens.remove(token).is_some_and(|(_, until)| now < until))
    }
}
