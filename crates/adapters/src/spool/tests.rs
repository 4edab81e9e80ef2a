//! Archives that arrive in the spool, grow, are replaced, are quarantined, and are uploaded.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt as _;
use std::time::{Duration, SystemTime};

use app::ports::{SpooledArchive, UploadError, UploadId, Uploads as _};
use domain::recording::RecordId;
use futures_util::{StreamExt as _, stream};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;
use testkit::samples::SampleRecording;

use super::uploads::unfinished_name;
use super::*;

const NO_LIMITS: UploadLimits = UploadLimits { quota_bytes: u64::MAX, min_free: 0 };

struct SpoolFixture {
    dir: TempDir,
    spool: SpoolDir,
    sample: SampleRecording,
    name: String,
}

impl SpoolFixture {
    fn new() -> Self {
        let dir = TempDir::new().unwrap();
        let [spool, work, quarantine] =
            ["spool", "work", "quarantine"].map(|name| dir.path().join(name));
        fs::create_dir(&spool).unwrap();
        let sample = SampleRecording::new(7);
        let name = format!("{}.tar", sample.record_id);
        Self { dir, spool: SpoolDir::new(spool, work, quarantine), sample, name }
    }

    fn upload_id(&self) -> UploadId {
        let record_id = RecordId::parse(&self.sample.record_id).unwrap();
        UploadId { record_id, uploader: "0123456789abcdef".to_owned() }
    }

    fn path(&self, path: &str) -> PathBuf {
        self.dir.path().join(path)
    }

    fn archive_path(&self) -> PathBuf {
        self.path("spool").join(&self.name)
    }

    /// Puts an archive into the spool whose modification time is long ago.
    fn write_archive(&self, formats: &[&str]) {
        fs::write(self.archive_path(), self.sample.archive(formats)).unwrap();
        set_old_mtime(&self.archive_path());
    }

    fn list_names(&self, dir: &str) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(self.path(dir))
            .map(|entries| {
                entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
            })
            .unwrap_or_default();
        names.sort();
        names
    }

    async fn list_complete(&self) -> Vec<SpooledArchive> {
        self.spool.scan_spool().await.unwrap().complete
    }
}

fn set_old_mtime(path: &Path) {
    let file = File::options().write(true).open(path).unwrap();
    file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000)).unwrap();
}

#[tokio::test]
async fn only_archives_that_have_stopped_growing_are_complete() {
    let fixture = SpoolFixture::new();
    for name in [".hidden.tar", "notes.txt", "a.tar.part"] {
        fs::write(fixture.path("spool").join(name), "x").unwrap();
    }
    fs::create_dir(fixture.path("spool/dir.tar")).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", fixture.path("spool/link.tar")).unwrap();
    assert_eq!(fixture.spool.scan_spool().await.unwrap(), SpoolListing::default());
    fs::write(fixture.archive_path(), "part").unwrap();
    let listing = fixture.spool.scan_spool().await.unwrap();
    assert!(listing.has_incomplete && listing.complete.is_empty());
    tokio::time::sleep(growth::SETTLE_TIME).await;
    fs::write(fixture.archive_path(), "part two").unwrap();
    assert!(fixture.list_complete().await.is_empty());
    tokio::time::sleep(growth::SETTLE_TIME).await;
    assert_eq!(
        fixture.list_complete().await,
        [SpooledArchive { name: fixture.name.clone(), size: 8 }]
    );
    // An archive that was moved there with an old modification time counts as complete at once.
    fixture.write_archive(&["video"]);
    assert_eq!(fixture.list_complete().await.len(), 1);
}

#[tokio::test]
async fn an_archive_is_unpacked_and_removed() {
    let fixture = SpoolFixture::new();
    fixture.write_archive(&["video", "notes"]);
    let formats = fixture.spool.unpack_archive(&fixture.name, "t1").await.unwrap();
    assert_eq!(formats.len(), 2);
    for format in &formats {
        let metadata = fixture.sample.metadata_xml(format.format_id.format.as_str());
        assert_eq!(format.metadata.as_deref(), Ok(metadata.as_bytes()));
        assert!(format.dir.join("metadata.xml").is_file());
    }
    fixture.spool.remove_archive(&fixture.name, "t1").await.unwrap();
    assert!(fixture.list_names("spool").is_empty() && fixture.list_names("work").is_empty());
    assert_eq!(fixture.spool.unpack_archive(&fixture.name, "t2").await, Err(SpoolError::Missing));
}

#[tokio::test]
async fn a_file_is_copied_to_the_spool_unless_it_is_already_there() {
    let fixture = SpoolFixture::new();
    let inode = || fs::metadata(fixture.archive_path()).unwrap().ino();
    let source = fixture.path(&fixture.name);
    fs::write(&source, fixture.sample.archive(&["video"])).unwrap();
    let size = fs::metadata(&source).unwrap().len();
    let spooled = SpooledArchive { name: fixture.name.clone(), size };
    assert_eq!(fixture.spool.copy_into_spool(&source).await.unwrap(), spooled);
    assert!(source.is_file());
    let inode_before = inode();
    assert_eq!(fixture.spool.copy_into_spool(&fixture.archive_path()).await.unwrap(), spooled);
    assert_eq!(inode(), inode_before);
    assert_eq!(fixture.list_names("spool"), [fixture.name.as_str()]);
}

#[tokio::test]
async fn a_newer_archive_of_the_same_name_stays() {
    let fixture = SpoolFixture::new();
    fixture.write_archive(&["video"]);
    fixture.spool.unpack_archive(&fixture.name, "t1").await.unwrap();
    let newer = fixture.path("newer");
    fs::write(&newer, fixture.sample.archive(&["video", "notes"])).unwrap();
    fs::rename(&newer, fixture.archive_path()).unwrap();
    fixture.spool.remove_archive(&fixture.name, "t1").await.unwrap();
    assert_eq!(fixture.list_names("spool"), [fixture.name.as_str()]);
    assert_eq!(fixture.spool.unpack_archive(&fixture.name, "t2").await.unwrap().len(), 2);
    // It is not quarantined either for a fault of the older one.
    fs::write(&newer, "x").unwrap();
    fs::rename(&newer, fixture.archive_path()).unwrap();
    fixture.spool.keep_archive(&fixture.name, "t2", KeptPlace::Quarantine, "old").await.unwrap();
    assert_eq!(fixture.list_names("spool"), [fixture.name.as_str()]);
    assert_eq!(
        fixture.list_names("quarantine").iter().filter(|name| name.ends_with(".tar")).count(),
        0
    );
}

#[tokio::test]
async fn invalid_archives_are_quarantined_with_the_reason_and_released() {
    let fixture = SpoolFixture::new();
    fs::write(fixture.archive_path(), "x").unwrap();
    let result = fixture.spool.unpack_archive(&fixture.name, "t1").await;
    assert!(matches!(result, Err(SpoolError::InvalidArchive(_))), "{result:?}");
    fixture.spool.keep_archive(&fixture.name, "t1", KeptPlace::Quarantine, "no tar").await.unwrap();
    assert!(fixture.list_names("spool").is_empty() && fixture.list_names("work").is_empty());
    let reason = fixture.path("quarantine").join(format!("{}.reason.txt", fixture.name));
    assert_eq!(fs::read_to_string(reason).unwrap(), "no tar\n");
    let released = fixture.spool.release_kept(&fixture.name).await.unwrap();
    assert_eq!(released, Some(SpooledArchive { name: fixture.name.clone(), size: 1 }));
    assert!(fixture.list_names("quarantine").is_empty());
    assert_eq!(fixture.list_names("spool"), [fixture.name.as_str()]);
    assert_eq!(fixture.spool.release_kept(&fixture.name).await, Ok(None));
}

#[tokio::test]
async fn abandoned_work_directories_are_removed_and_those_in_use_stay() {
    let fixture = SpoolFixture::new();
    fixture.write_archive(&["video"]);
    fixture.spool.unpack_archive(&fixture.name, "used").await.unwrap();
    let abandoned = fixture.path("work/import-left");
    fs::create_dir_all(abandoned.join("video")).unwrap();
    fs::write(abandoned.join(LOCK_FILE), "a.tar").unwrap();
    fs::create_dir_all(fixture.path("work/quarantine")).unwrap();
    let removed = fixture.spool.clean_up_after_crash().await.unwrap();
    assert_eq!(removed, [("a.tar".to_owned(), "left".to_owned())]);
    assert_eq!(fixture.list_names("work"), ["import-used", "quarantine"]);
    fixture.spool.discard_unpacked("used").await.unwrap();
    assert_eq!(fixture.list_names("work"), ["quarantine"]);
    assert_eq!(fixture.list_names("spool"), [fixture.name.as_str()]);
}

#[tokio::test]
async fn interrupted_uploads_are_continued() {
    let fixture = SpoolFixture::new();
    let uploads = UploadDir::new(fixture.path("spool"), NO_LIMITS);
    let id = fixture.upload_id();
    let spooled = fixture.path("spool").join(id.archive_name());
    let archive = fixture.sample.archive(&["video"]);
    let total = archive.len() as u64;
    let stream_chunks = |bytes: &[u8], interrupted: bool| {
        let mut chunks: Vec<io::Result<bytes::Bytes>> =
            bytes.chunks(1000).map(|chunk| Ok(bytes::Bytes::copy_from_slice(chunk))).collect();
        if interrupted {
            chunks.push(Err(io::ErrorKind::ConnectionReset.into()));
        }
        stream::iter(chunks).boxed()
    };
    let sha256: [u8; 32] = Sha256::digest(&archive).into();
    let (first, rest) = archive.split_at(5000);
    let interrupted = uploads.append_upload(&id, 0, total, stream_chunks(first, true)).await;
    assert_eq!(interrupted, Err(UploadError::Interrupted));
    assert_eq!(uploads.count_received_bytes(&id).await, Ok(5000));
    assert!(fixture.list_complete().await.is_empty() && !spooled.exists());
    let wrong = uploads.append_upload(&id, 4999, total, stream_chunks(rest, false)).await;
    assert_eq!(wrong, Err(UploadError::WrongOffset(5000)));
    let larger = uploads.append_upload(&id, 0, 100, stream_chunks(first, false)).await;
    assert_eq!(larger, Err(UploadError::TooLarge));
    uploads.append_upload(&id, 0, total, stream_chunks(first, false)).await.unwrap();
    assert_eq!(
        uploads.append_upload(&id, 5000, total, stream_chunks(rest, false)).await,
        Ok(total)
    );
    // Another process writes to the same upload.
    let name = unfinished_name(&id);
    let other_writer = File::open(fixture.path("spool").join(&name)).unwrap();
    flock(&other_writer, FlockOperation::LockExclusive).unwrap();
    assert_eq!(
        uploads.append_upload(&id, 0, total, stream_chunks(first, false)).await,
        Err(UploadError::Busy)
    );
    drop(other_writer);
    uploads.complete_upload(&id, sha256).await.unwrap();
    assert_eq!(fs::read(spooled).unwrap(), archive);
    assert_eq!(uploads.count_received_bytes(&id).await, Ok(0));
    uploads.append_upload(&id, 0, total, stream_chunks(first, false)).await.unwrap();
    assert_eq!(uploads.complete_upload(&id, sha256).await, Err(UploadError::DigestMismatch));
    assert_eq!(uploads.count_received_bytes(&id).await, Ok(0));
}

#[tokio::test(start_paused = true)]
async fn an_upload_that_stalls_loses_its_place_and_keeps_its_bytes() {
    let fixture = SpoolFixture::new();
    let uploads = UploadDir::new(fixture.path("spool"), NO_LIMITS);
    let id = fixture.upload_id();
    // One byte a second for ever, and a thousand bytes that are followed by nothing.
    let trickle = stream::repeat_with(|| Ok(bytes::Bytes::from_static(b"x"))).then(async |byte| {
        tokio::time::sleep(Duration::from_secs(1)).await;
        byte
    });
    let stalled = uploads.append_upload(&id, 0, 1 << 20, trickle.boxed()).await;
    assert_eq!(stalled, Err(UploadError::Stalled));
    let received = uploads.count_received_bytes(&id).await.unwrap();
    assert!((50..=60).contains(&received), "{received}");
    let start = stream::iter([Ok(bytes::Bytes::from(vec![0; 1000]))]);
    let silent = start.chain(stream::pending()).boxed();
    let stalled = uploads.append_upload(&id, received, 1 << 20, silent).await;
    assert_eq!(stalled, Err(UploadError::Stalled));
    assert_eq!(uploads.count_received_bytes(&id).await, Ok(received + 1000));
    // A slow line that brings enough keeps its place for hours.
    let slow =
        stream::repeat_with(|| Ok(bytes::Bytes::from(vec![0; 64 << 10]))).then(async |chunk| {
            tokio::time::sleep(Duration::from_secs(10)).await;
            chunk
        });
    let slow = slow.take(200).boxed();
    assert_eq!(uploads.append_upload(&id, 0, 200 * (64 << 10), slow).await, Ok(200 * (64 << 10)));
}

#[tokio::test]
async fn a_server_has_a_quota_and_the_reserve_stays_free() {
    let fixture = SpoolFixture::new();
    let bytes = |count: usize| stream::iter([Ok(bytes::Bytes::from(vec![0; count]))]).boxed();
    let limits = UploadLimits { quota_bytes: 1000, min_free: 0 };
    let uploads = UploadDir::new(fixture.path("spool"), limits);
    let [first, second] = ["a", "b"].map(|record_id| {
        let record_id = RecordId::parse(record_id).unwrap();
        UploadId { record_id, ..fixture.upload_id() }
    });
    let other = UploadId { uploader: "fedcba9876543210".to_owned(), ..second.clone() };
    assert_eq!(uploads.append_upload(&first, 0, 900, bytes(600)).await, Ok(600));
    let refused = uploads.append_upload(&second, 0, 401, bytes(1)).await;
    assert_eq!(refused, Err(UploadError::QuotaExceeded));
    assert_eq!(uploads.append_upload(&second, 0, 400, bytes(1)).await, Ok(1));
    assert_eq!(uploads.append_upload(&other, 0, 1000, bytes(1)).await, Ok(1));
    // Its own bytes do not count twice.
    assert_eq!(uploads.append_upload(&first, 600, 900, bytes(300)).await, Ok(900));
    let reserve = UploadLimits { quota_bytes: u64::MAX, min_free: u64::MAX };
    let uploads = UploadDir::new(fixture.path("spool"), reserve);
    assert_eq!(uploads.append_upload(&other, 0, 1, bytes(1)).await, Err(UploadError::Full));
}

#[tokio::test]
async fn archives_with_long_or_odd_names_are_renamed_and_listed() {
    use std::os::unix::ffi::OsStrExt as _;
    let fixture = SpoolFixture::new();
    let spool = fixture.path("spool");
    fs::create_dir_all(&spool).unwrap();
    let long = format!("{}.tar", "x".repeat(240));
    let latin = OsStr::from_bytes(b"\xdcbung.tar");
    for name in [OsStr::new(&long), latin, OsStr::new("Plain.TAR")] {
        let file = File::create(spool.join(name)).unwrap();
        file.set_modified(std::time::UNIX_EPOCH).unwrap();
    }
    let listing = fixture.spool.scan_spool().await.unwrap();
    let names: Vec<&str> = listing.complete.iter().map(|archive| archive.name.as_str()).collect();
    assert_eq!(names.len(), 3, "{names:?}");
    assert!(names.iter().all(|name| name.len() <= 160) && names.contains(&"Plain.TAR"));
}

#[tokio::test]
async fn archives_that_are_kept_do_not_replace_others() {
    use crate::entropy::SystemClock;
    use app::ports::Clock as _;
    let fixture = SpoolFixture::new();
    let mut kept = Vec::new();
    for content in ["one", "two", "two", "three"] {
        fs::create_dir_all(fixture.path("spool")).unwrap();
        fs::write(fixture.path("spool").join("a.tar"), content).unwrap();
        assert!(fixture.spool.unpack_archive("a.tar", "t").await.is_err());
        let place = KeptPlace::Aside;
        kept.push(fixture.spool.keep_archive("a.tar", "t", place, "why").await.unwrap().unwrap());
    }
    assert_eq!(kept, ["a.tar", "a~2.tar", "a~2.tar", "a~3.tar"]);
    let listed = fixture.spool.list_kept_archives().await.unwrap();
    let names: Vec<&str> = listed.iter().map(|kept| kept.name.as_str()).collect();
    assert_eq!(names, ["a.tar", "a~2.tar", "a~3.tar"]);
    assert!(listed.iter().all(|kept| kept.reason == "why"));
    let day = 86_400_000;
    let now = SystemClock.now();
    assert_eq!(fixture.spool.remove_set_aside(now.plus_ms(-day)).await.unwrap(), [""; 0]);
    let released = fixture.spool.release_kept("a~2.tar").await.unwrap().unwrap();
    assert_eq!(released.name, "a~2.tar");
    assert_eq!(
        fixture.spool.remove_set_aside(now.plus_ms(day)).await.unwrap(),
        ["a.tar", "a~3.tar"]
    );
    assert!(fixture.spool.list_kept_archives().await.unwrap().is_empty());
}
