//! Archives in the spool, and by command.

use testkit::product::until;
use testkit::samples::{FORMATS, Sample};

use crate::tools::{formats, import_of, names, row, send, setup, shelf_of, until_imported};

#[tokio::test(flavor = "multi_thread")]
async fn samples_of_every_format_go_in_and_later_formats_are_merged() {
    let setup = setup();
    let product = setup.start().await.unwrap();
    let sample = Sample::new(1);
    let name = format!("{}.tar", sample.record_id);
    send(&setup, &name, &sample.archive(&FORMATS[..2]));
    until_imported(&setup).await;
    send(&setup, &name, &sample.archive(&FORMATS));
    until_imported(&setup).await;
    let done = async || import_of(&setup, &name).await.is_some_and(|one| one["state"] == "done");
    until("done", done).await.unwrap();
    let recording = row(&setup, &sample).await.unwrap();
    assert_eq!(
        formats(&recording),
        ["capture", "notes", "podcast", "presentation", "screenshare", "video"]
    );
    assert!(recording.published && !recording.protected);
    assert_eq!(recording.name.as_deref(), Some("Algebra & tea 1"));
    assert_eq!(recording.meeting_id.as_deref(), Some("course-1"));
    let [capture, .., video] = &recording.formats[..] else { panic!() };
    assert_eq!((capture.length, video.length), (Some(59), Some(59)));
    assert_eq!(video.url, Some(format!("/playback/video/{}/", sample.record_id)));
    for format in FORMATS {
        assert_eq!(shelf_of(&setup, &sample, format), Some("published"), "{format}");
    }
    until("tidy", async || names(&setup.folder().join("work")).is_empty()).await.unwrap();
    assert!(names(&setup.folder().join("spool")).is_empty(), "{}", product.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_and_metadata_say_where_recordings_go() {
    let hidden = Sample { published: false, ..Sample::new(2) };
    for (setting, sample) in
        [("RECORDING_IMPORT_UNPUBLISHED", Sample::new(3)), ("LOG_FORMAT", hidden)]
    {
        let value = if setting == "LOG_FORMAT" { "json" } else { "true" };
        let setup = setup().with(setting, value).with("PROTECTED_RECORDINGS_ENABLED", "true");
        let _product = setup.start().await.unwrap();
        send(&setup, &format!("{}-podcast.tar", sample.record_id), &sample.archive(&["podcast"]));
        until_imported(&setup).await;
        assert_eq!(shelf_of(&setup, &sample, "podcast"), Some("unpublished"));
        let recording = row(&setup, &sample).await.unwrap();
        assert!(!recording.published && recording.protected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_importers_import_and_a_stop_finishes_the_import_at_hand() {
    let setup = setup();
    let sample = Sample::new(4);
    let name = format!("{}.tar", sample.record_id);
    let mut idle = setup.clone().serving("--roles=api,poller").start().await.unwrap();
    send(&setup, &name, &sample.archive(&FORMATS));
    // Long enough for an importer to take it: it looks ten times a second.
    tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    assert!(row(&setup, &sample).await.is_none());
    idle.terminate().await.unwrap();
    assert!(idle.ended().await.unwrap().success());
    let mut importer = setup.clone().serving("--roles=importer").spawn().unwrap();
    until("begun", async || importer.log().contains("import begins")).await.unwrap();
    importer.terminate().await.unwrap();
    assert!(importer.ended().await.unwrap().success());
    assert_eq!(formats(&row(&setup, &sample).await.unwrap()).len(), FORMATS.len());
    assert!(names(&setup.folder().join("work")).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn files_are_imported_by_command_without_a_server() {
    let setup = setup();
    let (one, two) = (Sample::new(5), Sample::new(6));
    let file = |sample: &Sample| setup.folder().join(format!("{}.tar", sample.record_id));
    std::fs::write(file(&one), one.archive(&["video"])).unwrap();
    std::fs::write(file(&two), &two.archive(&["video"])[..5000]).unwrap();
    let (good, bad) = (file(&one).display().to_string(), file(&two).display().to_string());
    let output =
        setup.cli(&["recordings", "import", &good, &bad, "/nonexistent.tar"]).await.unwrap();
    let (said, noted) =
        (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert!(!output.status.success());
    assert_eq!(said, format!("{good}: imported {}\n", one.record_id));
    assert!(noted.contains(&format!("{bad}: it is cut off")), "{noted}");
    assert!(noted.contains("/nonexistent.tar: No such file"), "{noted}");
    assert!(noted.contains("2 archives were not imported"), "{noted}");
    assert!(file(&one).exists());
    assert_eq!(shelf_of(&setup, &one, "video"), Some("published"));
    let list =
        String::from_utf8(setup.cli(&["recordings", "imports"]).await.unwrap().stdout).unwrap();
    assert!(
        list.contains("done") && list.contains("received") && list.contains("cut off"),
        "{list}"
    );
    let retried = setup.cli(&["recordings", "retry", "unknown.tar"]).await.unwrap();
    assert!(!retried.status.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_put_aside_is_imported_when_it_was_repaired() {
    let setup = setup();
    let _product = setup.start().await.unwrap();
    let sample = Sample::new(7);
    let name = format!("{}.tar", sample.record_id);
    let broken = sample.tar(&["video"]).file(&format!("notes/{}/notes.pdf", sample.record_id), "x");
    send(&setup, &name, &broken.whole());
    until_imported(&setup).await;
    let aside = setup.folder().join("work/quarantine");
    until("aside", async || names(&aside).len() == 2).await.unwrap();
    let reason = std::fs::read_to_string(aside.join(format!("{name}.reason.txt"))).unwrap();
    assert_eq!(reason, "the rest was imported; notes: has no metadata.xml\n");
    assert_eq!(shelf_of(&setup, &sample, "video"), Some("published"));
    let quarantined =
        async || import_of(&setup, &name).await.is_some_and(|one| one["state"] == "quarantined");
    until("quarantined", quarantined).await.unwrap();
    std::fs::write(aside.join(&name), sample.archive(&["video", "notes"])).unwrap();
    assert!(setup.cli(&["recordings", "retry", &name]).await.unwrap().status.success());
    until_imported(&setup).await;
    until("there", async || shelf_of(&setup, &sample, "notes") == Some("published")).await.unwrap();
    assert!(names(&aside).is_empty());
}
