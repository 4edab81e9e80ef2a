//! Cases that only directories have: links to other places, and several file systems. The contract suite tests
//! everything else.

use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt as _, symlink};

use domain::recording::{FormatName, RecordId};
use futures_util::TryStreamExt as _;
use tempfile::TempDir;

use super::*;

const RECORD_ID: &str = "5d2f0c9a4be17c33a1f0b6de0d92cf5a7b1e8c44-1760000000111";

struct DirectoryBlobsFixture {
    dir: TempDir,
    blobs: DirectoryBlobs,
    format_id: RecordingFormatId,
}

impl DirectoryBlobsFixture {
    fn new() -> Self {
        let dir = TempDir::new().unwrap();
        Self::with_unpublished(dir, |dir| dir.join("unpublished"))
    }

    fn with_unpublished(dir: TempDir, unpublished: impl Fn(&Path) -> PathBuf) -> Self {
        let blobs = DirectoryBlobs::new(
            dir.path().join("published"),
            unpublished(dir.path()),
            dir.path().join("deleted"),
        );
        let format = FormatName::parse("video").unwrap();
        let format_id =
            RecordingFormatId { format, record_id: RecordId::parse(RECORD_ID).unwrap() };
        Self { dir, blobs, format_id }
    }

    /// Creates a directory with these files, as a source for `put_format`.
    fn make_files(&self, files: &[(&str, &str)]) -> PathBuf {
        let from = self.dir.path().join("source");
        for (path, content) in files {
            let path = from.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        from
    }

    async fn put_files(&self, files: &[(&str, &str)], visibility: Visibility) {
        self.blobs.put_format(&self.make_files(files), &self.format_id, visibility).await.unwrap();
    }

    fn format_dir(&self) -> PathBuf {
        self.dir.path().join("published/video").join(RECORD_ID)
    }

    async fn read_file(&self, path: &str, span: Option<ByteSpan>) -> Option<Vec<u8>> {
        let path = FilePath::parse(path).unwrap();
        let opened = self
            .blobs
            .open_file(&self.format_id, Visibility::Published, &path, span)
            .await
            .unwrap();
        let chunks: Vec<Bytes> = opened?.1.try_collect().await.unwrap();
        Some(chunks.concat())
    }

    /// Counts the staging directories that are left.
    fn count_staged(&self) -> usize {
        let dirs = ["published", "unpublished"].map(|dir| self.dir.path().join(dir));
        let count = |dir: &PathBuf| {
            fs::read_dir(dir.join(staging::STAGING_ROOT)).map_or(0, Iterator::count)
        };
        dirs.iter().map(count).sum()
    }
}

#[tokio::test]
async fn a_second_put_replaces_all_files_and_removes_other_visibilities() {
    let fixture = DirectoryBlobsFixture::new();
    fixture.put_files(&[("a.txt", "old"), ("deep/b.txt", "b")], Visibility::Unpublished).await;
    fixture.put_files(&[("a.txt", "older")], Visibility::Published).await;
    fixture.put_files(&[("a.txt", "new"), ("c.txt", "c")], Visibility::Published).await;
    assert_eq!(
        fixture.blobs.locate_format(&fixture.format_id).await.unwrap(),
        [Visibility::Published]
    );
    let files =
        fixture.blobs.list_files(&fixture.format_id, Visibility::Published, 10).await.unwrap();
    let names: Vec<&str> = files.iter().map(|(path, _)| path.as_str()).collect();
    assert_eq!(names, ["a.txt", "c.txt"]);
    assert_eq!(fixture.read_file("a.txt", None).await.unwrap(), b"new");
    assert_eq!(fixture.count_staged(), 0);
}

#[tokio::test]
async fn links_are_not_followed_and_only_regular_files_are_opened() {
    let fixture = DirectoryBlobsFixture::new();
    fixture.put_files(&[("a.txt", "inside")], Visibility::Published).await;
    let outside = fixture.dir.path().join("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("secret"), "secret").unwrap();
    symlink(outside.join("secret"), fixture.format_dir().join("file")).unwrap();
    symlink(&outside, fixture.format_dir().join("dir")).unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        fixture.format_dir().join("pipe"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RWXU,
        0,
    )
    .unwrap();
    for path in ["file", "dir", "dir/secret", "pipe", "a.txt/more"] {
        assert_eq!(fixture.read_file(path, None).await, None, "{path}");
    }
    let files =
        fixture.blobs.list_files(&fixture.format_id, Visibility::Published, 10).await.unwrap();
    assert_eq!(files.len(), 1, "{files:?}");
    let path_beyond_link = FilePath::parse("dir/new").unwrap();
    let written = fixture
        .blobs
        .write_file(&fixture.format_id, Visibility::Published, &path_beyond_link, Bytes::from("x"))
        .await;
    assert!(written.is_err());
    assert!(fixture.blobs.remove_format(&fixture.format_id, &Visibility::ALL).await.unwrap());
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 1);
    assert!(!fixture.format_dir().exists());
}

#[tokio::test]
async fn a_link_in_place_of_a_format_is_ignored() {
    let fixture = DirectoryBlobsFixture::new();
    let outside = fixture.dir.path().join("outside");
    fs::create_dir_all(outside.join(RECORD_ID)).unwrap();
    fs::create_dir(fixture.dir.path().join("published")).unwrap();
    symlink(&outside, fixture.dir.path().join("published/video")).unwrap();
    assert_eq!(fixture.blobs.locate_format(&fixture.format_id).await.unwrap(), []);
    assert_eq!(fixture.blobs.list_formats(Visibility::Published, None, 9).await.unwrap(), []);
    // Files behind the link are not touched, and nobody is told that they were.
    assert!(fixture.blobs.remove_format(&fixture.format_id, &Visibility::ALL).await.is_err());
    assert!(fixture.blobs.move_format(&fixture.format_id, Visibility::Trash).await.is_err());
    let links = fixture.blobs.list_refused_links().await.unwrap();
    assert!(
        links.len() == 1 && links[0].contains("published/video is a symbolic link"),
        "{links:?}"
    );
    let from = fixture.make_files(&[("a.txt", "a")]);
    assert!(
        fixture.blobs.put_format(&from, &fixture.format_id, Visibility::Published).await.is_err()
    );
    assert_eq!(fs::read_dir(outside.join(RECORD_ID)).unwrap().count(), 0);
}

/// Directories with links to formats, recordings and files on another disk, which is allowed.
struct LinkedFixture {
    fixture: DirectoryBlobsFixture,
    disk: PathBuf,
}

impl LinkedFixture {
    fn new() -> Self {
        let mut fixture = DirectoryBlobsFixture::new();
        let path = fixture.dir.path();
        let disk = path.join("disk");
        fs::create_dir_all(disk.join("videos")).unwrap();
        fs::create_dir_all(path.join("published")).unwrap();
        fixture.blobs = DirectoryBlobs::with_link_roots(
            path.join("published"),
            path.join("unpublished"),
            path.join("trash"),
            vec![disk.clone(), path.join("missing")],
        );
        Self { fixture, disk }
    }

    fn link(&self, target: &str, link: &str) {
        symlink(self.disk.join(target), self.fixture.dir.path().join(link)).unwrap();
    }
}

#[tokio::test]
async fn a_format_on_another_disk_is_served_moved_and_removed() {
    let LinkedFixture { fixture, disk } = {
        let linked = LinkedFixture::new();
        linked.link("videos", "published/video");
        linked
    };
    let (blobs, id) = (&fixture.blobs, &fixture.format_id);
    fixture.put_files(&[("a.txt", "a")], Visibility::Published).await;
    assert!(disk.join("videos").join(RECORD_ID).join("a.txt").is_file());
    fixture.put_files(&[("a.txt", "b")], Visibility::Published).await;
    assert_eq!(fixture.read_file("a.txt", None).await.unwrap(), b"b");
    let listed = blobs.list_formats(Visibility::Published, None, 9).await.unwrap();
    assert_eq!(listed, std::slice::from_ref(id));
    assert_eq!(blobs.list_refused_links().await.unwrap(), [""; 0]);
    for visibility in [Visibility::Unpublished, Visibility::Published] {
        assert_eq!(blobs.move_format(id, visibility).await.unwrap(), MoveOutcome::Moved);
        assert_eq!(blobs.locate_format(id).await.unwrap(), [visibility]);
    }
    assert!(blobs.remove_format(id, &Visibility::ALL).await.unwrap());
    let left = fs::read_dir(disk.join("videos")).unwrap().map(|entry| entry.unwrap().file_name());
    assert!(left.into_iter().all(|name| name == staging::STAGING_ROOT));
}

#[tokio::test]
async fn a_recording_on_another_disk_keeps_its_place() {
    let linked = LinkedFixture::new();
    let (fixture, on_disk) = (&linked.fixture, linked.disk.join("videos/big"));
    fs::create_dir_all(fixture.dir.path().join("published/video")).unwrap();
    fs::create_dir(&on_disk).unwrap();
    fs::write(on_disk.join("a.txt"), "old").unwrap();
    linked.link("videos/big", &format!("published/video/{RECORD_ID}"));
    linked.link("file.txt", "disk/videos/big/linked.txt");
    fs::write(linked.disk.join("file.txt"), "far").unwrap();
    assert_eq!(fixture.read_file("linked.txt", None).await.unwrap(), b"far");
    let (blobs, id) = (&fixture.blobs, &fixture.format_id);
    let path = FilePath::parse("b.txt").unwrap();
    blobs.write_file(id, Visibility::Published, &path, Bytes::from("b")).await.unwrap();
    assert_eq!(fixture.read_file("b.txt", None).await.unwrap(), b"b");
    for visibility in [Visibility::Unpublished, Visibility::Published] {
        assert_eq!(blobs.move_format(id, visibility).await.unwrap(), MoveOutcome::Moved);
        assert_eq!(blobs.locate_format(id).await.unwrap(), [visibility]);
        assert!(on_disk.join("a.txt").is_file(), "only the link moves");
    }
    fixture.put_files(&[("a.txt", "new")], Visibility::Published).await;
    assert_eq!(fs::read(on_disk.join("a.txt")).unwrap(), b"new");
    assert!(blobs.remove_format(id, &Visibility::ALL).await.unwrap());
    assert!(!on_disk.exists() && !fixture.format_dir().is_symlink());
}

#[tokio::test]
async fn parts_of_a_file_are_read_and_a_shorter_file_is_an_error() {
    let fixture = DirectoryBlobsFixture::new();
    fixture.put_files(&[("a.txt", "0123456789")], Visibility::Published).await;
    let part = fixture.read_file("a.txt", Some(ByteSpan { start: 3, end: 6 })).await;
    assert_eq!(part.unwrap(), b"345");
    let path = FilePath::parse("a.txt").unwrap();
    let (_, bytes) = fixture
        .blobs
        .open_file(&fixture.format_id, Visibility::Published, &path, None)
        .await
        .unwrap()
        .unwrap();
    File::options()
        .write(true)
        .open(fixture.format_dir().join("a.txt"))
        .unwrap()
        .set_len(4)
        .unwrap();
    assert!(bytes.try_collect::<Vec<Bytes>>().await.is_err());
}

#[tokio::test]
async fn a_move_between_file_systems_keeps_all_files() {
    let dir = TempDir::new().unwrap();
    // Where /dev/shm is not another file system than the disk, there is nothing to test.
    let Ok(other_dir) = TempDir::new_in("/dev/shm") else { return };
    let device = |path: &Path| fs::metadata(path).unwrap().dev();
    if device(other_dir.path()) == device(dir.path()) {
        return;
    }
    let fixture =
        DirectoryBlobsFixture::with_unpublished(dir, |_| other_dir.path().join("unpublished"));
    fixture.put_files(&[("a.txt", "a"), ("deep/er/b.txt", "b")], Visibility::Unpublished).await;
    assert_eq!(
        fixture.blobs.move_format(&fixture.format_id, Visibility::Published).await.unwrap(),
        MoveOutcome::Moved
    );
    assert_eq!(
        fixture.blobs.locate_format(&fixture.format_id).await.unwrap(),
        [Visibility::Published]
    );
    assert_eq!(fixture.read_file("deep/er/b.txt", None).await.unwrap(), b"b");
    assert_eq!(
        fixture.blobs.move_format(&fixture.format_id, Visibility::Published).await.unwrap(),
        MoveOutcome::AlreadyThere
    );
    assert_eq!(
        fixture.blobs.move_format(&fixture.format_id, Visibility::Unpublished).await.unwrap(),
        MoveOutcome::Moved
    );
    assert!(!fixture.format_dir().exists());
}

#[tokio::test]
async fn abandoned_staging_directories_are_removed_after_a_day() {
    let fixture = DirectoryBlobsFixture::new();
    let staging_root = fixture.dir.path().join("published").join(staging::STAGING_ROOT);
    fs::create_dir_all(staging_root.join("1000-left/staged")).unwrap();
    fs::create_dir_all(staging_root.join("9999999999999-in-use/staged")).unwrap();
    fixture.put_files(&[("a.txt", "a")], Visibility::Published).await;
    let remaining: Vec<_> =
        fs::read_dir(&staging_root).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(remaining, ["9999999999999-in-use"]);
    assert_eq!(fixture.blobs.list_formats(Visibility::Published, None, 9).await.unwrap().len(), 1);
}

#[tokio::test]
async fn the_check_fails_if_directories_cannot_be_written() {
    let fixture = DirectoryBlobsFixture::new();
    fixture.blobs.check_blobs().await.unwrap();
    assert_eq!(fixture.count_staged(), 0);
    let file = fixture.dir.path().join("file");
    fs::write(&file, "").unwrap();
    let blobs = DirectoryBlobs::new(file.clone(), file.clone(), file);
    assert!(blobs.check_blobs().await.is_err());
}

/// A file in the place of the target directory makes the move fail, as a full disk would.
#[tokio::test]
async fn a_format_that_cannot_be_moved_stays_where_it_is() {
    let fixture = DirectoryBlobsFixture::new();
    fixture.put_files(&[("a.txt", "a")], Visibility::Published).await;
    fs::create_dir(fixture.dir.path().join("unpublished")).unwrap();
    fs::write(fixture.dir.path().join("unpublished/video"), "in the way").unwrap();
    assert!(fixture.blobs.move_format(&fixture.format_id, Visibility::Unpublished).await.is_err());
    assert_eq!(fixture.read_file("a.txt", None).await.as_deref(), Some(&b"a"[..]));
}
