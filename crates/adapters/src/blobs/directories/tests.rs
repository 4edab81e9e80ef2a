//! What only directories have: links that lead out, and two file systems. The rest is in the contract.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, symlink};

use futures_util::TryStreamExt as _;
use tempfile::TempDir;

use super::*;

const ID: &str = "5d2f0c9a4be17c33a1f0b6de0d92cf5a7b1e8c44-1760000000111";

struct Stage {
    dir: TempDir,
    blobs: DirectoryBlobs,
    book: Book,
}

impl Stage {
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
        let book = Book { format, record_id: RecordId::parse(ID).unwrap() };
        Self { dir, blobs, book }
    }

    /// Files in a directory of their own, to be put.
    fn made(&self, files: &[(&str, &str)]) -> PathBuf {
        let from = self.dir.path().join("made");
        for (path, content) in files {
            let path = from.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        from
    }

    async fn put(&self, files: &[(&str, &str)], shelf: Shelf) {
        self.blobs.put(&self.made(files), &self.book, shelf).await.unwrap();
    }

    fn place(&self) -> PathBuf {
        self.dir.path().join("published/video").join(ID)
    }

    async fn read(&self, path: &str, span: Option<Span>) -> Option<Vec<u8>> {
        let path = FilePath::parse(path).unwrap();
        let found = self.blobs.open(&self.book, Shelf::Published, &path, span).await.unwrap();
        let pieces: Vec<Bytes> = found?.1.try_collect().await.unwrap();
        Some(pieces.concat())
    }

    /// What lies in the workshops.
    fn left_over(&self) -> usize {
        let shops = ["published/.scalelite", "unpublished/.scalelite"];
        let count =
            |shop: &&str| fs::read_dir(self.dir.path().join(shop)).map_or(0, Iterator::count);
        shops.iter().map(count).sum()
    }
}

#[tokio::test]
async fn what_is_put_again_replaces_all_of_it_and_leaves_the_other_shelf() {
    let stage = Stage::new();
    stage.put(&[("a.txt", "old"), ("deep/b.txt", "b")], Shelf::Unpublished).await;
    stage.put(&[("a.txt", "older")], Shelf::Published).await;
    stage.put(&[("a.txt", "new"), ("c.txt", "c")], Shelf::Published).await;
    assert_eq!(stage.blobs.shelves(&stage.book).await.unwrap(), [Shelf::Published]);
    let files = stage.blobs.files(&stage.book, Shelf::Published, 10).await.unwrap();
    let names: Vec<&str> = files.iter().map(|(path, _)| path.as_str()).collect();
    assert_eq!(names, ["a.txt", "c.txt"]);
    assert_eq!(stage.read("a.txt", None).await.unwrap(), b"new");
    assert_eq!(stage.left_over(), 0);
}

#[tokio::test]
async fn no_link_is_followed_and_nothing_strange_is_opened() {
    let stage = Stage::new();
    stage.put(&[("a.txt", "inside")], Shelf::Published).await;
    let outside = stage.dir.path().join("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("secret"), "secret").unwrap();
    symlink(outside.join("secret"), stage.place().join("file")).unwrap();
    symlink(&outside, stage.place().join("dir")).unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        stage.place().join("pipe"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RWXU,
        0,
    )
    .unwrap();
    for path in ["file", "dir", "dir/secret", "pipe", "a.txt/more"] {
        assert_eq!(stage.read(path, None).await, None, "{path}");
    }
    let files = stage.blobs.files(&stage.book, Shelf::Published, 10).await.unwrap();
    assert_eq!(files.len(), 1, "{files:?}");
    let within = FilePath::parse("dir/new").unwrap();
    let written = stage.blobs.write(&stage.book, Shelf::Published, &within, Bytes::from("x")).await;
    assert!(written.is_err());
    assert!(stage.blobs.remove(&stage.book, &Shelf::ALL).await.unwrap());
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 1);
    assert!(!stage.place().exists());
}

#[tokio::test]
async fn a_format_that_is_a_link_is_none() {
    let stage = Stage::new();
    let outside = stage.dir.path().join("outside");
    fs::create_dir_all(outside.join(ID)).unwrap();
    fs::create_dir(stage.dir.path().join("published")).unwrap();
    symlink(&outside, stage.dir.path().join("published/video")).unwrap();
    assert_eq!(stage.blobs.shelves(&stage.book).await.unwrap(), []);
    assert_eq!(stage.blobs.books(Shelf::Published, None, 9).await.unwrap(), []);
    assert!(!stage.blobs.remove(&stage.book, &Shelf::ALL).await.unwrap());
    let from = stage.made(&[("a.txt", "a")]);
    assert!(stage.blobs.put(&from, &stage.book, Shelf::Published).await.is_err());
    assert_eq!(fs::read_dir(outside.join(ID)).unwrap().count(), 0);
}

#[tokio::test]
async fn parts_of_a_file_are_read_and_a_shorter_file_is_an_error() {
    let stage = Stage::new();
    stage.put(&[("a.txt", "0123456789")], Shelf::Published).await;
    let part = stage.read("a.txt", Some(Span { from: 3, to: 6 })).await;
    assert_eq!(part.unwrap(), b"345");
    let path = FilePath::parse("a.txt").unwrap();
    let (_, bytes) =
        stage.blobs.open(&stage.book, Shelf::Published, &path, None).await.unwrap().unwrap();
    fs::File::options().write(true).open(stage.place().join("a.txt")).unwrap().set_len(4).unwrap();
    assert!(bytes.try_collect::<Vec<Bytes>>().await.is_err());
}

#[tokio::test]
async fn a_book_crosses_file_systems_whole() {
    let dir = TempDir::new().unwrap();
    // Memory is another file system than the disk, or there is nothing to test.
    let Ok(elsewhere) = TempDir::new_in("/dev/shm") else { return };
    let device = |path: &Path| fs::metadata(path).unwrap().dev();
    if device(elsewhere.path()) == device(dir.path()) {
        return;
    }
    let stage = Stage::with_unpublished(dir, |_| elsewhere.path().join("unpublished"));
    stage.put(&[("a.txt", "a"), ("deep/er/b.txt", "b")], Shelf::Unpublished).await;
    assert_eq!(stage.blobs.move_to(&stage.book, Shelf::Published).await.unwrap(), Moved::Moved);
    assert_eq!(stage.blobs.shelves(&stage.book).await.unwrap(), [Shelf::Published]);
    assert_eq!(stage.read("deep/er/b.txt", None).await.unwrap(), b"b");
    assert_eq!(stage.blobs.move_to(&stage.book, Shelf::Published).await.unwrap(), Moved::Already);
    assert_eq!(stage.blobs.move_to(&stage.book, Shelf::Unpublished).await.unwrap(), Moved::Moved);
    assert!(!stage.place().exists());
}

#[tokio::test]
async fn what_a_crash_left_is_swept_out_a_day_later() {
    let stage = Stage::new();
    let workshop = stage.dir.path().join("published/.scalelite");
    fs::create_dir_all(workshop.join("1000-left/piece")).unwrap();
    fs::create_dir_all(workshop.join("9999999999999-in-use/piece")).unwrap();
    stage.put(&[("a.txt", "a")], Shelf::Published).await;
    let left: Vec<_> =
        fs::read_dir(&workshop).unwrap().map(|one| one.unwrap().file_name()).collect();
    assert_eq!(left, ["9999999999999-in-use"]);
    assert_eq!(stage.blobs.books(Shelf::Published, None, 9).await.unwrap().len(), 1);
}

#[tokio::test]
async fn shelves_that_cannot_be_written_say_so() {
    let stage = Stage::new();
    stage.blobs.check().await.unwrap();
    assert_eq!(stage.left_over(), 0);
    let file = stage.dir.path().join("file");
    fs::write(&file, "").unwrap();
    let blobs = DirectoryBlobs::new(file.clone(), file.clone(), file);
    assert!(blobs.check().await.is_err());
}

/// As on a disk that is full where the format would be the first of its kind.
#[tokio::test]
async fn what_cannot_be_moved_stays_where_it_is() {
    let stage = Stage::new();
    stage.put(&[("a.txt", "a")], Shelf::Published).await;
    fs::create_dir(stage.dir.path().join("unpublished")).unwrap();
    fs::write(stage.dir.path().join("unpublished/video"), "in the way").unwrap();
    assert!(stage.blobs.move_to(&stage.book, Shelf::Unpublished).await.is_err());
    assert_eq!(stage.read("a.txt", None).await.as_deref(), Some(&b"a"[..]));
}
