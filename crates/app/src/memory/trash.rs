//! The trash in a map.

use async_trait::async_trait;
use domain::Timestamp;
use domain::recording::Recording;

use super::recording_state::{DeletedRecording, RecordingStoreState, format_names, to_usize};
use super::recordings::MemoryRecordings;
use crate::ports::{Destination, FileMove, StoreError, Trash, TrashedRecording};

impl RecordingStoreState {
    /// Keeps what a recording was before it is moved to the trash, or drops what is kept if it is
    /// removed. Returns the formats of a recording that was in the trash already.
    pub(super) fn update_trash(
        &mut self,
        record_id: &str,
        previous: Option<Recording>,
        destination: Destination,
        now: Timestamp,
    ) -> Vec<String> {
        let trashed = self.trash.get(record_id);
        let formats = trashed.map(|trashed| format_names(&trashed.recording)).unwrap_or_default();
        match (destination, previous) {
            (Destination::Trash, Some(recording)) => {
                let deleted = DeletedRecording { recording, deleted_at: now };
                self.trash.insert(record_id.to_owned(), deleted);
            }
            (Destination::Removed, _) => drop(self.trash.remove(record_id)),
            _ => {}
        }
        formats
    }
}

fn to_trashed_recording((record_id, deleted): (&String, &DeletedRecording)) -> TrashedRecording {
    let formats = format_names(&deleted.recording);
    TrashedRecording { record_id: record_id.clone(), formats, deleted_at: deleted.deleted_at }
}

#[async_trait]
impl Trash for MemoryRecordings {
    async fn find_trash_ms(&self) -> Result<Option<i64>, StoreError> {
        Ok(self.lock().trash_ms)
    }

    async fn set_trash_ms(&self, trash_ms: i64) -> Result<(), StoreError> {
        self.lock().trash_ms = Some(trash_ms);
        Ok(())
    }

    async fn list_trash(
        &self,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<TrashedRecording>, StoreError> {
        let state = self.lock();
        let is_after = |id: &str| after.is_none_or(|after| id > after);
        let listed = state.trash.iter().filter(|(id, _)| is_after(id));
        Ok(listed.take(to_usize(limit)).map(to_trashed_recording).collect())
    }

    async fn find_trashed(&self, record_id: &str) -> Result<Option<TrashedRecording>, StoreError> {
        Ok(self.lock().trash.get_key_value(record_id).map(to_trashed_recording))
    }

    async fn restore_recording(
        &self,
        record_id: &str,
        now: Timestamp,
    ) -> Result<Option<FileMove>, StoreError> {
        let mut state = self.lock();
        let Some(DeletedRecording { recording, .. }) = state.trash.remove(record_id) else {
            return Ok(None);
        };
        if !state.recordings.get(record_id).is_some_and(Recording::is_deleted) {
            return Ok(None);
        }
        let formats = format_names(&recording);
        let destination = Destination::from_recording(&recording);
        state.recordings.insert(record_id.to_owned(), recording);
        Ok(Some(state.begin_file_move(record_id, formats, destination, now)))
    }

    async fn empty_trash(
        &self,
        before: Timestamp,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<FileMove>, StoreError> {
        let mut state = self.lock();
        let expired = state.trash.iter().filter(|(_, deleted)| deleted.deleted_at < before);
        let mut expired: Vec<(Timestamp, String)> =
            expired.map(|(id, deleted)| (deleted.deleted_at, id.clone())).collect();
        expired.sort();
        let mut file_moves = Vec::new();
        for (_, id) in expired.into_iter().take(to_usize(limit)) {
            let Some(deleted) = state.trash.remove(&id) else { continue };
            // If a recording of this id exists again, its files must stay.
            if state.recordings.get(&id).is_none_or(Recording::is_deleted) {
                let formats = format_names(&deleted.recording);
                let removed = Destination::Removed;
                file_moves.push(state.begin_file_move(&id, formats, removed, now));
            }
        }
        Ok(file_moves)
    }
}
