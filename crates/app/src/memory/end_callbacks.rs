//! End callbacks in a map.

use async_trait::async_trait;
use domain::{MeetingKey, Timestamp};

use super::recording_state::to_usize;
use super::recordings::MemoryRecordings;
use crate::ports::{EndCallback, EndCallbacks, MeetingPlace, OutboxMessage, StoreError};

#[async_trait]
impl EndCallbacks for MemoryRecordings {
    async fn register_end_callbacks(&self, callbacks: &[EndCallback]) -> Result<(), StoreError> {
        let mut state = self.lock();
        for callback in callbacks {
            let withdrawn = state.messages.remove(&callback.message_id());
            match state.end_callbacks.get_mut(&callback.id) {
                Some(known) => {
                    let is_over = callback.created_at > known.create_until;
                    known.open_creates = if is_over { 1 } else { known.open_creates + 1 };
                    known.created_at = callback.created_at.max(known.created_at.plus_ms(1));
                    known.create_until = callback.create_until;
                    known.check_at = callback.check_at;
                }
                None => {
                    let mut new = callback.clone();
                    if withdrawn.is_some() {
                        (new.is_confirmed, new.suspected_at) = (true, Some(new.created_at));
                    }
                    state.end_callbacks.insert(new.id.clone(), new);
                }
            }
        }
        Ok(())
    }

    async fn close_create(
        &self,
        ids: &[String],
        place: Option<&MeetingPlace>,
        now: Timestamp,
        check_at: Timestamp,
    ) -> Result<(), StoreError> {
        let mut state = self.lock();
        let callbacks = state.end_callbacks.values_mut();
        for callback in callbacks.filter(|callback| ids.contains(&callback.id)) {
            if let Some(place) = place {
                callback.is_confirmed = true;
                callback.server = Some(place.server.clone());
                callback.internal_id = place.internal_id.clone();
            }
            callback.open_creates = callback.open_creates.saturating_sub(1);
            if callback.open_creates > 0 {
                continue;
            }
            callback.create_until = Timestamp::default();
            callback.check_at = if callback.suspected_at.is_some() { now } else { check_at };
        }
        Ok(())
    }

    async fn suspect_ends(
        &self,
        keys: &[MeetingKey],
        recording_marks: Option<bool>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut state = self.lock();
        let callbacks = state.end_callbacks.values_mut();
        for callback in callbacks.filter(|callback| keys.contains(&callback.key)) {
            callback.suspected_at = Some(now);
            callback.recording_marks = recording_marks.or(callback.recording_marks);
            callback.check_at = now;
        }
        Ok(())
    }

    async fn list_end_callbacks(&self, key: &MeetingKey) -> Result<Vec<EndCallback>, StoreError> {
        let state = self.lock();
        let callbacks = state.end_callbacks.values().filter(|callback| callback.key == *key);
        Ok(callbacks.cloned().collect())
    }

    async fn take_due_end_callbacks(
        &self,
        now: Timestamp,
        until: Timestamp,
        limit: u32,
    ) -> Result<Vec<EndCallback>, StoreError> {
        let mut state = self.lock();
        let callbacks = state.end_callbacks.values_mut();
        let mut due: Vec<_> = callbacks.filter(|callback| callback.check_at <= now).collect();
        due.sort_by_key(|callback| callback.check_at);
        let taken = due.into_iter().take(to_usize(limit)).map(|callback| {
            callback.check_at = until;
            callback.clone()
        });
        Ok(taken.collect())
    }

    async fn postpone_end_check(
        &self,
        checked: &EndCallback,
        place: Option<&MeetingPlace>,
        suspected_at: Option<Timestamp>,
        check_at: Timestamp,
    ) -> Result<(), StoreError> {
        let mut state = self.lock();
        let callback = state.end_callbacks.get_mut(&checked.id).filter(|known| {
            known.created_at == checked.created_at && known.suspected_at == checked.suspected_at
        });
        if let Some(callback) = callback {
            callback.suspected_at = suspected_at;
            callback.check_at = check_at;
            if let Some(place) = place {
                callback.is_confirmed = true;
                callback.server = Some(place.server.clone());
                callback.internal_id = place.internal_id.clone();
            }
        }
        Ok(())
    }

    async fn finish_end_callback(
        &self,
        checked: &EndCallback,
        message: Option<&OutboxMessage>,
    ) -> Result<bool, StoreError> {
        let mut state = self.lock();
        let known = state.end_callbacks.get(&checked.id);
        if known.is_none_or(|known| known.created_at != checked.created_at) {
            return Ok(false);
        }
        state.end_callbacks.remove(&checked.id);
        if let Some(message) = message {
            state.messages.entry(message.id.clone()).or_insert_with(|| message.clone());
        }
        Ok(true)
    }
}
