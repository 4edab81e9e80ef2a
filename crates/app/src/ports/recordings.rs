//! Recordings and callbacks, by their ids.

use async_trait::async_trait;
use domain::recording::{Callback, Recording};
use domain::{MeetingKey, Timestamp};

use super::store_error::StoreError;

/// How many recordings and callbacks there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RecordingCounts {
    /// Recordings, including deleted ones.
    pub recordings: u64,
    /// Meetings with a callback.
    pub callbacks: u64,
}

/// Stores recordings and callbacks. Every method is atomic, and fails only if the store fails.
#[async_trait]
pub trait Recordings: Send + Sync {
    /// Checks that the store can be read and written now.
    async fn check_recording_store(&self) -> Result<(), StoreError>;

    /// Counts recordings and callbacks.
    async fn count_recordings(&self) -> Result<RecordingCounts, StoreError>;

    /// Lists recordings, with metadata, formats and thumbnails, in byte order of their ids, after
    /// `after`, `limit` at most.
    async fn list_recordings_after(
        &self,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<Recording>, StoreError>;

    /// Returns a recording, with metadata, formats and thumbnails; `None` if there is none of this
    /// id.
    async fn find_recording(&self, record_id: &str) -> Result<Option<Recording>, StoreError>;

    /// Adds a recording, or replaces it with all its metadata, formats and thumbnails.
    async fn put_recording(&self, recording: &Recording) -> Result<(), StoreError>;

    /// Lists callbacks, the newest of each meeting, in byte order of the meeting ids, after
    /// `after`, `limit` at most.
    async fn list_callbacks_after(
        &self,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<Callback>, StoreError>;

    /// Returns the callback of a meeting; `None` if there is none, or if it is another tenant's
    /// ([`Callback::belongs_to`]).
    async fn find_callback(&self, meeting: &MeetingKey) -> Result<Option<Callback>, StoreError>;

    /// Adds the callback of a meeting, or replaces its newest one. If another tenant has the
    /// callback of a meeting with the same id, the new one is stored under an id of its own
    /// ([`Callback::tenant_scoped_id`]).
    async fn put_callback(&self, callback: &Callback) -> Result<(), StoreError>;

    /// Deletes callbacks that were last changed before that time, `limit` at most; returns their
    /// number.
    async fn forget_callbacks(&self, before: Timestamp, limit: u32) -> Result<u64, StoreError>;
}
