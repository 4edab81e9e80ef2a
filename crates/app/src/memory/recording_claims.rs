//! Claims on recordings in a map.

use async_trait::async_trait;
use domain::Timestamp;

use super::recordings::MemoryRecordings;
use crate::ports::{RecordingClaims, StoreError};

#[async_trait]
impl RecordingClaims for MemoryRecordings {
    async fn claim_recording(
        &self,
        record_id: &str,
        token: &str,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<bool, StoreError> {
        let mut state = self.lock();
        let is_held = state.claims.get(record_id).is_some_and(|(_, held_until)| *held_until > now);
        if !is_held {
            state.claims.insert(record_id.to_owned(), (token.to_owned(), until));
        }
        Ok(!is_held)
    }

    async fn renew_recording_claim(
        &self,
        record_id: &str,
        token: &str,
        until: Timestamp,
    ) -> Result<bool, StoreError> {
        let mut state = self.lock();
        let held = state.claims.get_mut(record_id).filter(|(holder, _)| holder == token);
        Ok(held.map(|held| held.1 = until).is_some())
    }

    async fn release_recording(&self, record_id: &str, token: &str) -> Result<(), StoreError> {
        let mut state = self.lock();
        if state.claims.get(record_id).is_some_and(|(holder, _)| holder == token) {
            state.claims.remove(record_id);
        }
        Ok(())
    }
}
