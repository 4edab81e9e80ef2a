//! Imports of archives from the spool directory and by command.

use testkit::product::wait_until;
use testkit::samples::{FORMATS, SampleRecording};

use crate::tools::{
    file_names, find_import, format_names, put_in_spool, recording_row, setup, visibility_of,
    wait_until_imported,
};

#[tokio::test(flavor = "multi_thread")]
async fn every_format_is_imported_and_later_formats_are_merged() {
    let setup = setup();
    let product = setup.start().await.unwrap();
    let sample = SampleRecording::new(1);
    let name = format!("{}.tar", sample.record_id);
    put_in_spool(&setup, &name, &sample.archive(&FORMATS[..2]));
    wait_until_imported(&setup).await;
    put_in_spool(&setup, &name, &sample.archive(&FORMATS));
    wait_until_imported(&setup).await;
    let is_done =
        async || find_import(&setup, &name).await.is_some_and(|import| import["state"] == "done");
    wait_until("done", is_done).await.unwrap();
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
    let is_clean = async || file_names(&setup.folder().join("work")).is_empty();
    wait_until("the work directory is empty", is_clean).await.unwrap();
    assert!(file_names(&setup.folder().join("spool")).is_empty(), "{}", product.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_and_metadata_decide_whether_recordings_are_published() {
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
async fn only_importers_import_and_a_stop_finishes_the_current_import() {
    const IMPORT_STARTED: &str = "import started";
    let setup = setup();
    let samples: Vec<SampleRecording> = (40..44).map(SampleRecording::new).collect();
    // Runs before any importer does: it would take an archive if it imported at all.
    let other = setup.clone().with_serve_argument("--roles=api,poller").start().await.unwrap();
    for sample in &samples {
        let name = format!("{}.tar", sample.record_id);
        put_in_spool(&setup, &name, &sample.archive(&FORMATS));
    }
    let mut rest = samples.len();
    while rest > 0 {
        let mut importer = setup.clone().with_serve_argument("--roles=importer").spawn().unwrap();
        let has_begun = async || importer.log().contains(IMPORT_STARTED);
        wait_until("an import starts", has_begun).await.unwrap();
        importer.terminate().await.unwrap();
        assert!(importer.wait_for_exit().await.unwrap().success());
        assert!(file_names(&setup.folder().join("work")).is_empty());
        let spooled = file_names(&setup.folder().join("spool")).len();
        assert!(spooled < rest, "the stop did not wait for the current import");
        rest = spooled;
    }
    for sample in &samples {
        let recording = recording_row(&setup, sample).await.unwrap();
        assert_eq!(format_names(&recording).len(), FORMATS.len());
    }
    assert!(!other.log().contains(IMPORT_STARTED), "{}", other.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn files_are_imported_by_command_without_a_server() {
    let setup = setup();
    let (complete, truncated) = (SampleRecording::new(5), SampleRecording::new(6));
    let file = |sample: &SampleRecording| setup.folder().join(format!("{}.tar", sample.record_id));
    std::fs::write(file(&complete), complete.archive(&["video"])).unwrap();
    std::fs::write(file(&truncated), &truncated.archive(&["video"])[..5000]).unwrap();
    let [good, bad] = [&complete, &truncated].map(|sample| file(sample).display().to_string());
    let output = setup
        .run_command(&["recordings", "import", &good, &bad, "/nonexistent.tar"])
        .await
        .unwrap();
    let [stdout, stderr] =
        [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
    assert!(!output.status.success());
    assert_eq!(stdout, format!("{good}: imported {}\n", complete.record_id));
    assert!(stderr.contains(&format!("{bad}: the archive is truncated")), "{stderr}");
    assert!(stderr.contains("/nonexistent.tar: No such file"), "{stderr}");
    assert!(stderr.contains("2 archives were not imported"), "{stderr}");
    assert!(file(&complete).exists());
    assert_eq!(visibility_of(&setup, &complete, "video"), Some("published"));
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
    let quarantine = setup.folder().join("work/quarantine");
    wait_until("quarantined", async || file_names(&quarantine).len() == 2).await.unwrap();
    let reason = std::fs::read_to_string(quarantine.join(format!("{name}.reason.txt"))).unwrap();
    assert_eq!(reason, "the rest was imported; notes: has no metadata.xml\n");
    assert_eq!(visibility_of(&setup, &sample, "video"), Some("published"));
    let is_recorded = async || {
        let import = find_import(&setup, &name).await;
        import.is_some_and(|import| import["state"] == "quarantined")
    };
    wait_until("recorded as quarantined", is_recorded).await.unwrap();
    let is_in_audit = async || {
        let arguments = ["audit", "--json", "--action", "archive.quarantine"];
        let output = setup.run_command(&arguments).await.unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        text.contains(&name) && text.contains("automatic: import") && text.contains("metadata.xml")
    };
    wait_until("in the audit", is_in_audit).await.unwrap();
    std::fs::write(quarantine.join(&name), sample.archive(&["video", "notes"])).unwrap();
    assert!(setup.run_command(&["recordings", "retry", &name]).await.unwrap().status.success());
    wait_until_imported(&setup).await;
    let is_published = async || visibility_of(&setup, &sample, "notes") == Some("published");
    wait_until("published", is_published).await.unwrap();
    assert!(file_names(&quarantine).is_empty());
}
