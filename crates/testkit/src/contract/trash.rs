//! The trash: what is deleted comes back as it was, or goes for good, and nothing in between.

use app::ports::{Destination, FileMove, RecordingStore, TrashedRecording};
use domain::Timestamp;
use domain::recording::Recording;

use super::catalog::{TestCatalog, format, published_recording};
use super::pool_store::NOW;
use super::recordings::full_recording;
use super::{ContractCase, RecordingStoreFactory};

pub(super) fn cases() -> Vec<ContractCase<dyn RecordingStore>> {
    super::cases![
        what_is_deleted_comes_back_as_it_was,
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
        self.begin_move(id, Destination::Trash, NOW.plus_ms(ms)).await.expect("a journey")
    }
}

/// All that there can be in a recording that is not deleted.
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

async fn what_is_deleted_comes_back_as_it_was(factory: RecordingStoreFactory<'_>) {
    let shelf = TestCatalog::new(factory).await;
    for published in [true, false] {
        let state = if published { "published" } else { "unpublished" };
        let one =
            Recording { published, state: Some(state.to_owned()), ..undeleted_recording("a") };
        shelf.put(&one).await;
        let gone = shelf.delete_recording("a", 1).await;
        assert_eq!(
            (gone.destination, &gone.formats[..]),
            (Destination::Trash, &format_names(&one)[..])
        );
        let row = shelf.get("a").await.unwrap();
        assert!(row.is_deleted() && !row.published && row.deleted_at == Some(NOW.plus_ms(1)));
        assert_eq!((row.metadata.len(), row.formats.len(), row.details.raw_size), (0, 0, None));
        let trashed = TrashedRecording {
            record_id: "a".to_owned(),
            formats: format_names(&one),
            deleted_at: NOW.plus_ms(1),
        };
        assert_eq!(shelf.0.find_trashed("a").await.unwrap().as_ref(), Some(&trashed));
        assert_eq!(shelf.list_trash().await, [trashed]);
        assert_eq!(shelf.list_moves(NOW.plus_ms(9)).await, [gone]);
        let back = shelf.restore_recording("a", NOW.plus_ms(2)).await.unwrap();
        assert_eq!(
            (back.destination, &back.formats),
            (Destination::from_recording(&one), &format_names(&one))
        );
        assert_eq!((back.replaced_running, shelf.get("a").await), (true, Some(one)));
        assert_eq!(
            (shelf.list_trash().await, shelf.restore_recording("a", NOW).await),
            (vec![], None)
        );
        assert!(shelf.end_move(&back).await);
    }
    assert_eq!(shelf.restore_recording("nobody", NOW).await, None);
    assert_eq!(shelf.0.find_trashed("nobody").await.unwrap(), None);
}

async fn trashed_recordings_are_not_listed(factory: RecordingStoreFactory<'_>) {
    let shelf = TestCatalog::new(factory).await;
    for id in ["b", "a"] {
        shelf.put(&undeleted_recording(id)).await;
        let gone = shelf.delete_recording(id, 1).await;
        shelf.end_move(&gone).await;
    }
    assert_eq!(shelf.begin_move("a", Destination::Published, NOW).await, None);
    assert_eq!(shelf.import_recording(&undeleted_recording("a"), NOW).await, None);
    // Again, in case files were left; it does not begin anew.
    let again = shelf.delete_recording("a", 7).await;
    assert_eq!(again.formats, format_names(&undeleted_recording("a")));
    shelf.end_move(&again).await;
    let since = |one: &TrashedRecording| (one.record_id.clone(), one.deleted_at);
    let all: Vec<_> = shelf.list_trash().await.iter().map(since).collect();
    assert_eq!(all, [("a".to_owned(), NOW.plus_ms(1)), ("b".to_owned(), NOW.plus_ms(1))]);
    let page = shelf.0.list_trash(Some("a"), 1).await.expect("trash");
    assert_eq!((page.len(), page[0].record_id.as_str()), (1, "b"));
    let forgotten =
        shelf.0.forget_deleted_recordings(NOW.plus_ms(99), 9).await.expect("forget_deleted");
    assert_eq!(forgotten, [""; 0]);
}

async fn the_trash_is_emptied_of_what_is_old(factory: RecordingStoreFactory<'_>) {
    let shelf = TestCatalog::new(factory).await;
    for (id, ms) in [("c", 1), ("a", 2), ("b", 2), ("d", 3)] {
        shelf.put(&undeleted_recording(id)).await;
        let gone = shelf.delete_recording(id, ms).await;
        shelf.end_move(&gone).await;
    }
    let ids = |journeys: &[FileMove]| -> Vec<String> {
        assert!(journeys.iter().all(|one| one.destination == Destination::Removed));
        assert!(journeys.iter().all(|one| one.formats == format_names(&undeleted_recording("x"))));
        journeys.iter().map(|one| one.record_id.clone()).collect()
    };
    assert_eq!(shelf.empty_trash(NOW.plus_ms(1), 9).await, []);
    assert_eq!(ids(&shelf.empty_trash(NOW.plus_ms(3), 2).await), ["c", "a"]);
    assert_eq!(ids(&shelf.empty_trash(NOW.plus_ms(3), 2).await), ["b"]);
    assert_eq!(shelf.empty_trash(NOW.plus_ms(3), 2).await, []);
    assert_eq!(ids(&shelf.list_moves(NOW.plus_ms(999)).await), ["a", "b", "c"]);
    assert_eq!(shelf.restore_recording("a", NOW).await, None);
    assert!(shelf.restore_recording("d", NOW).await.is_some());
}

async fn deleting_for_good_empties_the_trash_too(factory: RecordingStoreFactory<'_>) {
    let shelf = TestCatalog::new(factory).await;
    shelf.put(&undeleted_recording("a")).await;
    let gone = shelf.delete_recording("a", 1).await;
    shelf.end_move(&gone).await;
    let end = shelf.begin_move("a", Destination::Removed, NOW.plus_ms(2)).await.unwrap();
    assert_eq!(
        (end.formats, shelf.list_trash().await),
        (format_names(&undeleted_recording("a")), vec![])
    );
    assert_eq!(shelf.restore_recording("a", NOW).await, None);
    // What was deleted before there was a trash is not in it.
    let late = shelf.delete_recording("a", 3).await;
    assert_eq!((late.destination, shelf.list_trash().await), (Destination::Trash, vec![]));
}

async fn a_replaced_recording_is_not_restored(factory: RecordingStoreFactory<'_>) {
    let shelf = TestCatalog::new(factory).await;
    for id in ["a", "b"] {
        shelf.put(&published_recording(id, 0)).await;
        shelf.delete_recording(id, 1).await;
        let mut other = published_recording(id, 5);
        other.formats = vec![format("video")];
        shelf.put(&other).await;
    }
    assert_eq!(shelf.restore_recording("b", NOW).await, None);
    assert_eq!(shelf.empty_trash(NOW.plus_ms(9), 9).await, []);
    assert_eq!(shelf.list_trash().await, []);
    assert!(!shelf.get("a").await.unwrap().is_deleted());
    assert!(!shelf.get("b").await.unwrap().is_deleted());
}

fn format_names(recording: &Recording) -> Vec<String> {
    recording.formats.iter().map(|one| one.format.clone()).collect()
}
