//! The library in maps: searches look at every recording.

use async_trait::async_trait;
use domain::Timestamp;
use domain::recording::Recording;
use domain::recording::catalog::{
    IncomingRecording, RecordingChange, RecordingFilter, TenantScope, compare_newest_first,
    merge_recording,
};

use super::MemoryRecordings;
use super::recordings::{RecordingStoreState, to_usize};
use crate::ports::{
    Destination, FileMove, ImportedRecording, OutboxMessage, RecordingCatalog, RecordingCursor,
    StoreError,
};

impl RecordingStoreState {
    fn search_recordings(&self, filter: &RecordingFilter, scope: &TenantScope) -> Vec<Recording> {
        let wanted = |one: &&Recording| scope.accepts(one) && filter.accepts(one);
        let mut found: Vec<Recording> = self.recordings.values().filter(wanted).cloned().collect();
        found.sort_by(compare_newest_first);
        found
    }

    pub(super) fn begin_file_move(
        &mut self,
        record_id: &str,
        formats: Vec<String>,
        to: Destination,
        now: Timestamp,
    ) -> FileMove {
        let before = self.file_moves.remove(record_id);
        let journey = FileMove::begin(record_id, formats, to, now, before);
        self.file_moves.insert(record_id.to_owned(), journey.clone());
        journey
    }

    /// Tells the callback of a recording's meeting which recording it is, and posts what it asks for.
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

pub(super) fn format_names(recording: &Recording) -> Vec<String> {
    recording.formats.iter().map(|one| one.format.clone()).collect()
}

fn is_after(one: &Recording, cursor: &RecordingCursor) -> bool {
    let place = Recording {
        record_id: cursor.record_id.clone(),
        started_at: cursor.started_at,
        ..Recording::default()
    };
    compare_newest_first(one, &place).is_gt()
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
        found.retain(|one| after.is_none_or(|cursor| is_after(one, cursor)));
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
            let usable = |one: &&mut Recording| !one.is_deleted() && scope.accepts(one);
            let Some(recording) = recording.filter(usable) else { continue };
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
        let recording = state.recordings.get_mut(record_id).filter(|one| scope.accepts(one));
        let may_go = |one: &&mut Recording| !one.is_deleted() || to.is_deletion();
        let Some(recording) = recording.filter(may_go) else { return Ok(None) };
        let mut formats = format_names(recording);
        let before = (!recording.is_deleted()).then(|| recording.clone());
        to.apply_to(recording, now);
        formats.extend(state.update_trash(record_id, before, to, now));
        Ok(Some(state.begin_file_move(record_id, formats, to, now)))
    }

    async fn end_file_move(&self, journey: &FileMove) -> Result<bool, StoreError> {
        let mut state = self.lock();
        let current = state.file_moves.get(&journey.record_id);
        let is_it = current.is_some_and(|current| current.number == journey.number);
        if is_it {
            state.file_moves.remove(&journey.record_id);
        }
        Ok(is_it)
    }

    async fn list_file_moves(
        &self,
        before: Timestamp,
        limit: u32,
    ) -> Result<Vec<FileMove>, StoreError> {
        let state = self.lock();
        let old = state.file_moves.values().filter(|one| one.started_at < before);
        let mut old: Vec<FileMove> = old.cloned().collect();
        old.sort_by_key(|one| (one.started_at, one.record_id.clone()));
        old.truncate(to_usize(limit));
        Ok(old)
    }

    async fn import_recording(
        &self,
        incoming: &IncomingRecording,
        now: Timestamp,
    ) -> Result<Option<ImportedRecording>, StoreError> {
        let mut state = self.lock();
        let incoming = &incoming.recording;
        let before = state.recordings.get(&incoming.record_id).cloned();
        let Some(recording) = merge_recording(before.as_ref(), incoming) else { return Ok(None) };
        state.recordings.insert(recording.record_id.clone(), recording.clone());
        let moved = FileMove::needed_after_import(&recording, before.as_ref(), incoming);
        let id = &recording.record_id;
        let journey = moved.map(|(to, formats)| state.begin_file_move(id, formats, to, now));
        state.post_ready_message(&recording, now);
        Ok(Some(ImportedRecording {
            recording,
            existed_before: before.is_some(),
            file_move: journey,
        }))
    }

    async fn forget_deleted_recordings(
        &self,
        before: Timestamp,
        limit: u32,
    ) -> Result<Vec<String>, StoreError> {
        let mut state = self.lock();
        let over = |one: &&Recording| {
            one.state.as_deref() == Some("deleted")
                && one.deleted_at.is_some_and(|at| at < before)
                && !state.file_moves.contains_key(&one.record_id)
                && !state.trash.contains_key(&one.record_id)
        };
        let mut ids: Vec<(Option<Timestamp>, String)> = state
            .recordings
            .values()
            .filter(over)
            .map(|one| (one.deleted_at, one.record_id.clone()))
            .collect();
        ids.sort();
        ids.truncate(to_usize(limit));
        let ids: Vec<String> = ids.into_iter().map(|(_, id)| id).collect();
        state.recordings.retain(|id, _| !ids.contains(id));
        for callback in state.callbacks.values_mut() {
            callback.record_id.take_if(|id| ids.contains(id));
        }
        Ok(ids)
    }
}
