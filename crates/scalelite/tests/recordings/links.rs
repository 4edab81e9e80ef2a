//! Symbolic links in the directories of recordings, lists of recordings with a broken one, and
//! leftovers that cannot be removed.

use std::os::unix::fs::symlink;

use testkit::product::{Product, Setup, wait_until};
use testkit::samples::SampleRecording;

use crate::tools::{format_names, put_in_spool, recording_row, setup, visibility_of};

async fn import(setup: &Setup, product: &Product, samples: &[&SampleRecording]) {
    for sample in samples {
        put_in_spool(setup, &format!("{}.tar", sample.record_id), &sample.archive(&["video"]));
    }
    for sample in samples {
        let is_imported = async || recording_row(setup, sample).await.is_some();
        let imported = wait_until("imported", is_imported).await;
        imported.unwrap_or_else(|error| panic!("{error}: {}", product.log()));
    }
}

/// Moves the files of a format to another disk, with a link in their place.
fn move_to_disk(setup: &Setup, sample: &SampleRecording) {
    let place = setup.folder().join("published/video").join(&sample.record_id);
    let on_disk = setup.folder().join("disk").join(&sample.record_id);
    std::fs::create_dir_all(setup.folder().join("disk")).unwrap();
    std::fs::rename(&place, &on_disk).unwrap();
    symlink(&on_disk, &place).unwrap();
}

async fn playback_status(product: &Product, sample: &SampleRecording) -> u16 {
    product.get(&format!("/video/{}/video-0.m4v", sample.record_id)).await.unwrap().status
}

#[tokio::test(flavor = "multi_thread")]
async fn links_to_allowed_disks_are_followed_and_their_files_deleted() {
    let setup = setup();
    let disk = setup.folder().join("disk").display().to_string();
    let setup = setup.with_setting("RECORDING_LINK_ROOTS", &disk);
    let product = setup.start().await.unwrap();
    let sample = SampleRecording::new(1);
    import(&setup, &product, &[&sample]).await;
    move_to_disk(&setup, &sample);
    assert_eq!(playback_status(&product, &sample).await, 200);
    let check = setup.run_command(&["recordings", "check"]).await.unwrap();
    assert!(check.status.success(), "{check:?}");
    let id = format!("recordID={}", sample.record_id);
    let hidden = product.call("publishRecordings", &format!("{id}&publish=false")).await.unwrap();
    assert_eq!(hidden.xml_field("returncode"), "SUCCESS");
    let on_disk = setup.folder().join("disk").join(&sample.record_id);
    assert!(on_disk.join("video-0.m4v").is_file());
    let deleted = product.call("deleteRecordings", &id).await.unwrap();
    assert_eq!(deleted.xml_field("returncode"), "SUCCESS");
    assert!(!on_disk.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn other_links_are_named_and_nobody_is_told_that_their_files_were_deleted() {
    let setup = setup();
    let product = setup.start().await.unwrap();
    let sample = SampleRecording::new(2);
    import(&setup, &product, &[&sample]).await;
    move_to_disk(&setup, &sample);
    assert_eq!(playback_status(&product, &sample).await, 404);
    for command in [&["recordings", "check"][..], &["doctor"]] {
        let output = setup.run_command(command).await.unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(text.contains("RECORDING_LINK_ROOTS"), "{command:?}: {text}");
    }
    let id = format!("recordID={}", sample.record_id);
    let deleted = product.call("deleteRecordings", &id).await.unwrap();
    assert_eq!(deleted.xml_field("returncode"), "FAILED", "{}", deleted.text());
    assert!(deleted.xml_field("message").contains(&sample.record_id), "{}", deleted.text());
    let on_disk = setup.folder().join("disk").join(&sample.record_id);
    assert!(on_disk.join("video-0.m4v").is_file());
}

#[tokio::test(flavor = "multi_thread")]
async fn one_broken_recording_of_a_list_does_not_keep_the_others() {
    let setup = setup();
    let product = setup.start().await.unwrap();
    let all = [1, 2, 3].map(|number| SampleRecording::new(10 + number));
    import(&setup, &product, &all.each_ref()).await;
    std::fs::remove_dir_all(setup.folder().join("published/video").join(&all[0].record_id))
        .unwrap();
    let ids: Vec<&str> = all.iter().map(|sample| sample.record_id.as_str()).collect();
    let query = format!("recordID={}&publish=false", ids.join(","));
    let response = product.call("publishRecordings", &query).await.unwrap();
    assert_eq!(response.xml_field("returncode"), "FAILED", "{}", response.text());
    let message = response.xml_field("message");
    assert!(message.contains(ids[0]) && !message.contains(ids[1]), "{message}");
    for sample in &all[1..] {
        assert_eq!(visibility_of(&setup, sample, "video"), Some("unpublished"));
    }
    assert!(recording_row(&setup, &all[0]).await.unwrap().published);
    // The command line goes on as well.
    let arguments = [&["recordings", "publish"], &ids[..]].concat();
    let output = setup.run_command(&arguments).await.unwrap();
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains(ids[0]), "{output:?}");
    for sample in &all[1..] {
        assert_eq!(visibility_of(&setup, sample, "video"), Some("published"));
    }
}

/// Directories with more levels than are ever removed stand for files of another user, which root
/// could remove.
#[tokio::test(flavor = "multi_thread")]
async fn a_leftover_that_cannot_be_removed_does_not_stop_imports() {
    let setup = setup();
    let leftover = setup.folder().join("work/import-left").join("d/".repeat(70));
    std::fs::create_dir_all(&leftover).unwrap();
    std::fs::write(setup.folder().join("work/import-left/.lock"), "old.tar").unwrap();
    let staged = setup.folder().join("published/.scalelite-staging/1-old").join("d/".repeat(70));
    std::fs::create_dir_all(&staged).unwrap();
    let product = setup.start().await.unwrap();
    let sample = SampleRecording::new(30);
    import(&setup, &product, &[&sample]).await;
    let row = recording_row(&setup, &sample).await.unwrap();
    assert_eq!(format_names(&row), ["video"]);
    for name in ["import-left", "1-old"] {
        // The log is written a moment later.
        let is_named = async || product.log().contains(name);
        wait_until("named in the log", is_named).await.unwrap();
        let log = product.log();
        let named = log.lines().filter(|line| line.contains(name) && line.contains("not removed"));
        assert_eq!(named.count(), 1, "{name}: {log}");
    }
}
