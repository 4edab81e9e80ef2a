//! The trash: deleted recordings whose files are kept for a while, so that they can be restored.
//!
//! The row of such a recording says only that it is deleted; the trash keeps what the row said
//! before. A recording gets into the trash by
//! [`RecordingCatalog::begin_file_move`](super::RecordingCatalog::begin_file_move).

use async_trait::async_trait;
use domain::Timestamp;

use super::recording_catalog::FileMove;
use super::store_error::StoreError;

/// A recording in the trash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrashedRecording {
    /// The recording.
    pub record_id: String,
    /// The formats that the recording had, in order.
    pub formats: Vec<String>,
    /// When the recording was deleted.
    pub deleted_at: Timestamp,
}

/// The trash. Every method is atomic, and fails only if the store fails.
#[async_trait]
pub trait Trash: Send + Sync {
    /// Returns how long deleted recordings are kept, in ms; `None` if no server has ever said.
    async fn find_trash_ms(&self) -> Result<Option<i64>, StoreError>;

    /// Records how long deleted recordings are kept, in ms.
    async fn set_trash_ms(&self, trash_ms: i64) -> Result<(), StoreError>;

    /// Lists the recordings in the trash, in byte order of their ids, after `after`, `limit` at
    /// most.
    async fn list_trash(
        &self,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<TrashedRecording>, StoreError>;

    /// Returns a recording in the trash; `None` if it is not there.
    async fn find_trashed(&self, record_id: &str) -> Result<Option<TrashedRecording>, StoreError>;

    /// Takes a recording out of the trash, makes its row what it was before it was deleted, and
    /// begins the file move back. `None` if the recording is not in the trash, or its row is not
    /// that of a deleted recording.
    async fn restore_recording(
        &self,
        record_id: &str,
        now: Timestamp,
    ) -> Result<Option<FileMove>, StoreError>;

    /// Takes recordings out of the trash that were deleted before that time, the oldest first,
    /// `limit` at most, and begins the file moves that remove their files. A recording that exists
    /// again keeps its files.
    async fn empty_trash(
        &self,
        before: Timestamp,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<FileMove>, StoreError>;
}
