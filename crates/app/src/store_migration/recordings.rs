//! Copies recordings and callbacks, one page at a time.

use std::collections::HashSet;

use domain::recording::{Callback, Recording};

use super::copier::{CopyAction, StoreCopier};
use super::counts::{MigratedKind, MigrationCounts};
use crate::ports::{RecordingStore, StoreError};

/// Number of recordings or callbacks that are held in memory at a time.
const PAGE_SIZE: u32 = 200;

impl StoreCopier<'_> {
    pub(super) async fn copy_recordings(
        &mut self,
        source: &dyn RecordingStore,
        target: &dyn RecordingStore,
    ) -> Result<MigrationCounts, StoreError> {
        let mut counts = MigrationCounts::new(MigratedKind::Recordings);
        let total = source.count_recordings().await?.recordings;
        let mut after: Option<String> = None;
        loop {
            let page: Vec<Recording> =
                source.list_recordings_after(after.as_deref(), PAGE_SIZE).await?;
            let Some(last) = page.last() else {
                return Ok(counts);
            };
            after = Some(last.record_id.clone());
            for recording in &page {
                let existing = target.find_recording(&recording.record_id).await?;
                let action = CopyAction::compare(recording, existing.as_ref());
                if self.count_entry(&mut counts, action, total) {
                    target.put_recording(recording).await?;
                    let written = target.find_recording(&recording.record_id).await?;
                    counts.count_verified(written.as_ref() == Some(recording), || {
                        recording.record_id.clone()
                    });
                }
            }
        }
    }

    pub(super) async fn copy_callbacks(
        &mut self,
        source: &dyn RecordingStore,
        target: &dyn RecordingStore,
    ) -> Result<MigrationCounts, StoreError> {
        let mut counts = MigrationCounts::new(MigratedKind::Callbacks);
        let total = source.count_recordings().await?.callbacks;
        let mut after: Option<String> = None;
        loop {
            let page: Vec<Callback> =
                source.list_callbacks_after(after.as_deref(), PAGE_SIZE).await?;
            let (Some(last), page_start) = (page.last(), after) else {
                return Ok(counts);
            };
            after = Some(last.meeting_id.clone());
            let existing = find_callbacks(target, page_start.as_deref(), &page).await?;
            let mut copied = Vec::new();
            for callback in &page {
                let known = existing.iter().find(|known| known.meeting_id == callback.meeting_id);
                if self.count_entry(&mut counts, CopyAction::compare(callback, known), total) {
                    target.put_callback(callback).await?;
                    copied.push(callback);
                }
            }
            if copied.is_empty() {
                continue;
            }
            let written = find_callbacks(target, page_start.as_deref(), &page).await?;
            for callback in copied {
                counts.count_verified(written.contains(callback), || callback.meeting_id.clone());
            }
        }
    }
}

/// Returns those of the wanted callbacks that a store has. All callbacks are in the order of their
/// meeting ids, and the wanted ones come after `after`.
async fn find_callbacks(
    store: &dyn RecordingStore,
    after: Option<&str>,
    wanted: &[Callback],
) -> Result<Vec<Callback>, StoreError> {
    let ids: HashSet<&str> = wanted.iter().map(|callback| callback.meeting_id.as_str()).collect();
    let last_wanted = wanted.last().map_or("", |callback| callback.meeting_id.as_str());
    let (mut found, mut after) = (Vec::new(), after.map(str::to_owned));
    loop {
        let page = store.list_callbacks_after(after.as_deref(), PAGE_SIZE).await?;
        let Some(last) = page.last().map(|callback| callback.meeting_id.clone()) else {
            return Ok(found);
        };
        found
            .extend(page.into_iter().filter(|callback| ids.contains(callback.meeting_id.as_str())));
        if last.as_str() >= last_wanted {
            return Ok(found);
        }
        after = Some(last);
    }
}
