//! Sessions of ended meetings, behind the same lock as servers and meetings.

use async_trait::async_trait;
use domain::{MeetingSession, Timestamp};

use super::pool_store::MemoryPoolStore;
use crate::ports::{SessionHistory, StoreError};

#[async_trait]
impl SessionHistory for MemoryPoolStore {
    async fn record_session(&self, session: &MeetingSession) -> Result<(), StoreError> {
        let key = (session.created_at, session.key.clone());
        self.lock().sessions.insert(key, session.clone());
        Ok(())
    }

    async fn list_sessions(
        &self,
        since: Timestamp,
        max: usize,
    ) -> Result<Vec<MeetingSession>, StoreError> {
        let state = self.lock();
        let newest_first = state.sessions.values().rev();
        let listed = newest_first.take_while(|session| session.created_at >= since);
        Ok(listed.take(max).cloned().collect())
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
