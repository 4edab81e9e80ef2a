//! Recordings and callbacks behind one lock.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use domain::recording::{Callback, Recording};
use domain::{MeetingKey, Timestamp};

use super::imports::Kept;
use crate::ports::{Journey, Message, RecordingCounts, Recordings, StoreError};

/// A recording in the trash, as it was.
pub(super) struct Deleted {
    pub(super) recording: Recording,
    pub(super) since: Timestamp,
}

#[derive(Default)]
pub(super) struct State {
    pub(super) recordings: BTreeMap<String, Recording>,
    pub(super) callbacks: BTreeMap<String, Callback>,
    pub(super) journeys: BTreeMap<String, Journey>,
    pub(super) trash: BTreeMap<String, Deleted>,
    pub(super) messages: BTreeMap<String, Message>,
    pub(super) archives: BTreeMap<String, Kept>,
}

impl State {
    /// The key of a meeting's callback.
    pub(super) fn callback_key(&self, tenant: Option<&str>, meeting_id: &str) -> Option<String> {
        let apart = tenant.map(|tenant| Callback::apart(tenant, meeting_id));
        let apart = apart.filter(|key| self.callbacks.contains_key(key));
        let plain = || {
            let callback = self.callbacks.get(meeting_id)?;
            callback.is_of(tenant).then(|| meeting_id.to_owned())
        };
        apart.or_else(plain)
    }
}

/// The reference implementation of [`Recordings`] and of all that is known of recordings besides.
#[derive(Default)]
pub struct MemoryRecordings(Mutex<State>);

impl MemoryRecordings {
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(super) fn at_most(limit: u32) -> usize {
    usize::try_from(limit).unwrap_or(usize::MAX)
}

fn page<T: Clone>(all: &BTreeMap<String, T>, after: Option<&str>, limit: u32) -> Vec<T> {
    let from = after.map_or(Bound::Unbounded, |after| Bound::Excluded(after.to_owned()));
    all.range((from, Bound::Unbounded)).take(at_most(limit)).map(|(_, one)| one.clone()).collect()
}

#[async_trait]
impl Recordings for MemoryRecordings {
    async fn check_recordings(&self) -> Result<(), StoreError> {
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

    async fn recordings_after(
        &self,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<Recording>, StoreError> {
        Ok(page(&self.lock().recordings, after, limit))
    }

    async fn recording(&self, record_id: &str) -> Result<Option<Recording>, StoreError> {
        Ok(self.lock().recordings.get(record_id).cloned())
    }

    async fn put_recording(&self, recording: &Recording) -> Result<(), StoreError> {
        let mut recording = recording.clone();
        recording.metadata.sort();
        recording.formats.sort_by(|a, b| a.format.cmp(&b.format));
        self.lock().recordings.insert(recording.record_id.clone(), recording);
        Ok(())
    }

    async fn callbacks_after(
        &self,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<Callback>, StoreError> {
        Ok(page(&self.lock().callbacks, after, limit))
    }

    async fn callback(&self, meeting: &MeetingKey) -> Result<Option<Callback>, StoreError> {
        let state = self.lock();
        let key = state.callback_key(meeting.tenant.as_deref(), &meeting.id);
        Ok(key.and_then(|key| state.callbacks.get(&key).cloned()))
    }

    async fn put_callback(&self, callback: &Callback) -> Result<(), StoreError> {
        let mut state = self.lock();
        let tenant = callback.attribute(Callback::TENANT);
        let taken = state.callbacks.get(&callback.meeting_id).filter(|one| !one.is_of(tenant));
        let id = match (tenant, taken) {
            (Some(tenant), Some(_)) => Callback::apart(tenant, &callback.meeting_id),
            _ => callback.meeting_id.clone(),
        };
        state.callbacks.insert(id.clone(), Callback { meeting_id: id, ..callback.clone() });
        Ok(())
    }
}
