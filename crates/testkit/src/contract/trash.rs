//! The trash: a deleted recording is restored as it was, or removed for good.

use app::ports::{Destination, FileMove, RecordingStore, TrashedRecording};
use domain::Timestamp;
use domain::recording::Recording;

use super::fixtures::NOW;
use super::recordings::full_recording;
use super::test_catalog::{TestCatalog, format, published_recording};
use super::{ContractCase, RecordingStoreFactory};

pub(super) fn cases() -> Vec<ContractCase<dyn RecordingStore>> {
    super::cases![
        how_long_recordings_are_kept_is_remembered,
        a_tombstone_is_forgotten_on_request,
        a_deleted_recording_is_restored_as_it_was,
        trashed_recordings_are_not_listed,
        the_trash_is_emptied_of_what_is_old,
        deleting_for_good_empties_the_trash_too,
        a_replaced_recording_is_not_restored,
    ]
}

impl TestCatalog {
    async fn list_trash(&self) -> Vec<TrashedRecording> {
        self.0.list_trash(None, 100).await.expect("trash")
    }

    async fn restore_recording(&self, id: &str, now: Timestamp) -> Option<FileMove> {
        self.0.restore_recording(id, now).await.expect("restore_recording")
    }

    async fn empty_trash(&self, before: Timestamp, limit: u32) -> Vec<FileMove> {
        self.0.empty_trash(before, NOW.plus_ms(100), limit).await.expect("empty_trash")
    }

    async fn delete_recording(&self, id: &str, ms: i64) -> FileMove {
        self.begin_move(id, Destination::Trash, NOW.plus_ms(ms)).await.expect("a file move")
    }
}

/// A recording with every field that a recording outside of the trash can have.
fn undeleted_recording(id: &str) -> Recording {
    let mut recording = Recording { deleted_at: None, ..full_recording(id) };
    recording.state = Some("published".to_owned());
    recording.published = true;
    recording.details.raw_size = Some(1);
    recording.details.metadata_edits =
        vec![("a".to_owned(), None), ("b".to_owned(), Some("x".to_owned()))];
    recording.formats[0].size = Some(9);
    recording
}

async fn a_deleted_recording_is_restored_as_it_was(factory: RecordingStoreFactory<'_>) {
    let catalog = TestCatalog::new(factory).await;
    for published in [true, false] {
        let state = if published { "published" } else { "unpublished" };
        let original =
            Recording { published, state: Some(state.to_owned()), ..undeleted_recording("a") };
        catalog.put(&original).await;
        let gone = catalog.delete_recording("a", 1).await;
        assert_eq!(
            (gone.destination, &gone.formats[..]),
            (Destination::Trash, &format_names(&original)[..])
        );
        let row = catalog.get("a").await.unwrap();
        assert!(row.is_deleted() && !row.published && row.deleted_at == Some(NOW.plus_ms(1)));
        assert_eq!((row.metadata.len(), row.formats.len(), row.details.raw_size), (0, 0, None));
        let trashed = TrashedRecording {
            record_id: "a".to_owned(),
            formats: format_names(&original),
            deleted_at: NOW.plus_ms(1),
        };
        assert_eq!(catalog.0.find_trashed("a").await.unwrap().as_ref(), Some(&trashed));
        assert_eq!(catalog.list_trash().await, [trashed]);
        assert_eq!(catalog.list_moves(NOW.plus_ms(9)).await, [gone]);
        let back = catalog.restore_recording("a", NOW.plus_ms(2)).await.unwrap();
        assert_eq!(
            (back.destination, &back.formats),
            (Destination::from_recording(&original), &format_names(&original))
        );
        assert_eq!((back.replaced_running, catalog.get("a").await), (true, Some(original)));
        assert_eq!(
            (catalog.list_trash().await, catalog.restore_recording("a", NOW).await),
            (vec![], None)
        );
        assert!(catalog.end_move(&back).await);
    }
    assert_eq!(catalog.restore_recording("nobody", NOW).await, None);
    assert_eq!(catalog.0.find_trashed("nobody").await.unwrap(), None);
}

async fn how_long_recordings_are_kept_is_remembered(factory: RecordingStoreFactory<'_>) {
    let store = factory().await;
    assert_eq!(store.find_trash_ms().await.unwrap(), None);
    for trash_ms in [86_400_000, 0] {
        store.set_trash_ms(trash_ms).await.unwrap();
        assert_eq!(store.find_trash_ms().await.unwrap(), Some(trash_ms));
    }
}

async fn a_tombstone_is_forgotten_on_request(factory: RecordingStoreFactory<'_>) {
    let catalog = TestCatalog::new(factory).await;
    let forget = async |id: &str| catalog.0.forget_tombstone(id).await.unwrap();
    for id in ["a", "b"] {
        catalog.put(&undeleted_recording(id)).await;
    }
    assert!(!forget("a").await && !forget("nobody").await);
    let gone = catalog.begin_move("a", Destination::Removed, NOW).await.unwrap();
    assert!(!forget("a").await, "its files may still be removed");
    assert!(catalog.end_move(&gone).await);
    assert!(forget("a").await);
    assert_eq!(catalog.get("a").await, None);
    assert!(catalog.import_recording(&undeleted_recording("a"), NOW).await.is_some());
    let trashed = catalog.delete_recording("b", 1).await;
    assert!(catalog.end_move(&trashed).await);
    assert!(!forget("b").await, "it is in the trash");
}

async fn trashed_recordings_are_not_listed(factory: RecordingStoreFactory<'_>) {
    let catalog = TestCatalog::new(factory).await;
    for id in ["b", "a"] {
        catalog.put(&undeleted_recording(id)).await;
        let gone = catalog.delete_recording(id, 1).await;
        catalog.end_move(&gone).await;
    }
    assert_eq!(catalog.begin_move("a", Destination::Published, NOW).await, None);
    assert_eq!(catalog.import_recording(&undeleted_recording("a"), NOW).await, None);
    // Deleting again starts a file move, in case files were left. The time of deletion does not
    // change.
    let again = catalog.delete_recording("a", 7).await;
    assert_eq!(again.formats, format_names(&undeleted_recording("a")));
    catalog.end_move(&again).await;
    let since = |trashed: &TrashedRecording| (trashed.record_id.clone(), trashed.deleted_at);
    let all: Vec<_> = catalog.list_trash().await.iter().map(since).collect();
    assert_eq!(all, [("a".to_owned(), NOW.plus_ms(1)), ("b".to_owned(), NOW.plus_ms(1))]);
    let page = catalog.0.list_trash(Some("a"), 1).await.expect("trash");
    assert_eq!((page.len(), page[0].record_id.as_str()), (1, "b"));
    let forgotten =
        catalog.0.forget_deleted_recordings(NOW.plus_ms(99), 9).await.expect("forget_deleted");
    assert_eq!(forgotten, [""; 0]);
}

async fn the_trash_is_emptied_of_what_is_old(factory: RecordingStoreFactory<'_>) {
    let catalog = TestCatalog::new(factory).await;
    for (id, ms) in [("c", 1), ("a", 2), ("b", 2), ("d", 3)] {
        catalog.put(&undeleted_recording(id)).await;
        let gone = catalog.delete_recording(id, ms).await;
        catalog.end_move(&gone).await;
    }
    let ids = |file_moves: &[FileMove]| -> Vec<String> {
        assert!(file_moves.iter().all(|file_move| file_move.destination == Destination::Removed));
        assert!(
            file_moves
                .iter()
                .all(|file_move| file_move.formats == format_names(&undeleted_recording("x")))
        );
        file_moves.iter().map(|file_move| file_move.record_id.clone()).collect()
    };
    assert_eq!(catalog.empty_trash(NOW.plus_ms(1), 9).await, []);
    assert_eq!(ids(&catalog.empty_trash(NOW.plus_ms(3), 2).await), ["c", "a"]);
    assert_eq!(ids(&catalog.empty_trash(NOW.plus_ms(3), 2).await), ["b"]);
    assert_eq!(catalog.empty_trash(NOW.plus_ms(3), 2).await, []);
    assert_eq!(ids(&catalog.list_moves(NOW.plus_ms(999)).await), ["a", "b", "c"]);
    assert_eq!(catalog.restore_recording("a", NOW).await, None);
    assert!(catalog.restore_recording("d", NOW).await.is_some());
}

async fn deleting_for_good_empties_the_trash_too(factory: RecordingStoreFactory<'_>) {
    let catalog = TestCatalog::new(factory).await;
    catalog.put(&undeleted_recording("a")).await;
    let gone = catalog.delete_recording("a", 1).await;
    catalog.end_move(&gone).await;
    let end = catalog.begin_move("a", Destination::Removed, NOW.plus_ms(2)).await.unwrap();
    assert_eq!(
        (end.formats, catalog.list_trash().await),
        (format_names(&undeleted_recording("a")), vec![])
    );
    assert_eq!(catalog.restore_recording("a", NOW).await, None);
    // A recording that was deleted without the trash is not in it.
    let late = catalog.delete_recording("a", 3).await;
    assert_eq!((late.destination, catalog.list_trash().await), (Destination::Trash, vec![]));
}

async fn a_replaced_recording_is_not_restored(factory: RecordingStoreFactory<'_>) {
    let catalog = TestCatalog::new(factory).await;
    for id in ["a", "b"] {
        catalog.put(&published_recording(id, 0)).await;
        catalog.delete_recording(id, 1).await;
        let mut other = published_recording(id, 5);
        other.formats = vec![format("video")];
        catalog.put(&other).await;
    }
    assert_eq!(catalog.restore_recording("b", NOW).await, None);
    assert_eq!(catalog.empty_trash(NOW.plus_ms(9), 9).await, []);
    assert_eq!(catalog.list_trash().await, []);
    assert!(!catalog.get("a").await.unwrap().is_deleted());
    assert!(!catalog.get("b").await.unwrap().is_deleted());
}

fn format_names(recording: &Recording) -> Vec<String> {
    recording.formats.iter().map(|format| format.format.clone()).collect()
}
