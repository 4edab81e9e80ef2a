//! Deleted recordings that can be brought back for a while, and those that go by themselves.

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
    let house = TestStorage::new(kind, files).await;
    let keeping = house.setup.clone().with_setting("RECORDING_TRASH_DAYS", "1");
    let mut product = keeping.start().await.unwrap();
    let (one, other) = (SampleRecording::new(1), SampleRecording::new(2));
    let id = format!("recordID={}", one.record_id);
    for sample in [&one, &other] {
        house.import_sample(&product, sample).await;
    }
    change_recording(&product, "updateRecordings", &format!("{id}&meta_course=algebra")).await;
    let before = get_recording(&product, &one).await;
    for _ in 0..2 {
        change_recording(&product, "deleteRecordings", &id).await;
        assert_hidden(&product, &one).await;
        assert!(get_recording(&product, &one).await.contains("noRecordings"));
        let kept = house.list_files(&one).await;
        assert!(!kept.is_empty() && kept.iter().all(|path| path.contains("deleted/")), "{kept:?}");
    }
    let trash = house.run_command(&keeping, &["recordings", "trash"]).await;
    assert!(trash.starts_with(&one.record_id) && trash.lines().count() == 1, "{trash}");
    house.run_command(&keeping, &["recordings", "check"]).await;
    house.run_command(&keeping, &["recordings", "restore", &one.record_id]).await;
    assert_eq!(get_recording(&product, &one).await, before);
    assert_playable(&product, &one).await;
    let again = keeping.run_command(&["recordings", "restore", &one.record_id]).await.unwrap();
    assert!(!again.status.success());

    // One goes at once, the other when the trash is emptied.
    house.run_command(&keeping, &["recordings", "delete", "--yes", &one.record_id]).await;
    house
        .run_command(&keeping, &["recordings", "delete", "--yes", "--erase", &one.record_id])
        .await;
    assert_eq!(house.list_files(&one).await, [""; 0]);
    house.run_command(&keeping, &["recordings", "delete", "--yes", &other.record_id]).await;
    assert!(!house.list_files(&other).await.is_empty());
    product.kill().await.unwrap();
    let _product = house.setup.start().await.unwrap();
    wait_until("emptied", async || house.list_files(&other).await.is_empty()).await.unwrap();
    house.run_command(&house.setup, &["recordings", "check"]).await;
}

/// Those of the samples whose meetings were long ago.
#[tokio::test(flavor = "multi_thread")]
async fn expired_recordings_are_deleted() {
    let house = TestStorage::new(StoreKind::Embedded, FileStorage::Directories).await;
    let (draft, lesson) = (SampleRecording::new(1), SampleRecording::new(2));
    let mut product = house.setup.start().await.unwrap();
    for sample in [&draft, &lesson] {
        house.import_sample(&product, sample).await;
    }
    let id = &draft.record_id;
    change_recording(&product, "updateRecordings", &format!("recordID={id}&meta_Category=draft-1"))
        .await;
    product.kill().await.unwrap();
    let retaining = house.setup.clone().with_setting("RECORDING_RETENTION_DAYS", "1");
    let retaining = retaining.with_setting("RECORDING_RETENTION_METADATA", "category=draft%");
    let product = retaining.start().await.unwrap();
    let gone = async || get_recording(&product, &draft).await.contains("noRecordings");
    wait_until("gone", gone).await.unwrap_or_else(|error| panic!("{error}: {}", product.log()));
    wait_until("removed", async || house.list_files(&draft).await.is_empty()).await.unwrap();
    assert!(product.log().contains("deleting expired recording"), "{}", product.log());
    assert_playable(&product, &lesson).await;
}
