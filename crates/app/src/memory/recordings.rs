//! Recordings and callbacks behind one lock.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use domain::recording::{Callback, Recording};
use domain::{MeetingKey, Timestamp};

use super::imports::StoredArchive;
use crate::ports::{FileMove, OutboxMessage, RecordingCounts, Recordings, StoreError};

/// A recording in the trash, as it was.
pub(super) struct DeletedRecording {
    pub(super) recording: Recording,
    pub(super) deleted_at: Timestamp,
}

#[derive(Default)]
pub(super) struct RecordingStoreState {
    pub(super) recordings: BTreeMap<String, Recording>,
    pub(super) callbacks: BTreeMap<String, Callback>,
    pub(super) file_moves: BTreeMap<String, FileMove>,
    pub(super) trash: BTreeMap<String, DeletedRecording>,
    pub(super) messages: BTreeMap<String, OutboxMessage>,
    pub(super) archives: BTreeMap<String, StoredArchive>,
}

impl RecordingStoreState {
    /// The key of a meeting's callback.
    pub(super) fn callback_key(&self, tenant: Option<&str>, meeting_id: &str) -> Option<String> {
        let apart = tenant.map(|tenant| Callback::tenant_scoped_id(tenant, meeting_id));
        let apart = apart.filter(|key| self.callbacks.contains_key(key));
        let plain = || {
            let callback = self.callbacks.get(meeting_id)?;
            callback.belongs_to(tenant).then(|| meeting_id.to_owned())
        };
        apart.or_else(plain)
    }
}

/// The reference implementation of [`RecordingsCommand`] and of all that is known of recordings besides.
#[derive(Default)]
pub struct MemoryRecordings(Mutex<RecordingStoreState>);

impl MemoryRecordings {
    pub(super) fn lock(&self) -> MutexGuard<'_, RecordingStoreState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(super) fn to_usize(limit: u32) -> usize {
    usize::try_from(limit).unwrap_or(usize::MAX)
}

fn read_page<T: Clone>(all: &BTreeMap<String, T>, after: Option<&str>, limit: u32) -> Vec<T> {
    let from = after.map_or(Bound::Unbounded, |after| Bound::Excluded(after.to_owned()));
    all.range((from, Bound::Unbounded)).take(to_usize(limit)).map(|(_, one)| one.clone()).collect()
}

#[async_trait]
impl Recordings for MemoryRecordings {
    async fn check_recording_store(&self) -> Result<(), StoreError> {
        Ok(())
    }

    async fn count_recordings(&self) -> Result<RecordingCounts, StoreError> {
        let state = self.lock();
        let count = |length| u64::try_from(length).unwrap_or(u64::MAX);
        Ok(RecordingCounts {
            recordings: count(state.recordings.len()),
            callbacks: count(state.callbacks.len()),
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
        let taken = state.callbacks.get(&callback.meeting_id).filter(|one| !one.belongs_to(tenant));
        let id = match (tenant, taken) {
            (Some(tenant), Some(_)) => Callback::tenant_scoped_id(tenant, &callback.meeting_id),
            _ => callback.meeting_id.clone(),
        };
        state.callbacks.insert(id.clone(), Callback { meeting_id: id, ..callback.clone() });
        Ok(())
    }
}
