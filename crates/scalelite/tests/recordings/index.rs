//! Rows for files without them, and a library that moves to another storage.

use testkit::samples::{FORMATS, SampleRecording};
use testkit::stores::StoreKind;

use crate::test_storage::{
    FileStorage, TestStorage, assert_playable, change_recording, get_recording,
};
use crate::tools::{recording_row, setup};

#[tokio::test(flavor = "multi_thread")]
async fn after_the_loss_of_the_database_everything_is_indexed_from_directories() {
    index_after_loss(FileStorage::Directories).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_the_loss_of_the_database_everything_is_indexed_from_a_bucket() {
    index_after_loss(FileStorage::Bucket).await;
}

async fn index_after_loss(files: FileStorage) {
    let storage = TestStorage::new(StoreKind::Embedded, files).await;
    let setup = &storage.setup;
    let mut product = setup.start().await.unwrap();
    let (shown, hidden) = (SampleRecording::new(1), SampleRecording::new(2));
    for sample in [&shown, &hidden] {
        storage.import_sample(&product, sample).await;
    }
    let id = format!("recordID={}", hidden.record_id);
    change_recording(&product, "publishRecordings", &format!("{id}&publish=false")).await;
    let before = [get_recording(&product, &shown).await, get_recording(&product, &hidden).await];
    product.kill().await.unwrap();
    for name in ["scalelite.db", "scalelite.db-wal", "scalelite.db-shm"] {
        let _ = std::fs::remove_file(setup.folder().join("data").join(name));
    }
    let product = setup.start().await.unwrap();
    assert!(get_recording(&product, &shown).await.contains("noRecordings"));
    let check = setup.run_command(&["recordings", "check"]).await.unwrap();
    assert!(String::from_utf8_lossy(&check.stderr).contains("recordings index"), "{check:?}");
    let dry = storage.run_command(setup, &["recordings", "index", "--dry-run"]).await;
    assert_eq!(dry.matches("would be indexed").count(), 2 * FORMATS.len(), "{dry}");
    assert!(get_recording(&product, &shown).await.contains("noRecordings"));
    let indexed = storage.run_command(setup, &["recordings", "index"]).await;
    assert_eq!(indexed.matches("\tindexed").count(), 2 * FORMATS.len(), "{indexed}");
    assert_eq!(get_recording(&product, &shown).await, before[0]);
    assert_eq!(get_recording(&product, &hidden).await, before[1]);
    assert_playable(&product, &shown).await;
    assert_eq!(storage.run_command(setup, &["recordings", "index"]).await, "");
    storage.run_command(setup, &["recordings", "check"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn deleted_recordings_and_unusable_files_are_not_indexed() {
    let setup = setup();
    let (gone, odd) = (SampleRecording::new(1), SampleRecording::new(2));
    let product = setup.start().await.unwrap();
    let place = |sample: &SampleRecording| {
        let dir = setup.folder().join("published/video").join(&sample.record_id);
        std::fs::create_dir_all(&dir).unwrap();
        dir
    };
    std::fs::write(place(&gone).join("metadata.xml"), gone.metadata_xml("video")).unwrap();
    std::fs::write(place(&odd).join("metadata.xml"), gone.metadata_xml("video")).unwrap();
    let output = setup.run_command(&["recordings", "index"]).await.unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.contains("another id than its directory"), "{text}");
    assert!(
        recording_row(&setup, &gone).await.is_some() && recording_row(&setup, &odd).await.is_none()
    );
    let id = format!("recordID={}", gone.record_id);
    change_recording(&product, "deleteRecordings", &id).await;
    std::fs::write(place(&gone).join("metadata.xml"), gone.metadata_xml("video")).unwrap();
    let output = setup.run_command(&["recordings", "index"]).await.unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.contains("the recording was deleted"), "{text}");
    assert!(recording_row(&setup, &gone).await.unwrap().is_deleted());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_library_moves_to_a_bucket_while_it_is_served() {
    let bucket = TestStorage::new(StoreKind::Embedded, FileStorage::Bucket).await;
    let in_bucket = &bucket.setup;
    let in_dirs = in_bucket.clone().with_setting("S3_RECORDING", "false");
    let in_dirs = in_dirs.with_setting("RECORDING_TRASH_DAYS", "1");
    let in_bucket = in_bucket.clone().with_setting("RECORDING_TRASH_DAYS", "1");
    let mut product = in_dirs.start().await.unwrap();
    let all = [1, 2, 3].map(SampleRecording::new);
    for sample in &all {
        bucket.import_sample(&product, sample).await;
    }
    let id = |sample: &SampleRecording| format!("recordID={}", sample.record_id);
    change_recording(&product, "publishRecordings", &format!("{}&publish=false", id(&all[1])))
        .await;
    change_recording(&product, "deleteRecordings", &id(&all[2])).await;
    let command = ["recordings", "move-storage", "--to", "s3"];
    let early = in_dirs.run_command(&[&command[..], &["--remove-source"]].concat()).await.unwrap();
    assert!(!early.status.success(), "they are served from the directories");
    let copied = bucket.run_command(&in_dirs, &command).await;
    assert!(copied.contains("18 formats: 18 copied"), "{copied}");
    assert_playable(&product, &all[0]).await;
    let again = bucket.run_command(&in_dirs, &command).await;
    assert!(again.contains("18 were there already"), "{again}");
    product.kill().await.unwrap();
    let product = in_bucket.start().await.unwrap();
    assert_playable(&product, &all[0]).await;
    let removed = [&command[..], &["--remove-source"]].concat();
    let removed = bucket.run_command(&in_bucket, &removed).await;
    assert!(removed.contains("18 removed at the source"), "{removed}");
    bucket.run_command(&in_bucket, &["recordings", "check"]).await;
    bucket.run_command(&in_bucket, &["recordings", "undelete", &all[2].record_id]).await;
    for sample in [&all[0], &all[2]] {
        assert_playable(&product, sample).await;
    }
    change_recording(&product, "publishRecordings", &format!("{}&publish=true", id(&all[1]))).await;
    assert_playable(&product, &all[1]).await;
}
