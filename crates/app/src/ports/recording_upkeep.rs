//! What a store knows of work on recordings that is not finished, entry by entry, to copy it to
//! another store.

use async_trait::async_trait;
use domain::Timestamp;
use domain::recording::Recording;

use super::imports::ArchiveRecord;
use super::outbox::OutboxMessage;
use super::recording_catalog::FileMove;
use super::store_error::StoreError;

/// What the trash keeps of a recording.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrashEntry {
    /// Its id, and what is deleted with its row: state, metadata, formats and details.
    pub recording: Recording,
    /// When it was deleted.
    pub deleted_at: Timestamp,
}

impl TrashEntry {
    /// Creates the entry of a recording as it was before it was deleted.
    #[must_use]
    pub fn new(recording: &Recording, deleted_at: Timestamp) -> Self {
        let mut kept = Recording { record_id: recording.record_id.clone(), ..Recording::default() };
        kept.restore_parts(recording);
        Self { recording: kept, deleted_at }
    }
}

/// Reads and writes single entries. Every method is atomic, and fails only if the store fails.
#[async_trait]
pub trait RecordingUpkeep: Send + Sync {
    /// Lists what the trash keeps, in byte order of the ids, after `after`, `limit` at most.
    async fn list_trash_entries(
        &self,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<TrashEntry>, StoreError>;

    /// Adds or replaces an entry of the trash.
    async fn put_trash_entry(&self, entry: &TrashEntry) -> Result<(), StoreError>;

    /// Adds or replaces the file move of a recording.
    async fn put_file_move(&self, file_move: &FileMove) -> Result<(), StoreError>;

    /// Adds or replaces an archive. No process has claimed it: one that is being imported becomes
    /// one that was received.
    async fn put_archive(&self, archive: &ArchiveRecord) -> Result<(), StoreError>;

    /// Adds or replaces a message.
    async fn put_message(&self, message: &OutboxMessage) -> Result<(), StoreError>;
}
