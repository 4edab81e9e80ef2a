//! The trash in a map.

use async_trait::async_trait;
use domain::Timestamp;
use domain::recording::Recording;

use super::MemoryRecordings;
use super::library::names;
use super::recordings::{Deleted, State, at_most};
use crate::ports::{Destination, Journey, StoreError, Trash, Trashed};

impl State {
    /// Keeps what a recording was before it set out to the trash, or drops what is kept of one that goes on to its
    /// end. Returns the formats of what was there already.
    pub(super) fn put_into_trash(
        &mut self,
        record_id: &str,
        before: Option<Recording>,
        to: Destination,
        now: Timestamp,
    ) -> Vec<String> {
        let known = self.trash.get(record_id).map(|kept| names(&kept.recording));
        match (to, before) {
            (Destination::Trash, Some(recording)) => {
                self.trash.insert(record_id.to_owned(), Deleted { recording, since: now });
            }
            (Destination::Gone, _) => drop(self.trash.remove(record_id)),
            _ => {}
        }
        known.unwrap_or_default()
    }
}

fn trashed((record_id, kept): (&String, &Deleted)) -> Trashed {
    let formats = names(&kept.recording);
    Trashed { record_id: record_id.clone(), formats, since: kept.since }
}

#[async_trait]
impl Trash for MemoryRecordings {
    async fn trash(&self, after: Option<&str>, limit: u32) -> Result<Vec<Trashed>, StoreError> {
        let state = self.lock();
        let behind =
            state.trash.iter().filter(|(id, _)| after.is_none_or(|after| id.as_str() > after));
        Ok(behind.take(at_most(limit)).map(trashed).collect())
    }

    async fn trashed(&self, record_id: &str) -> Result<Option<Trashed>, StoreError> {
        Ok(self.lock().trash.get_key_value(record_id).map(trashed))
    }

    async fn restore_recording(
        &self,
        record_id: &str,
        now: Timestamp,
    ) -> Result<Option<Journey>, StoreError> {
        let mut state = self.lock();
        let Some(Deleted { recording, .. }) = state.trash.remove(record_id) else {
            return Ok(None);
        };
        if !state.recordings.get(record_id).is_some_and(Recording::is_deleted) {
            return Ok(None);
        }
        let (formats, to) = (names(&recording), Destination::of(&recording));
        state.recordings.insert(record_id.to_owned(), recording);
        Ok(Some(state.set_out(record_id, formats, to, now)))
    }

    async fn empty_trash(
        &self,
        before: Timestamp,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<Journey>, StoreError> {
        let mut state = self.lock();
        let old = state.trash.iter().filter(|(_, kept)| kept.since < before);
        let mut old: Vec<(Timestamp, String)> =
            old.map(|(id, kept)| (kept.since, id.clone())).collect();
        old.sort();
        let mut sent = Vec::new();
        for (_, id) in old.into_iter().take(at_most(limit)) {
            let Some(kept) = state.trash.remove(&id) else { continue };
            // Whoever has put another recording in its place wants its files.
            if state.recordings.get(&id).is_none_or(Recording::is_deleted) {
                sent.push(state.set_out(&id, names(&kept.recording), Destination::Gone, now));
            }
        }
        Ok(sent)
    }
}
