//! Imports on ports in memory, with steps that fail or are the last before a crash.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard};

use async_trait::async_trait;
use bytes::Bytes;
use domain::Timestamp;
use domain::recording::catalog::TenantScope;
use domain::recording::{FilePath, FormatName, Recording};

use super::*;
use crate::memory::{CountingEntropy, ManualClock, MemoryRecordings};
use crate::ports::{
    BlobBytes, BlobInfo, ByteSpan, Destination, MoveOutcome, SpoolListing, SpooledArchive,
};

const ID: &str = "0aa9d7c1f26d0e4a8b1c3d5e7f9a1b2c3d4e5f60-1718000000123";

/// A spool and shelves that are maps. After `steps` steps everything fails, as if the process were gone.
#[derive(Default)]
struct FakeStorage {
    archives: Mutex<BTreeMap<String, Vec<(&'static str, String)>>>,
    quarantined: Mutex<BTreeMap<String, String>>,
    formats: Mutex<BTreeSet<(RecordingFormatId, Visibility)>>,
    steps_left: AtomicUsize,
    is_full: Mutex<bool>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap()
}

impl FakeStorage {
    /// Whether the process still lives for this step.
    fn take_step(&self) -> bool {
        self.steps_left
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1))
            .is_ok()
    }

    fn take_spool_step(&self) -> Result<(), SpoolError> {
        if self.take_step() { Ok(()) } else { Err(SpoolError::Unavailable("killed".to_owned())) }
    }

    fn take_blob_step(&self) -> Result<(), BlobError> {
        if *lock(&self.is_full) {
            return Err(BlobError::Full("the disk".to_owned()));
        }
        if self.take_step() { Ok(()) } else { Err(BlobError::Unavailable("killed".to_owned())) }
    }
}

#[async_trait]
impl Spool for FakeStorage {
    async fn scan_spool(&self) -> Result<SpoolListing, SpoolError> {
        let archives = lock(&self.archives);
        let whole =
            archives.keys().map(|name| SpooledArchive { name: name.clone(), size: 1 }).collect();
        Ok(SpoolListing { complete: whole, has_incomplete: false })
    }

    async fn copy_into_spool(&self, _: &Path) -> Result<SpooledArchive, SpoolError> {
        unreachable!()
    }

    async fn unpack_archive(
        &self,
        name: &str,
        _token: &str,
    ) -> Result<Vec<UnpackedFormat>, SpoolError> {
        self.take_spool_step()?;
        let archives = lock(&self.archives);
        let formats = archives.get(name).ok_or(SpoolError::Missing)?;
        if formats.is_empty() {
            return Err(SpoolError::InvalidArchive("no tar archive".to_owned()));
        }
        let unpacked = |(format, xml): &(&str, String)| UnpackedFormat {
            format_id: format_id(format),
            dir: PathBuf::from("/work"),
            metadata: Ok(xml.clone().into_bytes()),
        };
        Ok(formats.iter().map(unpacked).collect())
    }

    async fn remove_archive(&self, name: &str, _token: &str) -> Result<(), SpoolError> {
        self.take_spool_step()?;
        lock(&self.archives).remove(name);
        Ok(())
    }

    async fn discard_unpacked(&self, _token: &str) -> Result<(), SpoolError> {
        Ok(())
    }

    async fn quarantine_archive(
        &self,
        name: &str,
        _token: &str,
        reason: &str,
    ) -> Result<(), SpoolError> {
        self.take_spool_step()?;
        lock(&self.archives).remove(name);
        lock(&self.quarantined).insert(name.to_owned(), reason.to_owned());
        Ok(())
    }

    async fn release_quarantined(&self, name: &str) -> Result<Option<SpooledArchive>, SpoolError> {
        let found = lock(&self.quarantined).remove(name).is_some();
        if found {
            lock(&self.archives)
                .insert(name.to_owned(), vec![("video", metadata_xml("video", "true"))]);
        }
        Ok(found.then(|| SpooledArchive { name: name.to_owned(), size: 1 }))
    }

    async fn clean_up_after_crash(&self) -> Result<Vec<(String, String)>, SpoolError> {
        Ok(Vec::new())
    }
}

#[async_trait]
impl Blobs for FakeStorage {
    async fn put_format(
        &self,
        _from: &Path,
        book: &RecordingFormatId,
        shelf: Visibility,
    ) -> Result<(), BlobError> {
        self.take_blob_step()?;
        let mut shelves = lock(&self.formats);
        shelves.retain(|(other, _)| other != book);
        shelves.insert((book.clone(), shelf));
        Ok(())
    }

    async fn move_format(
        &self,
        book: &RecordingFormatId,
        shelf: Visibility,
    ) -> Result<MoveOutcome, BlobError> {
        self.put_format(Path::new(""), book, shelf).await.map(|()| MoveOutcome::Moved)
    }

    async fn remove_format(
        &self,
        book: &RecordingFormatId,
        _: &[Visibility],
    ) -> Result<bool, BlobError> {
        self.take_blob_step()?;
        lock(&self.formats).retain(|(other, _)| other != book);
        Ok(true)
    }

    async fn locate_format(&self, _: &RecordingFormatId) -> Result<Vec<Visibility>, BlobError> {
        unreachable!()
    }

    async fn list_formats(
        &self,
        _: Visibility,
        _: Option<&RecordingFormatId>,
        _: usize,
    ) -> Result<Vec<RecordingFormatId>, BlobError> {
        unreachable!()
    }

    async fn list_files(
        &self,
        _: &RecordingFormatId,
        _: Visibility,
        _: usize,
    ) -> Result<Vec<(FilePath, u64)>, BlobError> {
        unreachable!()
    }

    async fn read_file_info(
        &self,
        _: &RecordingFormatId,
        _: Visibility,
        _: &FilePath,
    ) -> Result<Option<BlobInfo>, BlobError> {
        unreachable!()
    }

    async fn open_file(
        &self,
        _: &RecordingFormatId,
        _: Visibility,
        _: &FilePath,
        _: Option<ByteSpan>,
    ) -> Result<Option<(BlobInfo, BlobBytes)>, BlobError> {
        unreachable!()
    }

    async fn write_file(
        &self,
        _: &RecordingFormatId,
        _: Visibility,
        _: &FilePath,
        _: Bytes,
    ) -> Result<(), BlobError> {
        unreachable!()
    }

    async fn check_blobs(&self) -> Result<(), BlobError> {
        Ok(())
    }
}

fn format_id(format: &str) -> RecordingFormatId {
    let format = FormatName::parse(format).unwrap();
    RecordingFormatId { format, record_id: RecordId::parse(ID).unwrap() }
}

fn metadata_xml(format: &str, published: &str) -> String {
    format!(
        "<recording><id>{ID}</id><published>{published}</published><meta><k>v</k></meta>\
         <playback><format>{format}</format><link>https://n/{format}/{ID}/</link></playback></recording>"
    )
}

struct ImportFixture {
    storage: Arc<FakeStorage>,
    clock: Arc<ManualClock>,
    importer: Importer,
}

impl ImportFixture {
    fn new() -> Self {
        let world = Arc::new(FakeStorage::default());
        world.steps_left.store(1000, Ordering::SeqCst);
        let clock = Arc::new(ManualClock::starting_at(Timestamp(1_800_000_000_000)));
        let importer = Importer {
            records: Arc::new(MemoryRecordings::default()),
            blobs: world.clone(),
            spool: world.clone(),
            clock: clock.clone(),
            entropy: Arc::new(CountingEntropy::default()),
            rules: ImportRules::default(),
        };
        Self { storage: world, clock, importer }
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

    fn list_formats(&self, shelf: Visibility) -> Vec<String> {
        let shelves = lock(&self.storage.formats);
        shelves
            .iter()
            .filter(|(_, on)| *on == shelf)
            .map(|(book, _)| book.format.to_string())
            .collect()
    }

    async fn read_archive_stage(&self) -> (Stage_, Option<String>) {
        let archives = self.importer.records.list_archives(9).await.unwrap();
        (archives[0].stage, archives[0].reason.clone())
    }
}

use crate::ports::ImportStage as Stage_;

#[tokio::test]
async fn an_archive_is_imported_and_a_larger_one_of_its_name_is_merged() {
    let stage = ImportFixture::new();
    stage.add_archive(&[("video", "true")]);
    assert_eq!(stage.scan().await.imported, 1);
    assert_eq!(stage.list_formats(Visibility::Published), ["video"]);
    assert_eq!(stage.read_archive_stage().await, (Stage_::Done, None));
    stage.add_archive(&[("notes", "true"), ("video", "true")]);
    assert_eq!(stage.scan().await.imported, 1);
    let recording = stage.find_recording().await.unwrap();
    let names: Vec<_> = recording.formats.iter().map(|format| format.format.as_str()).collect();
    assert_eq!(names, ["notes", "video"]);
    assert!(recording.published && lock(&stage.storage.archives).is_empty());
}

#[tokio::test]
async fn changed_visibility_and_deletion_outlast_an_import() {
    let stage = ImportFixture::new();
    stage.add_archive(&[("video", "true")]);
    stage.scan().await;
    let (records, now) = (&stage.importer.records, stage.clock.now());
    records.begin_file_move(ID, &TenantScope::All, Destination::Unpublished, now).await.unwrap();
    stage.add_archive(&[("notes", "true")]);
    stage.scan().await;
    assert_eq!(stage.list_formats(Visibility::Unpublished), ["notes"]);
    assert!(!stage.find_recording().await.unwrap().published);
    records.begin_file_move(ID, &TenantScope::All, Destination::Removed, now).await.unwrap();
    stage.add_archive(&[("notes", "true"), ("video", "true")]);
    stage.scan().await;
    assert!(lock(&stage.storage.formats).is_empty() && lock(&stage.storage.archives).is_empty());
    assert!(stage.find_recording().await.unwrap().is_deleted());
}

#[tokio::test]
async fn an_import_killed_at_any_step_is_completed_by_the_next_one() {
    for steps in 0.. {
        let stage = ImportFixture::new();
        stage.storage.steps_left.store(steps, Ordering::SeqCst);
        stage.add_archive(&[("notes", "true"), ("video", "true")]);
        let _ = stage.importer.scan(|| false).await;
        let done = lock(&stage.storage.archives).is_empty();
        // A row is there only if all of its files are.
        if let Some(recording) = stage.find_recording().await {
            assert_eq!(
                stage.list_formats(Visibility::Published).len(),
                recording.formats.len(),
                "step {steps}"
            );
        }
        stage.storage.steps_left.store(1000, Ordering::SeqCst);
        stage.clock.advance_ms(CLAIM_MS);
        stage.scan().await;
        assert_eq!(stage.list_formats(Visibility::Published), ["notes", "video"], "step {steps}");
        assert_eq!(stage.find_recording().await.unwrap().formats.len(), 2);
        assert!(lock(&stage.storage.archives).is_empty());
        assert_eq!(stage.read_archive_stage().await.0, Stage_::Done);
        if done {
            assert!(steps > 3);
            return;
        }
    }
}

#[tokio::test]
async fn a_bad_archive_is_tried_three_times_and_quarantined() {
    let stage = ImportFixture::new();
    stage.add_archive(&[]);
    for wait_ms in INVALID_ARCHIVE_DELAYS_MS {
        assert!(stage.scan().await.has_waiting);
        assert!(stage.scan().await.has_waiting, "not before its time");
        assert_eq!(stage.read_archive_stage().await.0, Stage_::Received);
        stage.clock.advance_ms(wait_ms);
    }
    stage.scan().await;
    assert_eq!(
        stage.read_archive_stage().await,
        (Stage_::Quarantined, Some("no tar archive".to_owned()))
    );
    let name = format!("{ID}.tar");
    assert_eq!(lock(&stage.storage.quarantined).get(&name).unwrap(), "no tar archive");
    assert!(stage.importer.retry_archive(&name).await.unwrap().is_some());
    assert_eq!(stage.scan().await.imported, 1);
    assert!(stage.importer.retry_archive(&name).await.unwrap().is_none());
    // What was put aside may be sent again, and is tried again.
    stage.add_archive(&[("notes", "true")]);
    assert_eq!(stage.scan().await.imported, 1);
}

#[tokio::test]
async fn a_bad_format_does_not_block_others_and_the_archive_is_kept() {
    let stage = ImportFixture::new();
    let good = ("video", metadata_xml("video", "true"));
    let bad = [
        ("notes", metadata_xml("video", "true")),
        ("podcast", metadata_xml("podcast", "true").replace("1718", "1719")),
        ("capture", "<recording>".to_owned()),
        ("screenshare", "<!DOCTYPE r [<!ENTITY a \"x\">]><recording>&a;</recording>".to_owned()),
    ];
    let formats = bad.into_iter().chain([good]).collect();
    lock(&stage.storage.archives).insert(format!("{ID}.tar"), formats);
    stage.scan().await;
    assert_eq!(stage.list_formats(Visibility::Published), ["video"]);
    assert_eq!(stage.find_recording().await.unwrap().formats.len(), 1);
    let (at, reason) = stage.read_archive_stage().await;
    let reason = reason.unwrap();
    assert_eq!(at, Stage_::Quarantined);
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
async fn an_archive_is_named_after_its_recording() {
    for (name, fits) in [
        (format!("{ID}-video.tar"), true),
        (format!("{ID}.tar.gz"), true),
        (format!("{ID}-notes.tar"), false),
        ("other.tar".to_owned(), false),
    ] {
        let stage = ImportFixture::new();
        let formats = vec![("video", metadata_xml("video", "true"))];
        lock(&stage.storage.archives).insert(name.clone(), formats);
        assert_eq!(stage.scan().await.imported == 1, fits, "{name}");
        assert_eq!(stage.find_recording().await.is_some(), fits);
    }
}

#[tokio::test]
async fn a_full_disk_stops_everything_and_nothing_is_quarantined() {
    let stage = ImportFixture::new();
    stage.add_archive(&[("video", "true")]);
    *lock(&stage.storage.is_full) = true;
    for _ in 0..9 {
        assert!(stage.scan().await.full_reason.is_some());
        stage.clock.advance_ms(RETRY_DELAY_MS);
    }
    assert!(lock(&stage.storage.quarantined).is_empty() && stage.find_recording().await.is_none());
    *lock(&stage.storage.is_full) = false;
    assert_eq!(stage.scan().await.imported, 1);
}

#[tokio::test(start_paused = true)]
async fn replicas_share_the_work() {
    let stage = ImportFixture::new();
    stage.add_archive(&[("video", "true")]);
    let (one, two) = tokio::join!(stage.scan(), stage.scan());
    assert_eq!(one.imported + two.imported, 1);
}

#[tokio::test]
async fn a_stopped_importer_begins_nothing_more() {
    let stage = ImportFixture::new();
    stage.add_archive(&[("video", "true")]);
    assert_eq!(stage.importer.scan(|| true).await.unwrap().imported, 0);
    assert_eq!(lock(&stage.storage.archives).len(), 1);
}
