//! Imports on ports in memory, with steps that fail or are the last before a crash.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard};

use async_trait::async_trait;
use bytes::Bytes;
use domain::Timestamp;
use domain::recording::library::Scope;
use domain::recording::{FilePath, FormatName, Recording};

use super::*;
use crate::memory::{CountingEntropy, ManualClock, MemoryRecordings};
use crate::ports::{Arrivals, Arrived, BlobBytes, BlobInfo, Destination, Moved, Span};

const ID: &str = "0aa9d7c1f26d0e4a8b1c3d5e7f9a1b2c3d4e5f60-1718000000123";

/// A spool and shelves that are maps. After `steps` steps everything fails, as if the process were gone.
#[derive(Default)]
struct World {
    archives: Mutex<BTreeMap<String, Vec<(&'static str, String)>>>,
    aside: Mutex<BTreeMap<String, String>>,
    shelves: Mutex<BTreeSet<(Book, Shelf)>>,
    steps: AtomicUsize,
    full: Mutex<bool>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap()
}

impl World {
    /// Whether the process still lives for this step.
    fn step(&self) -> bool {
        self.steps
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1))
            .is_ok()
    }

    fn spool_step(&self) -> Result<(), SpoolError> {
        if self.step() { Ok(()) } else { Err(SpoolError::Unavailable("killed".to_owned())) }
    }

    fn blob_step(&self) -> Result<(), BlobError> {
        if *lock(&self.full) {
            return Err(BlobError::Full("the disk".to_owned()));
        }
        if self.step() { Ok(()) } else { Err(BlobError::Unavailable("killed".to_owned())) }
    }
}

#[async_trait]
impl Spool for World {
    async fn arrivals(&self) -> Result<Arrivals, SpoolError> {
        let archives = lock(&self.archives);
        let whole = archives.keys().map(|name| Arrived { name: name.clone(), size: 1 }).collect();
        Ok(Arrivals { whole, growing: false })
    }

    async fn bring(&self, _: &Path) -> Result<Arrived, SpoolError> {
        unreachable!()
    }

    async fn unpack(&self, name: &str, _token: &str) -> Result<Vec<Unpacked>, SpoolError> {
        self.spool_step()?;
        let archives = lock(&self.archives);
        let formats = archives.get(name).ok_or(SpoolError::Gone)?;
        if formats.is_empty() {
            return Err(SpoolError::Bad("no tar archive".to_owned()));
        }
        let unpacked = |(format, xml): &(&str, String)| Unpacked {
            book: book(format),
            dir: PathBuf::from("/work"),
            metadata: Ok(xml.clone().into_bytes()),
        };
        Ok(formats.iter().map(unpacked).collect())
    }

    async fn finish(&self, name: &str, _token: &str) -> Result<(), SpoolError> {
        self.spool_step()?;
        lock(&self.archives).remove(name);
        Ok(())
    }

    async fn abandon(&self, _token: &str) -> Result<(), SpoolError> {
        Ok(())
    }

    async fn quarantine(&self, name: &str, _token: &str, reason: &str) -> Result<(), SpoolError> {
        self.spool_step()?;
        lock(&self.archives).remove(name);
        lock(&self.aside).insert(name.to_owned(), reason.to_owned());
        Ok(())
    }

    async fn release(&self, name: &str) -> Result<Option<Arrived>, SpoolError> {
        let found = lock(&self.aside).remove(name).is_some();
        if found {
            lock(&self.archives).insert(name.to_owned(), vec![("video", xml("video", "true"))]);
        }
        Ok(found.then(|| Arrived { name: name.to_owned(), size: 1 }))
    }

    async fn sweep(&self) -> Result<Vec<(String, String)>, SpoolError> {
        Ok(Vec::new())
    }
}

#[async_trait]
impl Blobs for World {
    async fn put(&self, _from: &Path, book: &Book, shelf: Shelf) -> Result<(), BlobError> {
        self.blob_step()?;
        let mut shelves = lock(&self.shelves);
        shelves.retain(|(other, _)| other != book);
        shelves.insert((book.clone(), shelf));
        Ok(())
    }

    async fn move_to(&self, book: &Book, shelf: Shelf) -> Result<Moved, BlobError> {
        self.put(Path::new(""), book, shelf).await.map(|()| Moved::Moved)
    }

    async fn remove(&self, book: &Book, _: &[Shelf]) -> Result<bool, BlobError> {
        self.blob_step()?;
        lock(&self.shelves).retain(|(other, _)| other != book);
        Ok(true)
    }

    async fn shelves(&self, _: &Book) -> Result<Vec<Shelf>, BlobError> {
        unreachable!()
    }

    async fn books(&self, _: Shelf, _: Option<&Book>, _: usize) -> Result<Vec<Book>, BlobError> {
        unreachable!()
    }

    async fn files(&self, _: &Book, _: Shelf, _: usize) -> Result<Vec<(FilePath, u64)>, BlobError> {
        unreachable!()
    }

    async fn info(&self, _: &Book, _: Shelf, _: &FilePath) -> Result<Option<BlobInfo>, BlobError> {
        unreachable!()
    }

    async fn open(
        &self,
        _: &Book,
        _: Shelf,
        _: &FilePath,
        _: Option<Span>,
    ) -> Result<Option<(BlobInfo, BlobBytes)>, BlobError> {
        unreachable!()
    }

    async fn write(&self, _: &Book, _: Shelf, _: &FilePath, _: Bytes) -> Result<(), BlobError> {
        unreachable!()
    }

    async fn check(&self) -> Result<(), BlobError> {
        Ok(())
    }
}

fn book(format: &str) -> Book {
    let format = FormatName::parse(format).unwrap();
    Book { format, record_id: RecordId::parse(ID).unwrap() }
}

fn xml(format: &str, published: &str) -> String {
    format!(
        "<recording><id>{ID}</id><published>{published}</published><meta><k>v</k></meta>\
         <playback><format>{format}</format><link>https://n/{format}/{ID}/</link></playback></recording>"
    )
}

struct Stage {
    world: Arc<World>,
    clock: Arc<ManualClock>,
    importer: Importer,
}

impl Stage {
    fn new() -> Self {
        let world = Arc::new(World::default());
        world.steps.store(1000, Ordering::SeqCst);
        let clock = Arc::new(ManualClock::at(Timestamp(1_800_000_000_000)));
        let importer = Importer {
            records: Arc::new(MemoryRecordings::default()),
            blobs: world.clone(),
            spool: world.clone(),
            clock: clock.clone(),
            entropy: Arc::new(CountingEntropy::default()),
            rules: ImportRules::default(),
        };
        Self { world, clock, importer }
    }

    fn send(&self, formats: &[(&'static str, &str)]) {
        let formats = formats.iter().map(|(name, published)| (*name, xml(name, published)));
        lock(&self.world.archives).insert(format!("{ID}.tar"), formats.collect());
    }

    async fn look(&self) -> Looked {
        self.importer.look(|| false).await.unwrap()
    }

    async fn recording(&self) -> Option<Recording> {
        self.importer.records.recording(ID).await.unwrap()
    }

    fn on(&self, shelf: Shelf) -> Vec<String> {
        let shelves = lock(&self.world.shelves);
        shelves
            .iter()
            .filter(|(_, on)| *on == shelf)
            .map(|(book, _)| book.format.to_string())
            .collect()
    }

    async fn stage(&self) -> (Stage_, Option<String>) {
        let archives = self.importer.records.archives(9).await.unwrap();
        (archives[0].stage, archives[0].reason.clone())
    }
}

use crate::ports::Stage as Stage_;

#[tokio::test]
async fn an_archive_goes_in_and_a_larger_one_of_its_name_is_merged() {
    let stage = Stage::new();
    stage.send(&[("video", "true")]);
    assert_eq!(stage.look().await.imported, 1);
    assert_eq!(stage.on(Shelf::Published), ["video"]);
    assert_eq!(stage.stage().await, (Stage_::Done, None));
    stage.send(&[("notes", "true"), ("video", "true")]);
    assert_eq!(stage.look().await.imported, 1);
    let recording = stage.recording().await.unwrap();
    let names: Vec<_> = recording.formats.iter().map(|format| format.format.as_str()).collect();
    assert_eq!(names, ["notes", "video"]);
    assert!(recording.published && lock(&stage.world.archives).is_empty());
}

#[tokio::test]
async fn what_people_have_decided_stays() {
    let stage = Stage::new();
    stage.send(&[("video", "true")]);
    stage.look().await;
    let (records, now) = (&stage.importer.records, stage.clock.now());
    records.begin_journey(ID, &Scope::All, Destination::Unpublished, now).await.unwrap();
    stage.send(&[("notes", "true")]);
    stage.look().await;
    assert_eq!(stage.on(Shelf::Unpublished), ["notes"]);
    assert!(!stage.recording().await.unwrap().published);
    records.begin_journey(ID, &Scope::All, Destination::Gone, now).await.unwrap();
    stage.send(&[("notes", "true"), ("video", "true")]);
    stage.look().await;
    assert!(lock(&stage.world.shelves).is_empty() && lock(&stage.world.archives).is_empty());
    assert!(stage.recording().await.unwrap().is_deleted());
}

#[tokio::test]
async fn killed_at_any_step_it_is_completed_by_the_next_one() {
    for steps in 0.. {
        let stage = Stage::new();
        stage.world.steps.store(steps, Ordering::SeqCst);
        stage.send(&[("notes", "true"), ("video", "true")]);
        let _ = stage.importer.look(|| false).await;
        let done = lock(&stage.world.archives).is_empty();
        // A row is there only if all of its files are.
        if let Some(recording) = stage.recording().await {
            assert_eq!(stage.on(Shelf::Published).len(), recording.formats.len(), "step {steps}");
        }
        stage.world.steps.store(1000, Ordering::SeqCst);
        stage.clock.advance_ms(CLAIM_MS);
        stage.look().await;
        assert_eq!(stage.on(Shelf::Published), ["notes", "video"], "step {steps}");
        assert_eq!(stage.recording().await.unwrap().formats.len(), 2);
        assert!(lock(&stage.world.archives).is_empty());
        assert_eq!(stage.stage().await.0, Stage_::Done);
        if done {
            assert!(steps > 3);
            return;
        }
    }
}

#[tokio::test]
async fn a_bad_archive_is_tried_three_times_and_put_aside() {
    let stage = Stage::new();
    stage.send(&[]);
    for wait_ms in PATIENCE_MS {
        assert!(stage.look().await.waiting);
        assert!(stage.look().await.waiting, "not before its time");
        assert_eq!(stage.stage().await.0, Stage_::Received);
        stage.clock.advance_ms(wait_ms);
    }
    stage.look().await;
    assert_eq!(stage.stage().await, (Stage_::Quarantined, Some("no tar archive".to_owned())));
    let name = format!("{ID}.tar");
    assert_eq!(lock(&stage.world.aside).get(&name).unwrap(), "no tar archive");
    assert!(stage.importer.retry(&name).await.unwrap().is_some());
    assert_eq!(stage.look().await.imported, 1);
    assert!(stage.importer.retry(&name).await.unwrap().is_none());
    // What was put aside may be sent again, and is tried again.
    stage.send(&[("notes", "true")]);
    assert_eq!(stage.look().await.imported, 1);
}

#[tokio::test]
async fn a_bad_format_does_not_keep_others_out_and_the_archive_is_kept() {
    let stage = Stage::new();
    let good = ("video", xml("video", "true"));
    let bad = [
        ("notes", xml("video", "true")),
        ("podcast", xml("podcast", "true").replace("1718", "1719")),
        ("capture", "<recording>".to_owned()),
        ("screenshare", "<!DOCTYPE r [<!ENTITY a \"x\">]><recording>&a;</recording>".to_owned()),
    ];
    let formats = bad.into_iter().chain([good]).collect();
    lock(&stage.world.archives).insert(format!("{ID}.tar"), formats);
    stage.look().await;
    assert_eq!(stage.on(Shelf::Published), ["video"]);
    assert_eq!(stage.recording().await.unwrap().formats.len(), 1);
    let (at, reason) = stage.stage().await;
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
        let stage = Stage::new();
        let formats = vec![("video", xml("video", "true"))];
        lock(&stage.world.archives).insert(name.clone(), formats);
        assert_eq!(stage.look().await.imported == 1, fits, "{name}");
        assert_eq!(stage.recording().await.is_some(), fits);
    }
}

#[tokio::test]
async fn a_full_disk_stops_everything_and_nothing_is_put_aside() {
    let stage = Stage::new();
    stage.send(&[("video", "true")]);
    *lock(&stage.world.full) = true;
    for _ in 0..9 {
        assert!(stage.look().await.full.is_some());
        stage.clock.advance_ms(TRY_AGAIN_MS);
    }
    assert!(lock(&stage.world.aside).is_empty() && stage.recording().await.is_none());
    *lock(&stage.world.full) = false;
    assert_eq!(stage.look().await.imported, 1);
}

#[tokio::test(start_paused = true)]
async fn replicas_share_the_work() {
    let stage = Stage::new();
    stage.send(&[("video", "true")]);
    let (one, two) = tokio::join!(stage.look(), stage.look());
    assert_eq!(one.imported + two.imported, 1);
}

#[tokio::test]
async fn who_is_told_to_stop_begins_nothing_more() {
    let stage = Stage::new();
    stage.send(&[("video", "true")]);
    assert_eq!(stage.importer.look(|| true).await.unwrap().imported, 0);
    assert_eq!(lock(&stage.world.archives).len(), 1);
}
