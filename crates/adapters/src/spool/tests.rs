//! Archives that arrive, grow, are replaced, and are put aside.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::time::{Duration, SystemTime};

use app::ports::{SpooledArchive, UploadError, Uploads as _};
use domain::recording::RecordId;
use futures_util::{StreamExt as _, stream};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;
use testkit::samples::SampleRecording;

use super::*;

struct SpoolFixture {
    dir: TempDir,
    spool: SpoolDir,
    sample: SampleRecording,
    name: String,
}

impl SpoolFixture {
    fn new() -> Self {
        let dir = TempDir::new().unwrap();
        let [spool, work, aside] = ["spool", "work", "aside"].map(|name| dir.path().join(name));
        fs::create_dir(&spool).unwrap();
        let sample = SampleRecording::new(7);
        let name = format!("{}.tar", sample.record_id);
        Self { dir, spool: SpoolDir::new(spool, work, aside), sample, name }
    }

    fn path(&self, path: &str) -> PathBuf {
        self.dir.path().join(path)
    }

    fn archive_path(&self) -> PathBuf {
        self.path("spool").join(&self.name)
    }

    /// Sends an archive that was written some minutes ago.
    fn write_archive(&self, formats: &[&str]) {
        fs::write(self.archive_path(), self.sample.archive(formats)).unwrap();
        set_old_mtime(&self.archive_path());
    }

    fn list_names(&self, dir: &str) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(self.path(dir))
            .map(|all| all.map(|one| one.unwrap().file_name().into_string().unwrap()).collect())
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
async fn only_archives_that_have_stopped_growing_are_whole() {
    let stage = SpoolFixture::new();
    for name in [".hidden.tar", "notes.txt", "a.tar.part"] {
        fs::write(stage.path("spool").join(name), "x").unwrap();
    }
    fs::create_dir(stage.path("spool/dir.tar")).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", stage.path("spool/link.tar")).unwrap();
    assert_eq!(stage.spool.scan_spool().await.unwrap(), SpoolListing::default());
    fs::write(stage.archive_path(), "part").unwrap();
    let arrivals = stage.spool.scan_spool().await.unwrap();
    assert!(arrivals.has_incomplete && arrivals.complete.is_empty());
    tokio::time::sleep(growth::SETTLE_TIME).await;
    fs::write(stage.archive_path(), "part two").unwrap();
    assert!(stage.list_complete().await.is_empty());
    tokio::time::sleep(growth::SETTLE_TIME).await;
    assert_eq!(stage.list_complete().await, [SpooledArchive { name: stage.name.clone(), size: 8 }]);
    // One that was moved there with its old time is taken at once.
    stage.write_archive(&["video"]);
    assert_eq!(stage.list_complete().await.len(), 1);
}

#[tokio::test]
async fn an_archive_is_unpacked_and_removed() {
    let stage = SpoolFixture::new();
    stage.write_archive(&["video", "notes"]);
    let found = stage.spool.unpack_archive(&stage.name, "t1").await.unwrap();
    assert_eq!(found.len(), 2);
    for one in &found {
        let metadata = stage.sample.metadata_xml(one.format_id.format.as_str());
        assert_eq!(one.metadata.as_deref(), Ok(metadata.as_bytes()));
        assert!(one.dir.join("metadata.xml").is_file());
    }
    stage.spool.remove_archive(&stage.name, "t1").await.unwrap();
    assert!(stage.list_names("spool").is_empty() && stage.list_names("work").is_empty());
    assert_eq!(stage.spool.unpack_archive(&stage.name, "t2").await, Err(SpoolError::Missing));
}

#[tokio::test]
async fn a_file_is_copied_to_the_spool_unless_it_is_there() {
    let stage = SpoolFixture::new();
    let inode = || fs::metadata(stage.archive_path()).unwrap().ino();
    let elsewhere = stage.path(&stage.name);
    fs::write(&elsewhere, stage.sample.archive(&["video"])).unwrap();
    let size = fs::metadata(&elsewhere).unwrap().len();
    let arrived = SpooledArchive { name: stage.name.clone(), size };
    assert_eq!(stage.spool.copy_into_spool(&elsewhere).await.unwrap(), arrived);
    assert!(elsewhere.is_file());
    let there = inode();
    assert_eq!(stage.spool.copy_into_spool(&stage.archive_path()).await.unwrap(), arrived);
    assert_eq!(inode(), there);
    assert_eq!(stage.list_names("spool"), [stage.name.as_str()]);
}

#[tokio::test]
async fn a_newer_archive_of_the_same_name_stays() {
    let stage = SpoolFixture::new();
    stage.write_archive(&["video"]);
    stage.spool.unpack_archive(&stage.name, "t1").await.unwrap();
    let newer = stage.path("newer");
    fs::write(&newer, stage.sample.archive(&["video", "notes"])).unwrap();
    fs::rename(&newer, stage.archive_path()).unwrap();
    stage.spool.remove_archive(&stage.name, "t1").await.unwrap();
    assert_eq!(stage.list_names("spool"), [stage.name.as_str()]);
    assert_eq!(stage.spool.unpack_archive(&stage.name, "t2").await.unwrap().len(), 2);
    // Nor is it put aside for what was wrong with the older one.
    fs::write(&newer, "x").unwrap();
    fs::rename(&newer, stage.archive_path()).unwrap();
    stage.spool.quarantine_archive(&stage.name, "t2", "old").await.unwrap();
    assert_eq!(stage.list_names("spool"), [stage.name.as_str()]);
    assert_eq!(stage.list_names("aside").iter().filter(|name| name.ends_with(".tar")).count(), 0);
}

#[tokio::test]
async fn invalid_archives_are_quarantined_with_the_reason_and_released() {
    let stage = SpoolFixture::new();
    fs::write(stage.archive_path(), "x").unwrap();
    let broken = stage.spool.unpack_archive(&stage.name, "t1").await;
    assert!(matches!(broken, Err(SpoolError::InvalidArchive(_))), "{broken:?}");
    stage.spool.quarantine_archive(&stage.name, "t1", "no tar").await.unwrap();
    assert!(stage.list_names("spool").is_empty() && stage.list_names("work").is_empty());
    let reason = stage.path("aside").join(reason_file_name(&stage.name));
    assert_eq!(fs::read_to_string(reason).unwrap(), "no tar\n");
    let released = stage.spool.release_quarantined(&stage.name).await.unwrap();
    assert_eq!(released, Some(SpooledArchive { name: stage.name.clone(), size: 1 }));
    assert!(stage.list_names("aside").is_empty());
    assert_eq!(stage.list_names("spool"), [stage.name.as_str()]);
    assert_eq!(stage.spool.release_quarantined(&stage.name).await, Ok(None));
}

#[tokio::test]
async fn abandoned_work_directories_are_removed_and_those_in_use_stay() {
    let stage = SpoolFixture::new();
    stage.write_archive(&["video"]);
    stage.spool.unpack_archive(&stage.name, "used").await.unwrap();
    let left = stage.path("work/import-left");
    fs::create_dir_all(left.join("video")).unwrap();
    fs::write(left.join(LOCK_FILE), "a.tar").unwrap();
    fs::create_dir_all(stage.path("work/quarantine")).unwrap();
    let left = stage.spool.clean_up_after_crash().await.unwrap();
    assert_eq!(left, [("a.tar".to_owned(), "left".to_owned())]);
    assert_eq!(stage.list_names("work"), ["import-used", "quarantine"]);
    stage.spool.discard_unpacked("used").await.unwrap();
    assert_eq!(stage.list_names("work"), ["quarantine"]);
    assert_eq!(stage.list_names("spool"), [stage.name.as_str()]);
}

#[tokio::test]
async fn uploads_go_on_where_they_broke_off() {
    let stage = SpoolFixture::new();
    let uploads = UploadDir::new(stage.path("spool"));
    let id = RecordId::parse(&stage.sample.record_id).unwrap();
    let archive = stage.sample.archive(&["video"]);
    let total = archive.len() as u64;
    let pieces = |bytes: &[u8], broken: bool| {
        let mut pieces: Vec<io::Result<bytes::Bytes>> =
            bytes.chunks(1000).map(|one| Ok(bytes::Bytes::copy_from_slice(one))).collect();
        if broken {
            pieces.push(Err(io::ErrorKind::ConnectionReset.into()));
        }
        stream::iter(pieces).boxed()
    };
    let sha256: [u8; 32] = Sha256::digest(&archive).into();
    let (first, rest) = archive.split_at(5000);
    let broken = uploads.append_upload(&id, 0, total, pieces(first, true)).await;
    assert_eq!(broken, Err(UploadError::Interrupted));
    assert_eq!(uploads.count_received_bytes(&id).await, Ok(5000));
    assert!(stage.list_complete().await.is_empty() && !stage.archive_path().exists());
    let wrong = uploads.append_upload(&id, 4999, total, pieces(rest, false)).await;
    assert_eq!(wrong, Err(UploadError::WrongOffset(5000)));
    let larger = uploads.append_upload(&id, 0, 100, pieces(first, false)).await;
    assert_eq!(larger, Err(UploadError::TooLarge));
    uploads.append_upload(&id, 0, total, pieces(first, false)).await.unwrap();
    assert_eq!(uploads.append_upload(&id, 5000, total, pieces(rest, false)).await, Ok(total));
    // Somebody else is at it.
    let name = format!(".upload-{}", stage.name);
    let other = File::open(stage.path("spool").join(&name)).unwrap();
    flock(&other, FlockOperation::LockExclusive).unwrap();
    assert_eq!(
        uploads.append_upload(&id, 0, total, pieces(first, false)).await,
        Err(UploadError::Busy)
    );
    drop(other);
    uploads.complete_upload(&id, sha256).await.unwrap();
    assert_eq!(fs::read(stage.archive_path()).unwrap(), archive);
    assert_eq!(uploads.count_received_bytes(&id).await, Ok(0));
    uploads.append_upload(&id, 0, total, pieces(first, false)).await.unwrap();
    assert_eq!(uploads.complete_upload(&id, sha256).await, Err(UploadError::DigestMismatch));
    assert_eq!(uploads.count_received_bytes(&id).await, Ok(0));
}
