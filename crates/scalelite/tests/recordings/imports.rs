//! Archives in the spool, and by command.

use testkit::product::wait_until;
use testkit::samples::{FORMATS, SampleRecording};

use crate::tools::{
    file_names, find_import, format_names, put_in_spool, recording_row, setup, visibility_of,
    wait_until_imported,
};

#[tokio::test(flavor = "multi_thread")]
async fn samples_of_every_format_go_in_and_later_formats_are_merged() {
    let setup = setup();
    let product = setup.start().await.unwrap();
    let sample = SampleRecording::new(1);
    let name = format!("{}.tar", sample.record_id);
    put_in_spool(&setup, &name, &sample.archive(&FORMATS[..2]));
    wait_until_imported(&setup).await;
    put_in_spool(&setup, &name, &sample.archive(&FORMATS));
    wait_until_imported(&setup).await;
    let done = async || find_import(&setup, &name).await.is_some_and(|one| one["state"] == "done");
    wait_until("done", done).await.unwrap();
    let recording = recording_row(&setup, &sample).await.unwrap();
    assert_eq!(
        format_names(&recording),
        ["capture", "notes", "podcast", "presentation", "screenshare", "video"]
    );
    assert!(recording.published && !recording.protected);
    assert_eq!(recording.name.as_deref(), Some("Algebra & tea 1"));
    assert_eq!(recording.meeting_id.as_deref(), Some("course-1"));
    let [capture, .., video] = &recording.formats[..] else { panic!() };
    assert_eq!((capture.length_minutes, video.length_minutes), (Some(59), Some(59)));
    assert_eq!(video.url, Some(format!("/playback/video/{}/", sample.record_id)));
    for format in FORMATS {
        assert_eq!(visibility_of(&setup, &sample, format), Some("published"), "{format}");
    }
    wait_until("tidy", async || file_names(&setup.folder().join("work")).is_empty()).await.unwrap();
    assert!(file_names(&setup.folder().join("spool")).is_empty(), "{}", product.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_and_metadata_say_where_recordings_go() {
    let hidden = SampleRecording { published: false, ..SampleRecording::new(2) };
    for (setting, sample) in
        [("RECORDING_IMPORT_UNPUBLISHED", SampleRecording::new(3)), ("LOG_FORMAT", hidden)]
    {
        let value = if setting == "LOG_FORMAT" { "json" } else { "true" };
        let setup = setup()
            .with_setting(setting, value)
            .with_setting("PROTECTED_RECORDINGS_ENABLED", "true");
        let _product = setup.start().await.unwrap();
        put_in_spool(
            &setup,
            &format!("{}-podcast.tar", sample.record_id),
            &sample.archive(&["podcast"]),
        );
        wait_until_imported(&setup).await;
        assert_eq!(visibility_of(&setup, &sample, "podcast"), Some("unpublished"));
        let recording = recording_row(&setup, &sample).await.unwrap();
        assert!(!recording.published && recording.protected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_importers_import_and_a_stop_finishes_the_import_at_hand() {
    let setup = setup();
    let sample = SampleRecording::new(4);
    let name = format!("{}.tar", sample.record_id);
    let mut idle = setup.clone().with_serve_argument("--roles=api,poller").start().await.unwrap();
    put_in_spool(&setup, &name, &sample.archive(&FORMATS));
    // Long enough for an importer to take it: it looks ten times a second.
    tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    assert!(recording_row(&setup, &sample).await.is_none());
    idle.terminate().await.unwrap();
    assert!(idle.wait_for_exit().await.unwrap().success());
    let mut importer = setup.clone().with_serve_argument("--roles=importer").spawn().unwrap();
    wait_until("begun", async || importer.log().contains("import started")).await.unwrap();
    importer.terminate().await.unwrap();
    assert!(importer.wait_for_exit().await.unwrap().success());
    assert_eq!(format_names(&recording_row(&setup, &sample).await.unwrap()).len(), FORMATS.len());
    assert!(file_names(&setup.folder().join("work")).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn files_are_imported_by_command_without_a_server() {
    let setup = setup();
    let (one, two) = (SampleRecording::new(5), SampleRecording::new(6));
    let file = |sample: &SampleRecording| setup.folder().join(format!("{}.tar", sample.record_id));
    std::fs::write(file(&one), one.archive(&["video"])).unwrap();
    std::fs::write(file(&two), &two.archive(&["video"])[..5000]).unwrap();
    let (good, bad) = (file(&one).display().to_string(), file(&two).display().to_string());
    let output = setup
        .run_command(&["recordings", "import", &good, &bad, "/nonexistent.tar"])
        .await
        .unwrap();
    let (said, noted) =
        (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert!(!output.status.success());
    assert_eq!(said, format!("{good}: imported {}\n", one.record_id));
    assert!(noted.contains(&format!("{bad}: the archive is truncated")), "{noted}");
    assert!(noted.contains("/nonexistent.tar: No such file"), "{noted}");
    assert!(noted.contains("2 archives were not imported"), "{noted}");
    assert!(file(&one).exists());
    assert_eq!(visibility_of(&setup, &one, "video"), Some("published"));
    let list =
        String::from_utf8(setup.run_command(&["recordings", "imports"]).await.unwrap().stdout)
            .unwrap();
    assert!(
        list.contains("done") && list.contains("received") && list.contains("truncated"),
        "{list}"
    );
    let retried = setup.run_command(&["recordings", "retry", "unknown.tar"]).await.unwrap();
    assert!(!retried.status.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quarantined_archive_is_imported_after_repair() {
    let setup = setup();
    let _product = setup.start().await.unwrap();
    let sample = SampleRecording::new(7);
    let name = format!("{}.tar", sample.record_id);
    let broken = sample.tar(&["video"]).file(&format!("notes/{}/notes.pdf", sample.record_id), "x");
    put_in_spool(&setup, &name, &broken.into_bytes());
    wait_until_imported(&setup).await;
    let aside = setup.folder().join("work/quarantine");
    wait_until("aside", async || file_names(&aside).len() == 2).await.unwrap();
    let reason = std::fs::read_to_string(aside.join(format!("{name}.reason.txt"))).unwrap();
    assert_eq!(reason, "the rest was imported; notes: has no metadata.xml\n");
    assert_eq!(visibility_of(&setup, &sample, "video"), Some("published"));
    let quarantined =
        async || find_import(&setup, &name).await.is_some_and(|one| one["state"] == "quarantined");
    wait_until("quarantined", quarantined).await.unwrap();
    std::fs::write(aside.join(&name), sample.archive(&["video", "notes"])).unwrap();
    assert!(setup.run_command(&["recordings", "retry", &name]).await.unwrap().status.success());
    wait_until_imported(&setup).await;
    wait_until("there", async || visibility_of(&setup, &sample, "notes") == Some("published"))
        .await
        .unwrap();
    assert!(file_names(&aside).is_empty());
}
