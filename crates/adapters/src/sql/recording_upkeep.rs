//! The port [`RecordingUpkeep`]: single rows of unfinished work on recordings.

use app::ports::{
    ArchiveRecord, FileMove, ImportStage, OutboxMessage, RecordingUpkeep, RecordingWork,
    StoreError, TrashEntry,
};
use async_trait::async_trait;

use super::connection::values;
use super::{Database, SqlStore, file_moves, outbox, recording_work, trash};

#[async_trait]
impl<D: Database> RecordingUpkeep for SqlStore<D> {
    async fn count_recording_work(&self) -> Result<RecordingWork, StoreError> {
        self.database.read(recording_work::count).await
    }

    async fn list_trash_entries(
        &self,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<TrashEntry>, StoreError> {
        let after = self.database.to_comparable(after.unwrap_or_default()).to_owned();
        self.database.read(move |connection| trash::list_entries(connection, &after, limit)).await
    }

    async fn put_trash_entry(&self, entry: &TrashEntry) -> Result<(), StoreError> {
        let entry = entry.clone();
        self.write_keeping_cache(move |connection| {
            trash::put(connection, &entry.recording, entry.deleted_at)
        })
        .await
    }

    async fn put_file_move(&self, file_move: &FileMove) -> Result<(), StoreError> {
        let file_move = file_move.clone();
        self.write_keeping_cache(move |connection| file_moves::put(connection, &file_move)).await
    }

    async fn put_archive(&self, archive: &ArchiveRecord) -> Result<(), StoreError> {
        const PUT: &str = "INSERT INTO archive_imports (name, size, received_at, stage, attempts, \
            reason, changed_at, claimed_until, not_before) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 0, 0) \
            ON CONFLICT (name) DO UPDATE SET size = excluded.size, \
            received_at = excluded.received_at, stage = excluded.stage, \
            attempts = excluded.attempts, reason = excluded.reason, \
            changed_at = excluded.changed_at, token = NULL, claimed_until = 0, not_before = 0";
        let archive = archive.clone();
        self.write_keeping_cache(move |connection| {
            let stage = match archive.stage {
                ImportStage::Importing => ImportStage::Received,
                stage => stage,
            };
            let size = i64::try_from(archive.size).unwrap_or(i64::MAX);
            let values = values![
                &archive.name,
                size,
                archive.received_at.0,
                stage.name(),
                archive.attempts,
                &archive.reason,
                archive.changed_at.0,
            ];
            connection.execute(PUT, values).map(drop)
        })
        .await
    }

    async fn put_message(&self, message: &OutboxMessage) -> Result<(), StoreError> {
        const DELETE: &str = "DELETE FROM outbox WHERE id = ?1";
        let message = message.clone();
        self.write_keeping_cache(move |connection| {
            connection.execute(DELETE, values![&message.id])?;
            outbox::post(connection, &message)
        })
        .await
    }
}
