//! Single entries of unfinished work on recordings, in maps.

use async_trait::async_trait;
use domain::Timestamp;

use super::recording_state::{DeletedRecording, StoredArchive, to_usize};
use super::recordings::MemoryRecordings;
use crate::ports::{
    ArchiveCount, ArchiveRecord, FileMove, ImportStage, MessageState, OutboxMessage,
    RecordingUpkeep, RecordingWork, StoreError, TrashEntry,
};

#[async_trait]
impl RecordingUpkeep for MemoryRecordings {
    async fn count_recording_work(&self) -> Result<RecordingWork, StoreError> {
        let state = self.lock();
        let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
        let mut work = RecordingWork {
            end_callbacks: count(state.end_callbacks.len()),
            trashed: count(state.trash.len()),
            ..RecordingWork::default()
        };
        for StoredArchive { archive, .. } in state.archives.values() {
            let added = ArchiveCount {
                stage: archive.stage,
                archives: 1,
                bytes: archive.size,
                oldest: archive.received_at,
            };
            match work.archives.iter_mut().find(|known| known.stage == archive.stage) {
                Some(known) => {
                    known.archives += 1;
                    known.bytes = known.bytes.saturating_add(archive.size);
                    known.oldest = known.oldest.min(archive.received_at);
                }
                None => work.archives.push(added),
            }
        }
        work.archives.sort_by_key(|known| known.stage.name());
        for message in state.messages.values() {
            let key = (message.topic, MessageState::of(message));
            match work.messages.iter_mut().find(|known| (known.0, known.1) == key) {
                Some(known) => known.2 += 1,
                None => work.messages.push((key.0, key.1, 1)),
            }
        }
        work.messages.sort_by_key(|(topic, state, _)| (topic.name(), state.name()));
        for recording in state.recordings.values() {
            match (recording.is_deleted(), recording.published) {
                (true, _) => work.deleted += 1,
                (false, true) => work.published += 1,
                (false, false) => work.unpublished += 1,
            }
        }
        Ok(work)
    }

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
