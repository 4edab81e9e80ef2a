//! Recordings and callbacks, behind one lock.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use domain::recording::{Callback, Recording};
use domain::{MeetingKey, Timestamp};

use super::recording_state::{RecordingStoreState, to_usize};
use crate::ports::{RecordingCounts, Recordings, StoreError};

/// The reference implementation of [`crate::ports::RecordingStore`].
#[derive(Default)]
pub struct MemoryRecordings(Mutex<RecordingStoreState>);

impl MemoryRecordings {
    pub(super) fn lock(&self) -> MutexGuard<'_, RecordingStoreState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn read_page<T: Clone>(rows: &BTreeMap<String, T>, after: Option<&str>, limit: u32) -> Vec<T> {
    let start = after.map_or(Bound::Unbounded, |after| Bound::Excluded(after.to_owned()));
    let page = rows.range((start, Bound::Unbounded)).take(to_usize(limit));
    page.map(|(_, row)| row.clone()).collect()
}

#[async_trait]
impl Recordings for MemoryRecordings {
    async fn check_recording_store(&self) -> Result<(), StoreError> {
        Ok(())
    }

    async fn count_recordings(&self) -> Result<RecordingCounts, StoreError> {
        let state = self.lock();
        let to_u64 = |length| u64::try_from(length).unwrap_or(u64::MAX);
        Ok(RecordingCounts {
            recordings: to_u64(state.recordings.len()),
            callbacks: to_u64(state.callbacks.len()),
        })
    }

    async fn list_recordings_after(
        &self,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<Recording>, StoreError> {
        Ok(read_page(&self.lock().recordings, after, limit))
    }

    async fn find_recording(&self, record_id: &str) -> Result<Option<Recording>, StoreError> {
        Ok(self.lock().recordings.get(record_id).cloned())
    }

    async fn put_recording(&self, recording: &Recording) -> Result<(), StoreError> {
        let mut recording = recording.clone();
        recording.metadata.sort();
        recording.formats.sort_by(|a, b| a.format.cmp(&b.format));
        self.lock().recordings.insert(recording.record_id.clone(), recording);
        Ok(())
    }

    async fn list_callbacks_after(
        &self,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<Callback>, StoreError> {
        Ok(read_page(&self.lock().callbacks, after, limit))
    }

    async fn find_callback(&self, meeting: &MeetingKey) -> Result<Option<Callback>, StoreError> {
        let state = self.lock();
        let key = state.callback_key(meeting.tenant.as_deref(), &meeting.id);
        Ok(key.and_then(|key| state.callbacks.get(&key).cloned()))
    }

    async fn put_callback(&self, callback: &Callback) -> Result<(), StoreError> {
        let mut state = self.lock();
        let tenant = callback.attribute(Callback::TENANT);
        let stored = state.callbacks.get(&callback.meeting_id);
        let is_other_tenants = stored.is_some_and(|stored| !stored.belongs_to(tenant));
        let id = match tenant {
            Some(tenant) if is_other_tenants => {
                Callback::tenant_scoped_id(tenant, &callback.meeting_id)
            }
            _ => callback.meeting_id.clone(),
        };
        state.callbacks.insert(id.clone(), Callback { meeting_id: id, ..callback.clone() });
        Ok(())
    }

    async fn forget_callbacks(&self, before: Timestamp, limit: u32) -> Result<u64, StoreError> {
        let mut state = self.lock();
        let old = state.callbacks.iter().filter(|(_, callback)| callback.updated_at < before);
        let ids: Vec<String> = old.map(|(id, _)| id.clone()).take(to_usize(limit)).collect();
        for id in &ids {
            state.callbacks.remove(id);
        }
        Ok(u64::try_from(ids.len()).unwrap_or(u64::MAX))
    }
}
