//! Imports with ports in memory, with steps that fail or are the last one before a crash.

mod fake_storage;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use domain::Timestamp;
use domain::recording::Recording;
use domain::recording::catalog::TenantScope;

use super::claim::CLAIM_MS;
use super::finish::{INVALID_ARCHIVE_DELAYS_MS, RETRY_DELAY_MS};
use super::{ImportRules, Importer, ScanResult};
use crate::memory::{CountingEntropy, ManualClock, MemoryRecordings};
use crate::ports::{Clock as _, Destination, ImportStage, Visibility};
use fake_storage::{FakeStorage, ID, lock, metadata_xml};

struct ImportFixture {
    storage: Arc<FakeStorage>,
    clock: Arc<ManualClock>,
    importer: Importer,
}

impl ImportFixture {
    fn new() -> Self {
        let storage = Arc::new(FakeStorage::default());
        storage.steps_left.store(1000, Ordering::SeqCst);
        let clock = Arc::new(ManualClock::starting_at(Timestamp(1_800_000_000_000)));
        let importer = Importer {
            records: Arc::new(MemoryRecordings::default()),
            blobs: storage.clone(),
            spool: storage.clone(),
            clock: clock.clone(),
            entropy: Arc::new(CountingEntropy::default()),
            rules: ImportRules::default(),
            trash_ms: None,
            clock_watch: Arc::default(),
            space_waits: Arc::default(),
        };
        Self { storage, clock, importer }
    }

    fn add_archive(&self, formats: &[(&'static str, &str)]) {
        let formats =
            formats.iter().map(|(name, published)| (*name, metadata_xml(name, published)));
        lock(&self.storage.archives).insert(format!("{ID}.tar"), formats.collect());
    }

    async fn scan(&self) -> ScanResult {
        self.importer.scan(|| false).await.unwrap()
    }

    async fn find_recording(&self) -> Option<Recording> {
        self.importer.records.find_recording(ID).await.unwrap()
    }

    fn list_formats(&self, visibility: Visibility) -> Vec<String> {
        let formats = lock(&self.storage.formats);
        let stored = formats.iter().filter(|(_, stored_as)| *stored_as == visibility);
        stored.map(|(format_id, _)| format_id.format.to_string()).collect()
    }

    async fn read_archive_stage(&self) -> (ImportStage, Option<String>) {
        let archives = self.importer.records.list_archives(9).await.unwrap();
        (archives[0].stage, archives[0].reason.clone())
    }
}

#[tokio::test]
async fn an_archive_is_imported_and_a_larger_one_of_its_name_is_merged() {
    let fixture = ImportFixture::new();
    fixture.add_archive(&[("video", "true")]);
    assert_eq!(fixture.scan().await.imported, 1);
    assert_eq!(fixture.list_formats(Visibility::Published), ["video"]);
    assert_eq!(fixture.read_archive_stage().await, (ImportStage::Done, None));
    fixture.add_archive(&[("notes", "true"), ("video", "true")]);
    assert_eq!(fixture.scan().await.imported, 1);
    let recording = fixture.find_recording().await.unwrap();
    let names: Vec<_> = recording.formats.iter().map(|format| format.format.as_str()).collect();
    assert_eq!(names, ["notes", "video"]);
    assert!(recording.published && lock(&fixture.storage.archives).is_empty());
}

#[tokio::test]
async fn changed_visibility_and_deletion_outlast_an_import() {
    let fixture = ImportFixture::new();
    fixture.add_archive(&[("video", "true")]);
    fixture.scan().await;
    let (records, now) = (&fixture.importer.records, fixture.clock.now());
    records.begin_file_move(ID, &TenantScope::All, Destination::Unpublished, now).await.unwrap();
    fixture.add_archive(&[("notes", "true")]);
    fixture.scan().await;
    assert_eq!(fixture.list_formats(Visibility::Unpublished), ["notes"]);
    assert!(!fixture.find_recording().await.unwrap().published);
    records.begin_file_move(ID, &TenantScope::All, Destination::Removed, now).await.unwrap();
    fixture.add_archive(&[("notes", "true"), ("video", "true")]);
    fixture.scan().await;
    assert!(
        lock(&fixture.storage.formats).is_empty() && lock(&fixture.storage.archives).is_empty()
    );
    assert!(fixture.find_recording().await.unwrap().is_deleted());
    // The archive is kept, and brought back once somebody wants it.
    let reason = format!("deleted before: {ID}");
    assert_eq!(fixture.read_archive_stage().await, (ImportStage::SetAside, Some(reason)));
    assert_eq!(fixture.importer.release_archives_of("other").await.unwrap().len(), 0);
    let file_moves = records.list_file_moves(now.plus_ms(9), 9).await.unwrap();
    assert!(!records.forget_tombstone(ID).await.unwrap(), "files may still be removed");
    records.end_file_move(&file_moves[0]).await.unwrap();
    assert!(records.forget_tombstone(ID).await.unwrap());
    assert!(!records.forget_tombstone(ID).await.unwrap());
    assert_eq!(fixture.importer.release_archives_of(ID).await.unwrap().len(), 1);
    assert_eq!(fixture.scan().await.imported, 1);
    assert_eq!(fixture.list_formats(Visibility::Published), ["notes", "video"]);
    assert!(lock(&fixture.storage.set_aside).is_empty());
}

#[tokio::test]
async fn an_import_killed_at_any_step_is_completed_by_the_next_one() {
    for steps in 0.. {
        let fixture = ImportFixture::new();
        fixture.storage.steps_left.store(steps, Ordering::SeqCst);
        fixture.add_archive(&[("notes", "true"), ("video", "true")]);
        let _ = fixture.importer.scan(|| false).await;
        let is_complete = lock(&fixture.storage.archives).is_empty();
        // A row is there only if all of its files are.
        if let Some(recording) = fixture.find_recording().await {
            assert_eq!(
                fixture.list_formats(Visibility::Published).len(),
                recording.formats.len(),
                "step {steps}"
            );
        }
        fixture.storage.steps_left.store(1000, Ordering::SeqCst);
        fixture.clock.advance_ms(CLAIM_MS);
        fixture.scan().await;
        assert_eq!(fixture.list_formats(Visibility::Published), ["notes", "video"], "step {steps}");
        assert_eq!(fixture.find_recording().await.unwrap().formats.len(), 2);
        assert!(lock(&fixture.storage.archives).is_empty());
        assert_eq!(fixture.read_archive_stage().await.0, ImportStage::Done);
        if is_complete {
            assert!(steps > 3);
            return;
        }
    }
}

#[tokio::test]
async fn a_bad_archive_is_tried_three_times_and_quarantined() {
    let fixture = ImportFixture::new();
    fixture.add_archive(&[]);
    for wait_ms in INVALID_ARCHIVE_DELAYS_MS {
        assert!(fixture.scan().await.has_waiting);
        assert!(fixture.scan().await.has_waiting, "not before the delay has passed");
        assert_eq!(fixture.read_archive_stage().await.0, ImportStage::Received);
        fixture.clock.advance_ms(wait_ms);
    }
    fixture.scan().await;
    assert_eq!(
        fixture.read_archive_stage().await,
        (ImportStage::Quarantined, Some("no tar archive".to_owned()))
    );
    let name = format!("{ID}.tar");
    assert_eq!(lock(&fixture.storage.quarantined).get(&name).unwrap(), "no tar archive");
    assert!(fixture.importer.retry_archive(&name).await.unwrap().is_some());
    assert_eq!(fixture.scan().await.imported, 1);
    assert!(fixture.importer.retry_archive(&name).await.unwrap().is_none());
    // A quarantined archive that is sent again is tried again.
    fixture.add_archive(&[("notes", "true")]);
    assert_eq!(fixture.scan().await.imported, 1);
}

#[tokio::test]
async fn a_bad_format_does_not_block_others_and_the_archive_is_kept() {
    let fixture = ImportFixture::new();
    let good = ("video", metadata_xml("video", "true"));
    let bad = [
        ("notes", metadata_xml("video", "true")),
        ("podcast", metadata_xml("podcast", "true").replace("1718", "1719")),
        ("capture", "<recording>".to_owned()),
        ("screenshare", "<!DOCTYPE r [<!ENTITY a \"x\">]><recording>&a;</recording>".to_owned()),
    ];
    let formats = bad.into_iter().chain([good]).collect();
    lock(&fixture.storage.archives).insert(format!("{ID}.tar"), formats);
    fixture.scan().await;
    assert_eq!(fixture.list_formats(Visibility::Published), ["video"]);
    assert_eq!(fixture.find_recording().await.unwrap().formats.len(), 1);
    let (stage, reason) = fixture.read_archive_stage().await;
    let reason = reason.unwrap();
    assert_eq!(stage, ImportStage::Quarantined);
    for format in [
        "notes: its metadata.xml names another format",
        "podcast: its metadata.xml has another id",
        "capture: metadata.xml: cut off",
        "screenshare: metadata.xml: has a document type",
    ] {
        assert!(reason.contains(format), "{reason}");
    }
}

#[tokio::test]
async fn an_archive_whose_name_does_not_fit_is_not_imported() {
    for (name, is_valid) in [
        (format!("{ID}-video.tar"), true),
        (format!("{ID}.tar.gz"), true),
        ("lecture.tar.zst".to_owned(), true),
        (format!("{ID}-notes.tar"), false),
        (format!("f{}.tar", &ID[1..]), false),
        ("lecture~0123456789abcdef.upload.tar".to_owned(), false),
    ] {
        let fixture = ImportFixture::new();
        let formats = vec![("video", metadata_xml("video", "true"))];
        lock(&fixture.storage.archives).insert(name.clone(), formats);
        assert_eq!(fixture.scan().await.imported == 1, is_valid, "{name}");
        assert_eq!(fixture.find_recording().await.is_some(), is_valid);
    }
}

#[tokio::test]
async fn a_full_disk_stops_imports_and_nothing_is_quarantined() {
    let fixture = ImportFixture::new();
    fixture.add_archive(&[("video", "true")]);
    *lock(&fixture.storage.is_full) = true;
    for _ in 0..9 {
        assert!(fixture.scan().await.full_reason.is_some());
        fixture.clock.advance_ms(RETRY_DELAY_MS);
    }
    assert!(
        lock(&fixture.storage.quarantined).is_empty() && fixture.find_recording().await.is_none()
    );
    *lock(&fixture.storage.is_full) = false;
    assert_eq!(fixture.scan().await.imported, 1);
}

/// Each attempt fills the disk for a while; after a few the archive waits for more space.
#[tokio::test]
async fn an_archive_that_does_not_fit_is_tried_a_few_times_and_again_when_there_is_space() {
    let fixture = ImportFixture::new();
    fixture.add_archive(&[("video", "true")]);
    *lock(&fixture.storage.is_full) = true;
    *lock(&fixture.storage.free_bytes) = Some(1_000);
    for _ in 0..9 {
        assert!(fixture.scan().await.full_reason.is_some());
        fixture.clock.advance_ms(RETRY_DELAY_MS);
    }
    let attempts = async || fixture.importer.records.list_archives(1).await.unwrap()[0].attempts;
    assert_eq!(attempts().await, 3);
    *lock(&fixture.storage.is_full) = false;
    assert_eq!(fixture.scan().await.imported, 0, "no more space than before");
    *lock(&fixture.storage.free_bytes) = Some(2_000);
    assert_eq!(fixture.scan().await.imported, 1);
    fixture.add_archive(&[("video", "true")]);
    *lock(&fixture.storage.free_bytes) = Some(0);
    assert_eq!(fixture.scan().await.imported, 0, "smaller than the archive");
    assert_eq!(attempts().await, 0, "that is no attempt");
}

/// A server that uploads may add to what it has uploaded, and replaces nothing else.
#[tokio::test]
async fn an_upload_replaces_no_recording_of_another_server() {
    let fixture = ImportFixture::new();
    let upload = |mark: &str, formats: &[(&'static str, &str)]| {
        let formats = formats.iter().map(|(name, shown)| (*name, metadata_xml(name, shown)));
        let name = format!("{ID}~{mark}.upload.tar");
        lock(&fixture.storage.archives).insert(name, formats.collect());
    };
    let [first, second] = ["00000000000000aa", "00000000000000bb"];
    upload(first, &[("video", "true")]);
    assert_eq!(fixture.scan().await.imported, 1);
    let uploaded_by = async || fixture.find_recording().await.unwrap().details.uploaded_by;
    assert_eq!(uploaded_by().await.as_deref(), Some(first));
    upload(first, &[("notes", "true")]);
    assert_eq!(fixture.scan().await.imported, 1, "a further format of the same server");
    upload(second, &[("video", "true")]);
    for delay_ms in INVALID_ARCHIVE_DELAYS_MS {
        assert_eq!(fixture.scan().await.imported, 0);
        fixture.clock.advance_ms(delay_ms);
    }
    assert_eq!(fixture.scan().await.imported, 0);
    let quarantined = lock(&fixture.storage.quarantined).clone();
    assert!(quarantined.values().all(|reason| reason.contains("another server")));
    assert_eq!(quarantined.len(), 1);
    // What arrives in another way is trusted, and changes no owner.
    fixture.add_archive(&[("video", "true")]);
    assert_eq!(fixture.scan().await.imported, 1);
    assert_eq!(uploaded_by().await.as_deref(), Some(first));
}

#[tokio::test(start_paused = true)]
async fn of_two_replicas_one_imports_an_archive() {
    let fixture = ImportFixture::new();
    fixture.add_archive(&[("video", "true")]);
    let (first, second) = tokio::join!(fixture.scan(), fixture.scan());
    assert_eq!(first.imported + second.imported, 1);
}

#[tokio::test]
async fn a_stopped_importer_starts_no_import() {
    let fixture = ImportFixture::new();
    fixture.add_archive(&[("video", "true")]);
    assert_eq!(fixture.importer.scan(|| true).await.unwrap().imported, 0);
    assert_eq!(lock(&fixture.storage.archives).len(), 1);
}

/// Unpacked files are many, and this process runs for months.
#[tokio::test]
async fn an_import_that_fails_at_any_step_leaves_nothing_unpacked() {
    let good = ("video", metadata_xml("video", "true"));
    let bad = ("capture", "<recording>".to_owned());
    for formats in [vec![good.clone()], vec![bad, good]] {
        let mut failures = 0;
        for steps in 0..20 {
            let fixture = ImportFixture::new();
            fixture.storage.steps_left.store(steps, Ordering::SeqCst);
            lock(&fixture.storage.archives).insert(format!("{ID}.tar"), formats.clone());
            failures += usize::from(fixture.importer.scan(|| false).await.is_err());
            assert!(lock(&fixture.storage.unpacked).is_empty(), "step {steps}");
        }
        assert!(failures > 0, "the spool fails at some step");
    }
}
