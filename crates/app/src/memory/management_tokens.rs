//! Management tokens, behind the same lock as servers and meetings.

use async_trait::async_trait;
use domain::Timestamp;

use super::pool_store::MemoryPoolStore;
use crate::ports::{ManagementToken, ManagementTokens, StoreError, TokenAddition};

#[async_trait]
impl ManagementTokens for MemoryPoolStore {
    async fn add_management_token(
        &self,
        token: &ManagementToken,
        max: usize,
    ) -> Result<TokenAddition, StoreError> {
        let tokens = &mut self.lock().management_tokens;
        let is_taken = |other: &ManagementToken| other.id == token.id || other.name == token.name;
        if tokens.values().any(is_taken) {
            return Ok(TokenAddition::NameTaken);
        }
        if tokens.len() >= max {
            return Ok(TokenAddition::TooMany);
        }
        tokens.insert(token.id.clone(), token.clone());
        Ok(TokenAddition::Added)
    }

    async fn list_management_tokens(&self) -> Result<Vec<ManagementToken>, StoreError> {
        let mut tokens: Vec<_> = self.lock().management_tokens.values().cloned().collect();
        tokens.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(tokens)
    }

    async fn remove_management_token(&self, id: &str) -> Result<bool, StoreError> {
        Ok(self.lock().management_tokens.remove(id).is_some())
    }

    async fn record_token_use(&self, id: &str, at: Timestamp) -> Result<(), StoreError> {
        if let Some(token) = self.lock().management_tokens.get_mut(id) {
            token.last_used_at = token.last_used_at.max(Some(at));
        }
        Ok(())
    }
}
