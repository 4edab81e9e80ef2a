//! Recordings that were deleted and whose files are kept for a while, so that they can be brought back.
//!
//! Their rows say that they are deleted, and nothing else does; what the rows said before is kept here. A recording
//! gets into the trash by [`RecordingCatalog::begin_file_move`](super::RecordingCatalog::begin_file_move).

use async_trait::async_trait;
use domain::Timestamp;

use super::recording_catalog::FileMove;
use super::store_error::StoreError;

/// A recording in the trash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrashedRecording {
    /// The recording.
    pub record_id: String,
    /// The formats that it had, in order.
    pub formats: Vec<String>,
    /// Since when it is there.
    pub deleted_at: Timestamp,
}

/// The trash. Every method is atomic.
#[async_trait]
pub trait Trash: Send + Sync {
    /// What is there, in byte order of ids, beginning after `after`, so many at most.
    async fn list_trash(
        &self,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<TrashedRecording>, StoreError>;

    /// One of them.
    async fn find_trashed(&self, record_id: &str) -> Result<Option<TrashedRecording>, StoreError>;

    /// Makes a recording what it was before it was deleted, and sends its files back. `None` if it is not there.
    async fn restore_recording(
        &self,
        record_id: &str,
        now: Timestamp,
    ) -> Result<Option<FileMove>, StoreError>;

    /// Sends what is there since before that time to its end, the oldest first, so many at most.
    async fn empty_trash(
        &self,
        before: Timestamp,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<FileMove>, StoreError>;
}
