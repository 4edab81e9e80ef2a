//! The library in maps: searches look at every recording.

use async_trait::async_trait;
use domain::Timestamp;
use domain::recording::Recording;
use domain::recording::library::{Change, Filter, Incoming, Scope, merge, newest_first};

use super::MemoryRecordings;
use super::recordings::{State, at_most};
use crate::ports::{Cursor, Destination, Imported, Journey, Library, Message, StoreError};

impl State {
    fn found(&self, filter: &Filter, scope: &Scope) -> Vec<Recording> {
        let wanted = |one: &&Recording| scope.accepts(one) && filter.accepts(one);
        let mut found: Vec<Recording> = self.recordings.values().filter(wanted).cloned().collect();
        found.sort_by(newest_first);
        found
    }

    pub(super) fn set_out(
        &mut self,
        record_id: &str,
        formats: Vec<String>,
        to: Destination,
        now: Timestamp,
    ) -> Journey {
        let before = self.journeys.remove(record_id);
        let journey = Journey::begin(record_id, formats, to, now, before);
        self.journeys.insert(record_id.to_owned(), journey.clone());
        journey
    }

    /// Tells the callback of a recording's meeting which recording it is, and posts what it asks for.
    fn call_back(&mut self, recording: &Recording, now: Timestamp) {
        let meeting_id = recording.meeting_id.as_deref().unwrap_or_default();
        let key = self.callback_key(recording.tenant(), meeting_id);
        let Some(callback) = key.and_then(|key| self.callbacks.get_mut(&key)) else { return };
        callback.record_id = Some(recording.record_id.clone());
        callback.updated_at = now;
        if let Some(message) = Message::recording_ready(callback, recording, now) {
            self.messages.entry(message.id.clone()).or_insert(message);
        }
    }
}

pub(super) fn names(recording: &Recording) -> Vec<String> {
    recording.formats.iter().map(|one| one.format.clone()).collect()
}

fn is_after(one: &Recording, cursor: &Cursor) -> bool {
    let place = Recording {
        record_id: cursor.record_id.clone(),
        started_at: cursor.started_at,
        ..Recording::default()
    };
    newest_first(one, &place).is_gt()
}

#[async_trait]
impl Library for MemoryRecordings {
    async fn find_recordings(
        &self,
        filter: &Filter,
        scope: &Scope,
        after: Option<&Cursor>,
        limit: u32,
    ) -> Result<Vec<Recording>, StoreError> {
        let mut found = self.lock().found(filter, scope);
        found.retain(|one| after.is_none_or(|cursor| is_after(one, cursor)));
        found.truncate(at_most(limit));
        Ok(found)
    }

    async fn page_of_recordings(
        &self,
        filter: &Filter,
        scope: &Scope,
        offset: u64,
        limit: u32,
    ) -> Result<(Vec<Recording>, u64), StoreError> {
        let found = self.lock().found(filter, scope);
        let count = u64::try_from(found.len()).unwrap_or(u64::MAX);
        let offset = usize::try_from(offset).unwrap_or(usize::MAX);
        Ok((found.into_iter().skip(offset).take(at_most(limit)).collect(), count))
    }

    async fn change_recordings(
        &self,
        record_ids: &[String],
        scope: &Scope,
        change: &Change,
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

    async fn begin_journey(
        &self,
        record_id: &str,
        scope: &Scope,
        to: Destination,
        now: Timestamp,
    ) -> Result<Option<Journey>, StoreError> {
        let mut state = self.lock();
        let recording = state.recordings.get_mut(record_id).filter(|one| scope.accepts(one));
        let may_go = |one: &&mut Recording| !one.is_deleted() || to.is_end();
        let Some(recording) = recording.filter(may_go) else { return Ok(None) };
        let mut formats = names(recording);
        let before = (!recording.is_deleted()).then(|| recording.clone());
        to.enter(recording, now);
        formats.extend(state.put_into_trash(record_id, before, to, now));
        Ok(Some(state.set_out(record_id, formats, to, now)))
    }

    async fn end_journey(&self, journey: &Journey) -> Result<bool, StoreError> {
        let mut state = self.lock();
        let current = state.journeys.get(&journey.record_id);
        let is_it = current.is_some_and(|current| current.number == journey.number);
        if is_it {
            state.journeys.remove(&journey.record_id);
        }
        Ok(is_it)
    }

    async fn journeys(&self, before: Timestamp, limit: u32) -> Result<Vec<Journey>, StoreError> {
        let state = self.lock();
        let old = state.journeys.values().filter(|one| one.since < before);
        let mut old: Vec<Journey> = old.cloned().collect();
        old.sort_by_key(|one| (one.since, one.record_id.clone()));
        old.truncate(at_most(limit));
        Ok(old)
    }

    async fn import_recording(
        &self,
        incoming: &Incoming,
        now: Timestamp,
    ) -> Result<Option<Imported>, StoreError> {
        let mut state = self.lock();
        let incoming = &incoming.recording;
        let before = state.recordings.get(&incoming.record_id).cloned();
        let Some(recording) = merge(before.as_ref(), incoming) else { return Ok(None) };
        state.recordings.insert(recording.record_id.clone(), recording.clone());
        let moved = Journey::after_import(&recording, before.as_ref(), incoming);
        let id = &recording.record_id;
        let journey = moved.map(|(to, formats)| state.set_out(id, formats, to, now));
        state.call_back(&recording, now);
        Ok(Some(Imported { recording, known: before.is_some(), journey }))
    }

    async fn forget_deleted(
        &self,
        before: Timestamp,
        limit: u32,
    ) -> Result<Vec<String>, StoreError> {
        let mut state = self.lock();
        let over = |one: &&Recording| {
            one.state.as_deref() == Some("deleted")
                && one.deleted_at.is_some_and(|at| at < before)
                && !state.journeys.contains_key(&one.record_id)
                && !state.trash.contains_key(&one.record_id)
        };
        let mut ids: Vec<(Option<Timestamp>, String)> = state
            .recordings
            .values()
            .filter(over)
            .map(|one| (one.deleted_at, one.record_id.clone()))
            .collect();
        ids.sort();
        ids.truncate(at_most(limit));
        let ids: Vec<String> = ids.into_iter().map(|(_, id)| id).collect();
        state.recordings.retain(|id, _| !ids.contains(id));
        for callback in state.callbacks.values_mut() {
            callback.record_id.take_if(|id| ids.contains(id));
        }
        Ok(ids)
    }
}
