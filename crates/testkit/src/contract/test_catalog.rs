//! A catalog of recordings under test, and recordings for it.

use std::sync::Arc;

use app::ports::{Destination, FileMove, ImportedRecording, RecordingCursor, RecordingStore};
use domain::Timestamp;
use domain::recording::catalog::{
    IncomingRecording, RecordingChange, RecordingFilter, TenantScope,
};
use domain::recording::{PlaybackFormat, Recording};

use super::RecordingStoreFactory;
use super::fixtures::NOW;
use super::recordings::bare_recording;

/// A catalog under test. Its methods panic when a call fails.
#[derive(Clone)]
pub(super) struct TestCatalog(pub(super) Arc<dyn RecordingStore>);

impl TestCatalog {
    pub(super) async fn new(factory: RecordingStoreFactory<'_>) -> Self {
        Self(factory().await)
    }

    pub(super) async fn with(factory: RecordingStoreFactory<'_>, recordings: &[Recording]) -> Self {
        let catalog = Self::new(factory).await;
        for recording in recordings {
            catalog.put(recording).await;
        }
        catalog
    }

    pub(super) async fn put(&self, recording: &Recording) {
        self.0.put_recording(recording).await.expect("put_recording");
    }

    pub(super) async fn get(&self, id: &str) -> Option<Recording> {
        self.0.find_recording(id).await.expect("recording")
    }

    /// Searches recordings. Asserts that searches in pages find the same.
    pub(super) async fn find(
        &self,
        filter: &RecordingFilter,
        scope: &TenantScope,
    ) -> Vec<Recording> {
        let whole = self.0.search_recordings(filter, scope, None, 1_000).await.expect("a search");
        let (page, count) = self.page(filter, scope, 0, 1_000).await;
        assert_eq!((&page, count), (&whole, whole.len() as u64), "{filter:?} {scope:?}");
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let next = self.0.search_recordings(filter, scope, after.as_ref(), 2).await;
            let next = next.expect("a search");
            let Some(last) = next.last() else { break };
            after = Some(RecordingCursor::from_recording(last));
            found.extend(next);
            assert!(found.len() <= whole.len(), "{filter:?}");
        }
        assert_eq!(found, whole, "pages of two: {filter:?} {scope:?}");
        whole
    }

    pub(super) async fn page(
        &self,
        filter: &RecordingFilter,
        scope: &TenantScope,
        offset: u64,
        limit: u32,
    ) -> (Vec<Recording>, u64) {
        self.0.search_recordings_page(filter, scope, offset, limit).await.expect("a page")
    }

    pub(super) async fn find_ids(&self, filter: &RecordingFilter) -> Vec<String> {
        self.find_ids_in(filter, &TenantScope::All).await
    }

    pub(super) async fn find_ids_in(
        &self,
        filter: &RecordingFilter,
        scope: &TenantScope,
    ) -> Vec<String> {
        self.find(filter, scope).await.into_iter().map(|recording| recording.record_id).collect()
    }

    pub(super) async fn change_recordings(
        &self,
        ids: &[&str],
        scope: &TenantScope,
        change: &RecordingChange,
    ) -> Vec<String> {
        let ids: Vec<String> = ids.iter().map(|id| (*id).to_owned()).collect();
        self.0.change_recordings(&ids, scope, change).await.expect("a change")
    }

    pub(super) async fn begin_move(
        &self,
        id: &str,
        to: Destination,
        now: Timestamp,
    ) -> Option<FileMove> {
        self.0.begin_file_move(id, &TenantScope::All, to, now).await.expect("begin_file_move")
    }

    pub(super) async fn end_move(&self, file_move: &FileMove) -> bool {
        self.0.end_file_move(file_move).await.expect("end_file_move")
    }

    pub(super) async fn list_moves(&self, before: Timestamp) -> Vec<FileMove> {
        self.0.list_file_moves(before, 100).await.expect("list_file_moves")
    }

    pub(super) async fn import_recording(
        &self,
        recording: &Recording,
        now: Timestamp,
    ) -> Option<ImportedRecording> {
        let incoming = IncomingRecording { recording: recording.clone() };
        self.0.import_recording(&incoming, now).await.expect("an import")
    }
}

/// A published recording that started this number of minutes after [`NOW`].
pub(super) fn published_recording(id: &str, minutes: i64) -> Recording {
    Recording {
        meeting_id: Some(format!("meeting of {id}")),
        published: true,
        state: Some("published".to_owned()),
        started_at: Some(NOW.plus_ms(60_000 * minutes)),
        ..bare_recording(id)
    }
}

pub(super) fn with_metadata(mut recording: Recording, metadata: &[(&str, &str)]) -> Recording {
    let pairs = metadata.iter().map(|(key, value)| ((*key).to_owned(), Some((*value).to_owned())));
    recording.metadata = pairs.collect();
    recording.metadata.sort();
    recording
}

pub(super) fn format(name: &str) -> PlaybackFormat {
    PlaybackFormat {
        format: name.to_owned(),
        url: Some(format!("/{name}/x")),
        size: Some(7),
        ..PlaybackFormat::default()
    }
}

pub(super) fn with_formats(mut recording: Recording, names: &[&str]) -> Recording {
    recording.formats = names.iter().map(|name| format(name)).collect();
    recording
}

pub(super) fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

pub(super) fn tenant_scope(tenant: &str) -> TenantScope {
    TenantScope::Tenant(tenant.to_owned())
}
