//! The recording catalog in maps: a search compares every recording with its filter.

use async_trait::async_trait;
use domain::Timestamp;
use domain::recording::Recording;
use domain::recording::catalog::{
    IncomingRecording, RecordingChange, RecordingFilter, TenantScope, compare_newest_first,
    merge_recording,
};

use super::recording_state::{RecordingStoreState, format_names, to_usize};
use super::recordings::MemoryRecordings;
use crate::ports::{
    Destination, FileMove, ImportedRecording, OutboxMessage, RecordingCatalog, RecordingCursor,
    StoreError,
};

impl RecordingStoreState {
    fn search_recordings(&self, filter: &RecordingFilter, scope: &TenantScope) -> Vec<Recording> {
        let matches =
            |recording: &&Recording| scope.accepts(recording) && filter.accepts(recording);
        let mut found: Vec<Recording> = self.recordings.values().filter(matches).cloned().collect();
        found.sort_by(compare_newest_first);
        found
    }

    fn forget_recordings(&mut self, ids: &[String]) {
        self.recordings.retain(|id, _| !ids.contains(id));
        for callback in self.callbacks.values_mut() {
            callback.record_id.take_if(|id| ids.contains(id));
        }
    }

    /// Records the id of a recording in the callback of its meeting, and posts the message that the
    /// callback asks for.
    fn post_ready_message(&mut self, recording: &Recording, now: Timestamp) {
        let meeting_id = recording.meeting_id.as_deref().unwrap_or_default();
        let key = self.callback_key(recording.tenant(), meeting_id);
        let Some(callback) = key.and_then(|key| self.callbacks.get_mut(&key)) else { return };
        callback.record_id = Some(recording.record_id.clone());
        callback.updated_at = now;
        if let Some(message) = OutboxMessage::recording_ready(callback, recording, now) {
            self.messages.entry(message.id.clone()).or_insert(message);
        }
    }
}

fn is_after(recording: &Recording, cursor: &RecordingCursor) -> bool {
    let last = Recording {
        record_id: cursor.record_id.clone(),
        started_at: cursor.started_at,
        ..Recording::default()
    };
    compare_newest_first(recording, &last).is_gt()
}

#[async_trait]
impl RecordingCatalog for MemoryRecordings {
    async fn search_recordings(
        &self,
        filter: &RecordingFilter,
        scope: &TenantScope,
        after: Option<&RecordingCursor>,
        limit: u32,
    ) -> Result<Vec<Recording>, StoreError> {
        let mut found = self.lock().search_recordings(filter, scope);
        found.retain(|recording| after.is_none_or(|cursor| is_after(recording, cursor)));
        found.truncate(to_usize(limit));
        Ok(found)
    }

    async fn search_recordings_page(
        &self,
        filter: &RecordingFilter,
        scope: &TenantScope,
        offset: u64,
        limit: u32,
    ) -> Result<(Vec<Recording>, u64), StoreError> {
        let found = self.lock().search_recordings(filter, scope);
        let count = u64::try_from(found.len()).unwrap_or(u64::MAX);
        let offset = usize::try_from(offset).unwrap_or(usize::MAX);
        Ok((found.into_iter().skip(offset).take(to_usize(limit)).collect(), count))
    }

    async fn change_recordings(
        &self,
        record_ids: &[String],
        scope: &TenantScope,
        change: &RecordingChange,
    ) -> Result<Vec<String>, StoreError> {
        let mut state = self.lock();
        let mut changed: Vec<String> = Vec::new();
        for id in record_ids.iter().filter(|id| !id.is_empty()) {
            let recording = state.recordings.get_mut(id);
            let may_change =
                |recording: &&mut Recording| !recording.is_deleted() && scope.accepts(recording);
            let Some(recording) = recording.filter(may_change) else { continue };
            change.apply(recording);
            if !changed.contains(id) {
                changed.push(id.clone());
            }
        }
        Ok(changed)
    }

    async fn begin_file_move(
        &self,
        record_id: &str,
        scope: &TenantScope,
        to: Destination,
        now: Timestamp,
    ) -> Result<Option<FileMove>, StoreError> {
        let mut state = self.lock();
        let may_move = |recording: &&mut Recording| {
            scope.accepts(recording) && (!recording.is_deleted() || to.is_deletion())
        };
        let recording = state.recordings.get_mut(record_id).filter(may_move);
        let Some(recording) = recording else { return Ok(None) };
        let mut formats = format_names(recording);
        let previous = (!recording.is_deleted()).then(|| recording.clone());
        to.apply_to(recording, now);
        formats.extend(state.update_trash(record_id, previous, to, now));
        Ok(Some(state.begin_file_move(record_id, formats, to, now)))
    }

    async fn end_file_move(&self, file_move: &FileMove) -> Result<bool, StoreError> {
        let mut state = self.lock();
        let current = state.file_moves.get(&file_move.record_id);
        let is_current = current.is_some_and(|current| current.number == file_move.number);
        if is_current {
            state.file_moves.remove(&file_move.record_id);
        }
        Ok(is_current)
    }

    async fn postpone_file_move(
        &self,
        file_move: &FileMove,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let postponed = (file_move.number, now);
        self.lock().postponed_moves.insert(file_move.record_id.clone(), postponed);
        Ok(())
    }

    async fn list_file_moves(
        &self,
        before: Timestamp,
        limit: u32,
    ) -> Result<Vec<FileMove>, StoreError> {
        let state = self.lock();
        let tried_at = |file_move: &FileMove| {
            let postponed = state.postponed_moves.get(&file_move.record_id);
            let postponed = postponed.filter(|(number, _)| *number == file_move.number);
            postponed.map_or(file_move.started_at, |(_, tried_at)| *tried_at)
        };
        let tried_before = |file_move: &&FileMove| tried_at(file_move) < before;
        let mut listed: Vec<FileMove> =
            state.file_moves.values().filter(tried_before).cloned().collect();
        listed.sort_by_key(|file_move| (tried_at(file_move), file_move.record_id.clone()));
        listed.truncate(to_usize(limit));
        Ok(listed)
    }

    async fn import_recording(
        &self,
        incoming: &IncomingRecording,
        now: Timestamp,
    ) -> Result<Option<ImportedRecording>, StoreError> {
        let mut state = self.lock();
        let incoming = &incoming.recording;
        let previous = state.recordings.get(&incoming.record_id).cloned();
        let Some(recording) = merge_recording(previous.as_ref(), incoming) else { return Ok(None) };
        state.recordings.insert(recording.record_id.clone(), recording.clone());
        let needed = FileMove::needed_after_import(&recording, previous.as_ref(), incoming);
        let id = &recording.record_id;
        let file_move = needed.map(|(to, formats)| state.begin_file_move(id, formats, to, now));
        state.post_ready_message(&recording, now);
        Ok(Some(ImportedRecording { recording, existed_before: previous.is_some(), file_move }))
    }

    async fn forget_tombstone(&self, record_id: &str) -> Result<bool, StoreError> {
        let mut state = self.lock();
        let is_deleted = state.recordings.get(record_id).is_some_and(Recording::is_deleted);
        let is_needed =
            state.file_moves.contains_key(record_id) || state.trash.contains_key(record_id);
        if !is_deleted || is_needed {
            return Ok(false);
        }
        state.forget_recordings(&[record_id.to_owned()]);
        Ok(true)
    }

    async fn forget_deleted_recordings(
        &self,
        before: Timestamp,
        limit: u32,
    ) -> Result<Vec<String>, StoreError> {
        let mut state = self.lock();
        let may_forget = |recording: &&Recording| {
            recording.state.as_deref() == Some("deleted")
                && recording.deleted_at.is_some_and(|deleted_at| deleted_at < before)
                && !state.file_moves.contains_key(&recording.record_id)
                && !state.trash.contains_key(&recording.record_id)
        };
        let forgotten = state.recordings.values().filter(may_forget);
        let mut ids: Vec<(Option<Timestamp>, String)> = forgotten
            .map(|recording| (recording.deleted_at, recording.record_id.clone()))
            .collect();
        ids.sort();
        ids.truncate(to_usize(limit));
        let ids: Vec<String> = ids.into_iter().map(|(_, id)| id).collect();
        state.forget_recordings(&ids);
        Ok(ids)
    }
}
