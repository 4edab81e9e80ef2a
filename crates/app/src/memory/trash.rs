//! The trash in a map.

use async_trait::async_trait;
use domain::Timestamp;
use domain::recording::Recording;

use super::MemoryRecordings;
use super::recording_catalog::format_names;
use super::recordings::{DeletedRecording, RecordingStoreState, to_usize};
use crate::ports::{Destination, FileMove, StoreError, Trash, TrashedRecording};

impl RecordingStoreState {
    /// Keeps what a recording was before it set out to the trash, or drops what is kept of one that goes on to its
    /// end. Returns the formats of what was there already.
    pub(super) fn update_trash(
        &mut self,
        record_id: &str,
        before: Option<Recording>,
        to: Destination,
        now: Timestamp,
    ) -> Vec<String> {
        let known = self.trash.get(record_id).map(|kept| format_names(&kept.recording));
        match (to, before) {
            (Destination::Trash, Some(recording)) => {
                self.trash
                    .insert(record_id.to_owned(), DeletedRecording { recording, deleted_at: now });
            }
            (Destination::Removed, _) => drop(self.trash.remove(record_id)),
            _ => {}
        }
        known.unwrap_or_default()
    }
}

fn to_trashed_recording((record_id, kept): (&String, &DeletedRecording)) -> TrashedRecording {
    let formats = format_names(&kept.recording);
    TrashedRecording { record_id: record_id.clone(), formats, deleted_at: kept.deleted_at }
}

#[async_trait]
impl Trash for MemoryRecordings {
    async fn list_trash(
        &self,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<TrashedRecording>, StoreError> {
        let state = self.lock();
        let behind =
            state.trash.iter().filter(|(id, _)| after.is_none_or(|after| id.as_str() > after));
        Ok(behind.take(to_usize(limit)).map(to_trashed_recording).collect())
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
        let (formats, to) = (format_names(&recording), Destination::from_recording(&recording));
        state.recordings.insert(record_id.to_owned(), recording);
        Ok(Some(state.begin_file_move(record_id, formats, to, now)))
    }

    async fn empty_trash(
        &self,
        before: Timestamp,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<FileMove>, StoreError> {
        let mut state = self.lock();
        let old = state.trash.iter().filter(|(_, kept)| kept.deleted_at < before);
        let mut old: Vec<(Timestamp, String)> =
            old.map(|(id, kept)| (kept.deleted_at, id.clone())).collect();
        old.sort();
        let mut sent = Vec::new();
        for (_, id) in old.into_iter().take(to_usize(limit)) {
            let Some(kept) = state.trash.remove(&id) else { continue };
            // Whoever has put another recording in its place wants its files.
            if state.recordings.get(&id).is_none_or(Recording::is_deleted) {
                sent.push(state.begin_file_move(
                    &id,
                    format_names(&kept.recording),
                    Destination::Removed,
                    now,
                ));
            }
        }
        Ok(sent)
    }
}
