//! Archives of recordings that were deleted: none is thrown away, and each can be brought back.

use testkit::product::{Setup, wait_until};
use testkit::samples::SampleRecording;
use testkit::stores::StoreKind;

use crate::test_storage::{
    FileStorage, TestStorage, assert_hidden, assert_playable, change_recording, get_recording,
};
use crate::tools::{
    archive_of, file_names, find_import, put_in_spool, recording_row, setup, visibility_of,
};

/// Waits until an archive has this state in the list of imports; returns the reason.
async fn await_import_state(setup: &Setup, name: &str, state: &str) -> String {
    let reached =
        async || find_import(setup, name).await.is_some_and(|import| import["state"] == state);
    wait_until(state, reached).await.unwrap();
    let import = find_import(setup, name).await.unwrap();
    import["reason"].as_str().unwrap_or_default().to_owned()
}

fn set_aside(setup: &Setup) -> Vec<String> {
    let mut names = file_names(&setup.folder().join("work/quarantine/set-aside"));
    names.retain(|name| !name.ends_with(".reason.txt"));
    names
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_of_a_deleted_recording_is_kept_and_brought_back() {
    for kind in [StoreKind::Embedded, StoreKind::Postgres] {
        let storage = TestStorage::new(kind, FileStorage::Directories).await;
        let setup = &storage.setup;
        let product = setup.start().await.unwrap();
        let sample = SampleRecording::new(1);
        let (id, name) = (&sample.record_id, format!("{}.tar", sample.record_id));
        storage.import_sample(&product, &sample).await;
        change_recording(&product, "deleteRecordings", &format!("recordID={id}")).await;
        // It comes again, as `bbb-record --rebuild` sends it, and with a further format.
        put_in_spool(setup, &name, &sample.archive(&["podcast"]));
        let reason = await_import_state(setup, &name, "aside").await;
        assert_eq!(reason, format!("deleted before: {id}"));
        put_in_spool(setup, &name, &sample.archive(&testkit::samples::FORMATS));
        let is_kept = async || set_aside(setup).len() == 2;
        wait_until("both are kept", is_kept).await.unwrap();
        assert_hidden(&product, &sample).await;
        assert!(get_recording(&product, &sample).await.contains("noRecordings"));

        let undeleted = storage.run_command(setup, &["recordings", "undelete", id]).await;
        assert!(undeleted.contains("imported"), "{undeleted}");
        assert_playable(&product, &sample).await;
        assert!(
            set_aside(setup).is_empty() && file_names(&setup.folder().join("spool")).is_empty()
        );
        // There is nothing to undelete any more.
        let again = setup.run_command(&["recordings", "undelete", id]).await.unwrap();
        assert_eq!(again.status.code(), Some(1), "{again:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_import_command_tells_of_deletions_and_lifts_them() {
    let setup = setup();
    let sample = SampleRecording::new(2);
    let id = &sample.record_id;
    let file = setup.folder().join("lecture.tar");
    std::fs::write(&file, sample.archive(&["video"])).unwrap();
    let run = async |arguments: &[&str]| setup.run_command(arguments).await.unwrap();
    let import = ["recordings", "import", file.to_str().unwrap()];
    assert!(run(&import).await.status.success());
    assert!(run(&["recordings", "delete", "--yes", id]).await.status.success());
    let refused = run(&import).await;
    assert_eq!(refused.status.code(), Some(1));
    let text = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(text.contains("set aside") && text.contains("--undelete"), "{text}");
    assert_eq!((visibility_of(&setup, &sample, "video"), set_aside(&setup).len()), (None, 1));
    let lifted = run(&[&import[..], &["--undelete"]].concat()).await;
    assert!(lifted.status.success(), "{lifted:?}");
    assert_eq!(visibility_of(&setup, &sample, "video"), Some("published"));
    assert!(set_aside(&setup).is_empty());
    // A deletion of which nothing is left is lifted, but nothing is back.
    assert!(run(&["recordings", "delete", "--yes", id]).await.status.success());
    let empty = run(&["recordings", "undelete", id]).await;
    assert_eq!(empty.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&empty.stderr).contains("bbb-record --rebuild"), "{empty:?}");
    assert!(run(&import).await.status.success(), "its archives are imported again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recording_in_the_trash_is_undeleted_from_there() {
    let setup = setup().with_setting("RECORDING_TRASH_DAYS", "1");
    let sample = SampleRecording::new(3);
    let id = &sample.record_id;
    let product = setup.start().await.unwrap();
    let name = format!("{id}.tar");
    put_in_spool(&setup, &name, &sample.archive(&["video"]));
    await_import_state(&setup, &name, "done").await;
    change_recording(&product, "updateRecordings", &format!("recordID={id}&meta_a=edited")).await;
    change_recording(&product, "deleteRecordings", &format!("recordID={id}")).await;
    put_in_spool(&setup, &name, &sample.archive(&["notes"]));
    await_import_state(&setup, &name, "aside").await;
    let output = setup.run_command(&["recordings", "undelete", id]).await.unwrap();
    assert!(output.status.success(), "{output:?}");
    let row = recording_row(&setup, &sample).await.unwrap();
    assert_eq!(row.metadata_value("a"), Some("edited"));
    assert_eq!(crate::tools::format_names(&row), ["notes", "video"]);
    for format in ["notes", "video"] {
        assert_eq!(visibility_of(&setup, &sample, format), Some("published"), "{format}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_an_archive_of_several_recordings_the_deleted_one_stays_away() {
    let setup = setup();
    let (gone, other) = (SampleRecording::new(4), SampleRecording::new(5));
    let product = setup.start().await.unwrap();
    let name = format!("{}.tar", gone.record_id);
    put_in_spool(&setup, &name, &gone.archive(&["video"]));
    await_import_state(&setup, &name, "done").await;
    let id = format!("recordID={}", gone.record_id);
    change_recording(&product, "deleteRecordings", &id).await;
    let both = archive_of(&[gone.clone(), other.clone()], &["notes"]);
    put_in_spool(&setup, "both.tar", &both);
    let reason = await_import_state(&setup, "both.tar", "aside").await;
    assert_eq!(reason, format!("the rest was imported; deleted before: {}", gone.record_id));
    assert_eq!(visibility_of(&setup, &other, "notes"), Some("published"));
    assert_eq!(visibility_of(&setup, &gone, "notes"), None);
    assert_eq!(set_aside(&setup), ["both.tar"]);
}
