//! Recordings that were deleted and whose files are kept for a while, so that they can be brought back.
//!
//! Their rows say that they are deleted, and nothing else does; what the rows said before is kept here. A recording
//! gets into the trash by [`Library::begin_journey`](super::Library::begin_journey).

use async_trait::async_trait;
use domain::Timestamp;

use super::{Journey, StoreError};

/// A recording in the trash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trashed {
    /// The recording.
    pub record_id: String,
    /// The formats that it had, in order.
    pub formats: Vec<String>,
    /// Since when it is there.
    pub since: Timestamp,
}

/// The trash. Every method is atomic.
#[async_trait]
pub trait Trash: Send + Sync {
    /// What is there, in byte order of ids, beginning after `after`, so many at most.
    async fn trash(&self, after: Option<&str>, limit: u32) -> Result<Vec<Trashed>, StoreError>;

    /// One of them.
    async fn trashed(&self, record_id: &str) -> Result<Option<Trashed>, StoreError>;

    /// Makes a recording what it was before it was deleted, and sends its files back. `None` if it is not there.
    async fn restore_recording(
        &self,
        record_id: &str,
        now: Timestamp,
    ) -> Result<Option<Journey>, StoreError>;

    /// Sends what is there since before that time to its end, the oldest first, so many at most.
    async fn empty_trash(
        &self,
        before: Timestamp,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<Journey>, StoreError>;
}
