//! The certificate of all replicas, behind the same lock as servers and meetings.

use async_trait::async_trait;

use super::pool_store::MemoryPoolStore;
use crate::ports::{CertificateState, StoreError};

#[async_trait]
impl CertificateState for MemoryPoolStore {
    async fn read_certificate_state(&self) -> Result<Option<String>, StoreError> {
        Ok(self.lock().certificate_state.clone())
    }

    async fn replace_certificate_state(
        &self,
        expected: Option<&str>,
        new: &str,
    ) -> Result<bool, StoreError> {
        let state = &mut self.lock().certificate_state;
        let is_expected = state.as_deref() == expected;
        if is_expected {
            *state = Some(new.to_owned());
        }
        Ok(is_expected)
    }
}
