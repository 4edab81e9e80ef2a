//! Messages to front-ends in a map.

use async_trait::async_trait;
use domain::Timestamp;

use super::recording_state::{RecordingStoreState, to_usize};
use super::recordings::MemoryRecordings;
use crate::ports::{Outbox, OutboxMessage, StoreError};

impl RecordingStoreState {
    /// Lists the messages that match, the oldest first.
    fn messages_by_age(
        &mut self,
        matches: impl Fn(&OutboxMessage) -> bool,
    ) -> Vec<&mut OutboxMessage> {
        let mut found: Vec<&mut OutboxMessage> =
            self.messages.values_mut().filter(|message| matches(message)).collect();
        found.sort_by_key(|message| message.posted_at);
        found
    }
}

#[async_trait]
impl Outbox for MemoryRecordings {
    async fn post_message(&self, message: &OutboxMessage) -> Result<(), StoreError> {
        self.lock().messages.entry(message.id.clone()).or_insert_with(|| message.clone());
        Ok(())
    }

    async fn take_due_messages(
        &self,
        now: Timestamp,
        until: Timestamp,
        limit: u32,
    ) -> Result<Vec<OutboxMessage>, StoreError> {
        let mut state = self.lock();
        let is_due = |message: &OutboxMessage| message.due_at.is_some_and(|due_at| due_at <= now);
        let due = state.messages_by_age(is_due);
        let taken = due.into_iter().take(to_usize(limit)).map(|message| {
            message.due_at = Some(until);
            message.clone()
        });
        Ok(taken.collect())
    }

    async fn remove_message(&self, id: &str) -> Result<(), StoreError> {
        self.lock().messages.remove(id);
        Ok(())
    }

    async fn postpone_message(
        &self,
        id: &str,
        failure: &str,
        due_at: Option<Timestamp>,
    ) -> Result<(), StoreError> {
        if let Some(message) = self.lock().messages.get_mut(id) {
            message.attempts = message.attempts.saturating_add(1);
            message.failure = Some(failure.to_owned());
            message.due_at = due_at;
        }
        Ok(())
    }

    async fn list_messages(&self, limit: u32) -> Result<Vec<OutboxMessage>, StoreError> {
        let mut state = self.lock();
        let all = state.messages_by_age(|_| true).into_iter();
        Ok(all.take(to_usize(limit)).map(|message| message.clone()).collect())
    }

    async fn list_given_up(&self, limit: u32) -> Result<Vec<OutboxMessage>, StoreError> {
        let mut state = self.lock();
        let given_up = state.messages_by_age(|message| message.due_at.is_none());
        let newest = given_up.into_iter().rev().take(to_usize(limit));
        Ok(newest.map(|message| OutboxMessage { body: None, ..message.clone() }).collect())
    }

    async fn retry_messages(&self, id: Option<&str>, now: Timestamp) -> Result<u64, StoreError> {
        let mut state = self.lock();
        let mut count = 0;
        for message in state.messages.values_mut() {
            if id.map_or(message.due_at.is_none(), |id| message.id == id) {
                message.due_at = Some(now);
                count += 1;
            }
        }
        Ok(count)
    }

    async fn forget_messages(&self, before: Timestamp) -> Result<u64, StoreError> {
        let mut state = self.lock();
        let count = state.messages.len();
        state.messages.retain(|_, message| message.posted_at >= before);
        Ok(u64::try_from(count - state.messages.len()).unwrap_or(u64::MAX))
    }
}
