//! What a store knows of work on recordings that is not finished: in numbers, and entry by entry, to copy it to
//! another store.

use async_trait::async_trait;
use domain::Timestamp;
use domain::recording::Recording;

use super::imports::{ArchiveRecord, ImportStage};
use super::outbox::{MessageTopic, OutboxMessage};
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

/// The archives of one stage, in numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ArchiveCount {
    /// The stage.
    pub stage: ImportStage,
    /// How many there are.
    pub archives: u64,
    /// Their size, in bytes.
    pub bytes: u64,
    /// When the oldest of them was received.
    pub oldest: Timestamp,
}

/// Whether a message is still to be delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageState {
    /// No attempt has failed yet.
    Waiting,
    /// An attempt has failed, and there will be another one.
    Failing,
    /// It was given up.
    GivenUp,
}

impl MessageState {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Waiting, Self::Failing, Self::GivenUp];

    /// Returns its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Failing => "failing",
            Self::GivenUp => "given_up",
        }
    }

    /// The state of a message.
    #[must_use]
    pub fn of(message: &OutboxMessage) -> Self {
        match (message.due_at, message.attempts) {
            (None, _) => Self::GivenUp,
            (Some(_), 0) => Self::Waiting,
            (Some(_), _) => Self::Failing,
        }
    }
}

/// Work on recordings, in numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecordingWork {
    /// The archives of each stage that has any, by the names of the stages.
    pub archives: Vec<ArchiveCount>,
    /// Messages, by the names of their topics and states.
    pub messages: Vec<(MessageTopic, MessageState, u64)>,
    /// End callbacks of meetings that are not known to be over.
    pub end_callbacks: u64,
    /// Recordings in the trash.
    pub trashed: u64,
    /// Recordings that are published.
    pub published: u64,
    /// Recordings that are not published.
    pub unpublished: u64,
    /// Recordings that are deleted, those in the trash included.
    pub deleted: u64,
}

/// Reads and writes single entries. Every method is atomic, and fails only if the store fails.
#[async_trait]
pub trait RecordingUpkeep: Send + Sync {
    /// Counts work on recordings.
    async fn count_recording_work(&self) -> Result<RecordingWork, StoreError>;

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
