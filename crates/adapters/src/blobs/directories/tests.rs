//! What only directories have: links that lead out, and two file systems. The rest is in the contract.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, symlink};

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
        let book = RecordingFormatId { format, record_id: RecordId::parse(RECORD_ID).unwrap() };
        Self { dir, blobs, format_id: book }
    }

    /// Files in a directory of their own, to be put.
    fn make_files(&self, files: &[(&str, &str)]) -> PathBuf {
        let from = self.dir.path().join("made");
        for (path, content) in files {
            let path = from.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        from
    }

    async fn put_files(&self, files: &[(&str, &str)], shelf: Visibility) {
        self.blobs.put_format(&self.make_files(files), &self.format_id, shelf).await.unwrap();
    }

    fn format_dir(&self) -> PathBuf {
        self.dir.path().join("published/video").join(RECORD_ID)
    }

    async fn read_file(&self, path: &str, span: Option<ByteSpan>) -> Option<Vec<u8>> {
        let path = FilePath::parse(path).unwrap();
        let found = self
            .blobs
            .open_file(&self.format_id, Visibility::Published, &path, span)
            .await
            .unwrap();
        let pieces: Vec<Bytes> = found?.1.try_collect().await.unwrap();
        Some(pieces.concat())
    }

    /// What lies in the workshops.
    fn count_staged(&self) -> usize {
        let shops = ["published/.scalelite", "unpublished/.scalelite"];
        let count =
            |shop: &&str| fs::read_dir(self.dir.path().join(shop)).map_or(0, Iterator::count);
        shops.iter().map(count).sum()
    }
}

#[tokio::test]
async fn a_second_put_replaces_all_files_and_removes_other_visibilities() {
    let stage = DirectoryBlobsFixture::new();
    stage.put_files(&[("a.txt", "old"), ("deep/b.txt", "b")], Visibility::Unpublished).await;
    stage.put_files(&[("a.txt", "older")], Visibility::Published).await;
    stage.put_files(&[("a.txt", "new"), ("c.txt", "c")], Visibility::Published).await;
    assert_eq!(stage.blobs.locate_format(&stage.format_id).await.unwrap(), [Visibility::Published]);
    let files = stage.blobs.list_files(&stage.format_id, Visibility::Published, 10).await.unwrap();
    let names: Vec<&str> = files.iter().map(|(path, _)| path.as_str()).collect();
    assert_eq!(names, ["a.txt", "c.txt"]);
    assert_eq!(stage.read_file("a.txt", None).await.unwrap(), b"new");
    assert_eq!(stage.count_staged(), 0);
}

#[tokio::test]
async fn no_link_is_followed_and_nothing_strange_is_opened() {
    let stage = DirectoryBlobsFixture::new();
    stage.put_files(&[("a.txt", "inside")], Visibility::Published).await;
    let outside = stage.dir.path().join("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("secret"), "secret").unwrap();
    symlink(outside.join("secret"), stage.format_dir().join("file")).unwrap();
    symlink(&outside, stage.format_dir().join("dir")).unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        stage.format_dir().join("pipe"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RWXU,
        0,
    )
    .unwrap();
    for path in ["file", "dir", "dir/secret", "pipe", "a.txt/more"] {
        assert_eq!(stage.read_file(path, None).await, None, "{path}");
    }
    let files = stage.blobs.list_files(&stage.format_id, Visibility::Published, 10).await.unwrap();
    assert_eq!(files.len(), 1, "{files:?}");
    let within = FilePath::parse("dir/new").unwrap();
    let written = stage
        .blobs
        .write_file(&stage.format_id, Visibility::Published, &within, Bytes::from("x"))
        .await;
    assert!(written.is_err());
    assert!(stage.blobs.remove_format(&stage.format_id, &Visibility::ALL).await.unwrap());
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 1);
    assert!(!stage.format_dir().exists());
}

#[tokio::test]
async fn a_format_that_is_a_link_is_none() {
    let stage = DirectoryBlobsFixture::new();
    let outside = stage.dir.path().join("outside");
    fs::create_dir_all(outside.join(RECORD_ID)).unwrap();
    fs::create_dir(stage.dir.path().join("published")).unwrap();
    symlink(&outside, stage.dir.path().join("published/video")).unwrap();
    assert_eq!(stage.blobs.locate_format(&stage.format_id).await.unwrap(), []);
    assert_eq!(stage.blobs.list_formats(Visibility::Published, None, 9).await.unwrap(), []);
    assert!(!stage.blobs.remove_format(&stage.format_id, &Visibility::ALL).await.unwrap());
    let from = stage.make_files(&[("a.txt", "a")]);
    assert!(stage.blobs.put_format(&from, &stage.format_id, Visibility::Published).await.is_err());
    assert_eq!(fs::read_dir(outside.join(RECORD_ID)).unwrap().count(), 0);
}

#[tokio::test]
async fn parts_of_a_file_are_read_and_a_shorter_file_is_an_error() {
    let stage = DirectoryBlobsFixture::new();
    stage.put_files(&[("a.txt", "0123456789")], Visibility::Published).await;
    let part = stage.read_file("a.txt", Some(ByteSpan { start: 3, end: 6 })).await;
    assert_eq!(part.unwrap(), b"345");
    let path = FilePath::parse("a.txt").unwrap();
    let (_, bytes) = stage
        .blobs
        .open_file(&stage.format_id, Visibility::Published, &path, None)
        .await
        .unwrap()
        .unwrap();
    fs::File::options()
        .write(true)
        .open(stage.format_dir().join("a.txt"))
        .unwrap()
        .set_len(4)
        .unwrap();
    assert!(bytes.try_collect::<Vec<Bytes>>().await.is_err());
}

#[tokio::test]
async fn a_move_between_file_systems_keeps_all_files() {
    let dir = TempDir::new().unwrap();
    // Memory is another file system than the disk, or there is nothing to test.
    let Ok(elsewhere) = TempDir::new_in("/dev/shm") else { return };
    let device = |path: &Path| fs::metadata(path).unwrap().dev();
    if device(elsewhere.path()) == device(dir.path()) {
        return;
    }
    let stage =
        DirectoryBlobsFixture::with_unpublished(dir, |_| elsewhere.path().join("unpublished"));
    stage.put_files(&[("a.txt", "a"), ("deep/er/b.txt", "b")], Visibility::Unpublished).await;
    assert_eq!(
        stage.blobs.move_format(&stage.format_id, Visibility::Published).await.unwrap(),
        MoveOutcome::Moved
    );
    assert_eq!(stage.blobs.locate_format(&stage.format_id).await.unwrap(), [Visibility::Published]);
    assert_eq!(stage.read_file("deep/er/b.txt", None).await.unwrap(), b"b");
    assert_eq!(
        stage.blobs.move_format(&stage.format_id, Visibility::Published).await.unwrap(),
        MoveOutcome::AlreadyThere
    );
    assert_eq!(
        stage.blobs.move_format(&stage.format_id, Visibility::Unpublished).await.unwrap(),
        MoveOutcome::Moved
    );
    assert!(!stage.format_dir().exists());
}

#[tokio::test]
async fn abandoned_staging_directories_are_removed_after_a_day() {
    let stage = DirectoryBlobsFixture::new();
    let workshop = stage.dir.path().join("published/.scalelite");
    fs::create_dir_all(workshop.join("1000-left/piece")).unwrap();
    fs::create_dir_all(workshop.join("9999999999999-in-use/piece")).unwrap();
    stage.put_files(&[("a.txt", "a")], Visibility::Published).await;
    let left: Vec<_> =
        fs::read_dir(&workshop).unwrap().map(|one| one.unwrap().file_name()).collect();
    assert_eq!(left, ["9999999999999-in-use"]);
    assert_eq!(stage.blobs.list_formats(Visibility::Published, None, 9).await.unwrap().len(), 1);
}

#[tokio::test]
async fn the_check_fails_if_directories_cannot_be_written() {
    let stage = DirectoryBlobsFixture::new();
    stage.blobs.check_blobs().await.unwrap();
    assert_eq!(stage.count_staged(), 0);
    let file = stage.dir.path().join("file");
    fs::write(&file, "").unwrap();
    let blobs = DirectoryBlobs::new(file.clone(), file.clone(), file);
    assert!(blobs.check_blobs().await.is_err());
}

/// As on a disk that is full where the format would be the first of its kind.
#[tokio::test]
async fn what_cannot_be_moved_stays_where_it_is() {
    let stage = DirectoryBlobsFixture::new();
    stage.put_files(&[("a.txt", "a")], Visibility::Published).await;
    fs::create_dir(stage.dir.path().join("unpublished")).unwrap();
    fs::write(stage.dir.path().join("unpublished/video"), "in the way").unwrap();
    assert!(stage.blobs.move_format(&stage.format_id, Visibility::Unpublished).await.is_err());
    assert_eq!(stage.read_file("a.txt", None).await.as_deref(), Some(&b"a"[..]));
}
