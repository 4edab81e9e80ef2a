//! Recordings and callbacks: state that is not hot, kept in an SQL database.

use async_trait::async_trait;
use domain::MeetingKey;
use domain::recording::{Callback, Recording};

use super::store_error::StoreError;

/// How many of each there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RecordingCounts {
    /// Recordings, deleted ones among them.
    pub recordings: u64,
    /// Meetings for which a callback is stored.
    pub callbacks: u64,
}

/// Recordings and callbacks.
#[async_trait]
pub trait Recordings: Send + Sync {
    /// Whether the store can be read and written now.
    async fn check_recording_store(&self) -> Result<(), StoreError>;

    /// How many there are.
    async fn count_recordings(&self) -> Result<RecordingCounts, StoreError>;

    /// Up to `limit` recordings, whole, in byte order of their ids, beginning after `after`.
    async fn list_recordings_after(
        &self,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<Recording>, StoreError>;

    /// One recording, whole.
    async fn find_recording(&self, record_id: &str) -> Result<Option<Recording>, StoreError>;

    /// Inserts a recording or replaces all of it, in one transaction.
    async fn put_recording(&self, recording: &Recording) -> Result<(), StoreError>;

    /// Up to `limit` callbacks, the newest of each meeting, in byte order of the meetings' ids,
    /// beginning after `after`.
    async fn list_callbacks_after(
        &self,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<Callback>, StoreError>;

    /// The callback of a meeting, which is its tenant's ([`Callback::belongs_to`]).
    async fn find_callback(&self, meeting: &MeetingKey) -> Result<Option<Callback>, StoreError>;

    /// Inserts a meeting's callback or replaces the newest one it has. Where that is another tenant's, it
    /// gets an id of its own ([`Callback::apart`]).
    async fn put_callback(&self, callback: &Callback) -> Result<(), StoreError>;
}
