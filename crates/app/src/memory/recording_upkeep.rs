//! Single entries of unfinished work on recordings, in maps.

use async_trait::async_trait;
use domain::Timestamp;

use super::recording_state::{DeletedRecording, StoredArchive, to_usize};
use super::recordings::MemoryRecordings;
use crate::ports::{
    ArchiveRecord, FileMove, ImportStage, OutboxMessage, RecordingUpkeep, StoreError, TrashEntry,
};

#[async_trait]
impl RecordingUpkeep for MemoryRecordings {
    async fn list_trash_entries(
        &self,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<TrashEntry>, StoreError> {
        let state = self.lock();
        let entries =
            state.trash.iter().filter(|(id, _)| after.is_none_or(|after| id.as_str() > after));
        let entries = entries.take(to_usize(limit));
        let to_entry =
            |deleted: &DeletedRecording| TrashEntry::new(&deleted.recording, deleted.deleted_at);
        Ok(entries.map(|(_, deleted)| to_entry(deleted)).collect())
    }

    async fn put_trash_entry(&self, entry: &TrashEntry) -> Result<(), StoreError> {
        let mut state = self.lock();
        let id = &entry.recording.record_id;
        let mut recording =
            state.recordings.get(id).cloned().unwrap_or_else(|| entry.recording.clone());
        recording.deleted_at = None;
        recording.restore_parts(&entry.recording);
        let deleted = DeletedRecording { recording, deleted_at: entry.deleted_at };
        state.trash.insert(id.clone(), deleted);
        Ok(())
    }

    async fn put_file_move(&self, file_move: &FileMove) -> Result<(), StoreError> {
        self.lock().file_moves.insert(file_move.record_id.clone(), file_move.clone());
        Ok(())
    }

    async fn put_archive(&self, archive: &ArchiveRecord) -> Result<(), StoreError> {
        let mut archive = archive.clone();
        if archive.stage == ImportStage::Importing {
            archive.stage = ImportStage::Received;
        }
        let past = Timestamp(0);
        let stored =
            StoredArchive { archive, claim_token: None, claimed_until: past, not_before: past };
        self.lock().archives.insert(stored.archive.name.clone(), stored);
        Ok(())
    }

    async fn put_message(&self, message: &OutboxMessage) -> Result<(), StoreError> {
        self.lock().messages.insert(message.id.clone(), message.clone());
        Ok(())
    }
}
