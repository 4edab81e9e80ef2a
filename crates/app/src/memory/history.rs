//! Sessions in a map.

use async_trait::async_trait;
use domain::{Session, Timestamp};

use super::MemoryCluster;
use crate::ports::{History, StoreError};

#[async_trait]
impl History for MemoryCluster {
    async fn record_session(&self, session: &Session) -> Result<(), StoreError> {
        let key = (session.created_at, session.key.clone());
        self.lock().sessions.insert(key, session.clone());
        Ok(())
    }

    async fn sessions(&self, since: Timestamp, max: usize) -> Result<Vec<Session>, StoreError> {
        let state = self.lock();
        let newest = state.sessions.values().rev();
        Ok(newest.take_while(|one| one.created_at >= since).take(max).cloned().collect())
    }

    async fn forget_sessions(&self, before: Timestamp, max: usize) -> Result<(), StoreError> {
        let mut state = self.lock();
        state.sessions.retain(|(created_at, _), _| *created_at >= before);
        while state.sessions.len() > max {
            state.sessions.pop_first();
        }
        Ok(())
    }
}
