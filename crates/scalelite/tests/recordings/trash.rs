//! Deleted recordings that can be restored from the trash, and recordings that expire.

use testkit::product::wait_until;
use testkit::samples::SampleRecording;
use testkit::stores::StoreKind;

use crate::test_storage::{
    FileStorage, TestStorage, assert_hidden, assert_playable, change_recording, get_recording,
};

#[tokio::test(flavor = "multi_thread")]
async fn deleted_recordings_are_restored_from_directories() {
    delete_and_restore(StoreKind::Embedded, FileStorage::Directories).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn deleted_recordings_are_restored_from_a_bucket() {
    delete_and_restore(StoreKind::Postgres, FileStorage::Bucket).await;
}

async fn delete_and_restore(kind: StoreKind, files: FileStorage) {
    let storage = TestStorage::new(kind, files).await;
    let with_trash = storage.setup.clone().with_setting("RECORDING_TRASH_DAYS", "1");
    let mut product = with_trash.start().await.unwrap();
    let (restored, other) = (SampleRecording::new(1), SampleRecording::new(2));
    let id = format!("recordID={}", restored.record_id);
    for sample in [&restored, &other] {
        storage.import_sample(&product, sample).await;
    }
    change_recording(&product, "updateRecordings", &format!("{id}&meta_course=algebra")).await;
    let before = get_recording(&product, &restored).await;
    for _ in 0..2 {
        change_recording(&product, "deleteRecordings", &id).await;
        assert_hidden(&product, &restored).await;
        assert!(get_recording(&product, &restored).await.contains("noRecordings"));
        let kept = storage.list_files(&restored).await;
        assert!(!kept.is_empty() && kept.iter().all(|path| path.contains("deleted/")), "{kept:?}");
    }
    let trash = storage.run_command(&with_trash, &["recordings", "trash"]).await;
    assert!(trash.starts_with(&restored.record_id) && trash.lines().count() == 1, "{trash}");
    storage.run_command(&with_trash, &["recordings", "check"]).await;
    storage.run_command(&with_trash, &["recordings", "restore", &restored.record_id]).await;
    assert_eq!(get_recording(&product, &restored).await, before);
    assert_playable(&product, &restored).await;
    let second =
        with_trash.run_command(&["recordings", "restore", &restored.record_id]).await.unwrap();
    assert!(!second.status.success());

    // The first recording is removed at once, the other one when the trash is emptied. A shell that
    // knows nothing of the setting deletes nothing that the server would have kept.
    storage
        .run_command(&storage.setup, &["recordings", "delete", "--yes", &restored.record_id])
        .await;
    assert!(!storage.list_files(&restored).await.is_empty());
    storage
        .run_command(
            &with_trash,
            &["recordings", "delete", "--yes", "--erase", &restored.record_id],
        )
        .await;
    assert_eq!(storage.list_files(&restored).await, [""; 0]);
    storage.run_command(&with_trash, &["recordings", "delete", "--yes", &other.record_id]).await;
    assert!(!storage.list_files(&other).await.is_empty());
    product.kill().await.unwrap();
    let without_trash = storage.setup.clone().with_setting("RECORDING_TRASH_DAYS", "0");
    let _product = without_trash.start().await.unwrap();
    let is_empty = async || storage.list_files(&other).await.is_empty();
    wait_until("the trash is empty", is_empty).await.unwrap();
    storage.run_command(&storage.setup, &["recordings", "check"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn expired_recordings_are_deleted() {
    let storage = TestStorage::new(StoreKind::Embedded, FileStorage::Directories).await;
    let (draft, lesson) = (SampleRecording::new(1), SampleRecording::new(2));
    let mut product = storage.setup.start().await.unwrap();
    for sample in [&draft, &lesson] {
        storage.import_sample(&product, sample).await;
    }
    let id = &draft.record_id;
    change_recording(&product, "updateRecordings", &format!("recordID={id}&meta_Category=draft-1"))
        .await;
    product.kill().await.unwrap();
    let retaining = storage.setup.clone().with_setting("RECORDING_RETENTION_DAYS", "1");
    let retaining = retaining.with_setting("RECORDING_RETENTION_METADATA", "category=draft%");
    let product = retaining.start().await.unwrap();
    let is_deleted = async || get_recording(&product, &draft).await.contains("noRecordings");
    let deleted = wait_until("deleted", is_deleted).await;
    deleted.unwrap_or_else(|error| panic!("{error}: {}", product.log()));
    let is_removed = async || storage.list_files(&draft).await.is_empty();
    wait_until("removed", is_removed).await.unwrap();
    assert!(product.log().contains("deleting expired recording"), "{}", product.log());
    assert_playable(&product, &lesson).await;
}
