//! Files of recordings: whole formats are put, moved and removed, and every call may be repeated.

use std::path::Path;
use std::sync::Arc;

use app::ports::{Blobs, Book, Moved, Shelf, Span};
use bytes::Bytes;
use domain::recording::{FilePath, FormatName, RecordId};
use futures_util::TryStreamExt as _;

use super::{BlobsFactory, Case};

pub(super) fn cases(factory: BlobsFactory<'_>) -> Vec<Case<'_>> {
    super::cases![factory;
        nothing_is_there_at_first,
        a_format_is_put_and_read,
        a_format_that_comes_again_replaces_the_old_one,
        a_format_moves_and_moving_again_changes_nothing,
        a_format_is_removed_from_all_shelves,
        books_are_listed_in_order,
        parts_of_files_are_read,
        a_file_is_written_where_its_format_is,
    ]
}

type Shelves = Arc<dyn Blobs>;

fn book(format: &str, id: &str) -> Book {
    Book {
        format: FormatName::parse(format).expect("a format"),
        record_id: RecordId::parse(id).expect("an id"),
    }
}

fn path(text: &str) -> FilePath {
    FilePath::parse(text).expect("a path")
}

/// A directory with these files.
fn made(files: &[(&str, &str)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a directory");
    for (name, content) in files {
        let file = dir.path().join(name);
        std::fs::create_dir_all(file.parent().unwrap_or(Path::new("/"))).expect("a directory");
        std::fs::write(file, content).expect("a file");
    }
    dir
}

async fn put(blobs: &Shelves, book: &Book, shelf: Shelf, files: &[(&str, &str)]) {
    let dir = made(files);
    // Whoever may take the directory itself takes this one.
    let inner = dir.path().join("taken");
    std::fs::create_dir(&inner).expect("a directory");
    for (name, _) in files {
        let (from, to) = (dir.path().join(name), inner.join(name));
        std::fs::create_dir_all(to.parent().unwrap_or(&inner)).expect("a directory");
        std::fs::rename(from, to).expect("a file");
    }
    blobs.put(&inner, book, shelf).await.expect("put");
}

async fn read(blobs: &Shelves, book: &Book, shelf: Shelf, name: &str) -> Option<String> {
    let (info, bytes) = blobs.open(book, shelf, &path(name), None).await.expect("open")?;
    let all: Vec<Bytes> = bytes.try_collect().await.expect("bytes");
    let all = all.concat();
    assert_eq!(info.size, all.len() as u64);
    Some(String::from_utf8(all).expect("text"))
}

async fn shelves(blobs: &Shelves, book: &Book) -> Vec<Shelf> {
    blobs.shelves(book).await.expect("shelves")
}

async fn nothing_is_there_at_first(factory: BlobsFactory<'_>) {
    let blobs = factory().await;
    blobs.check().await.expect("check");
    let one = book("video", "r");
    assert_eq!(shelves(&blobs, &one).await, []);
    assert_eq!(blobs.move_to(&one, Shelf::Published).await.expect("move_to"), Moved::Missing);
    assert!(!blobs.remove(&one, &Shelf::ALL).await.expect("remove"));
    assert_eq!(blobs.books(Shelf::Published, None, 9).await.expect("books"), []);
    assert_eq!(blobs.info(&one, Shelf::Published, &path("a")).await.expect("info"), None);
    assert_eq!(read(&blobs, &one, Shelf::Unpublished, "a").await, None);
}

async fn a_format_is_put_and_read(factory: BlobsFactory<'_>) {
    let blobs = factory().await;
    let one = book("presentation", "r-1");
    let files = [("metadata.xml", "<x/>"), ("a/b/Übung 1.png", "png"), ("empty", "")];
    put(&blobs, &one, Shelf::Published, &files).await;
    assert_eq!(shelves(&blobs, &one).await, [Shelf::Published]);
    for (name, content) in files {
        assert_eq!(read(&blobs, &one, Shelf::Published, name).await.as_deref(), Some(content));
        assert_eq!(read(&blobs, &one, Shelf::Unpublished, name).await, None);
    }
    for name in ["a", "a/b", "metadata.xml/x", "Metadata.xml"] {
        assert_eq!(blobs.info(&one, Shelf::Published, &path(name)).await.expect("info"), None);
    }
    let listed = blobs.files(&one, Shelf::Published, 9).await.expect("files");
    let wanted = [("a/b/Übung 1.png", 3), ("empty", 0), ("metadata.xml", 4)];
    assert_eq!(listed, wanted.map(|(name, size)| (path(name), size)));
    assert_eq!(blobs.files(&one, Shelf::Published, 1).await.expect("files").len(), 1);
}

async fn a_format_that_comes_again_replaces_the_old_one(factory: BlobsFactory<'_>) {
    let blobs = factory().await;
    let one = book("video", "r");
    put(&blobs, &one, Shelf::Published, &[("a", "1"), ("b", "1")]).await;
    let before = blobs.info(&one, Shelf::Published, &path("a")).await.expect("info");
    put(&blobs, &one, Shelf::Unpublished, &[("a", "22")]).await;
    assert_eq!(shelves(&blobs, &one).await, [Shelf::Unpublished]);
    assert_eq!(read(&blobs, &one, Shelf::Unpublished, "a").await.as_deref(), Some("22"));
    assert_eq!(read(&blobs, &one, Shelf::Unpublished, "b").await, None);
    let after = blobs.info(&one, Shelf::Unpublished, &path("a")).await.expect("info");
    assert_ne!(
        before.map(|info| info.tag),
        after.map(|info| info.tag),
        "another file, another tag"
    );
}

async fn a_format_moves_and_moving_again_changes_nothing(factory: BlobsFactory<'_>) {
    let blobs = factory().await;
    let (one, other) = (book("video", "r"), book("notes", "r"));
    for book in [&one, &other] {
        put(&blobs, book, Shelf::Published, &[("a/b", "1")]).await;
    }
    for (shelf, moved) in [
        (Shelf::Unpublished, Moved::Moved),
        (Shelf::Unpublished, Moved::Already),
        (Shelf::Published, Moved::Moved),
        (Shelf::Published, Moved::Already),
    ] {
        assert_eq!(blobs.move_to(&one, shelf).await.expect("move_to"), moved);
        assert_eq!(shelves(&blobs, &one).await, [shelf]);
        assert_eq!(read(&blobs, &one, shelf, "a/b").await.as_deref(), Some("1"));
        assert_eq!(shelves(&blobs, &other).await, [Shelf::Published]);
    }
}

async fn a_format_is_removed_from_all_shelves(factory: BlobsFactory<'_>) {
    let blobs = factory().await;
    let (one, other) = (book("video", "r"), book("video", "r2"));
    put(&blobs, &one, Shelf::Unpublished, &[("a", "1")]).await;
    put(&blobs, &other, Shelf::Published, &[("a", "1")]).await;
    assert!(blobs.remove(&one, &Shelf::ALL).await.expect("remove"));
    assert!(!blobs.remove(&one, &Shelf::ALL).await.expect("remove"));
    assert_eq!(shelves(&blobs, &one).await, []);
    assert_eq!(shelves(&blobs, &other).await, [Shelf::Published]);
}

async fn books_are_listed_in_order(factory: BlobsFactory<'_>) {
    let blobs = factory().await;
    let all = [book("notes", "b"), book("video", "a"), book("video", "a.b"), book("video", "b")];
    for one in all.iter().rev() {
        put(&blobs, one, Shelf::Published, &[("a", "1")]).await;
    }
    put(&blobs, &book("video", "c"), Shelf::Unpublished, &[("a", "1")]).await;
    for limit in [1, 2, 9] {
        let (mut found, mut after) = (Vec::new(), None::<Book>);
        loop {
            let page = blobs.books(Shelf::Published, after.as_ref(), limit).await.expect("books");
            assert!(page.len() <= limit);
            let Some(last) = page.last() else { break };
            after = Some(last.clone());
            found.extend(page);
        }
        assert_eq!(found, all, "pages of {limit}");
    }
}

async fn parts_of_files_are_read(factory: BlobsFactory<'_>) {
    let blobs = factory().await;
    let one = book("video", "r");
    put(&blobs, &one, Shelf::Published, &[("a", "0123456789")]).await;
    for (from, to) in [(0, 10), (0, 1), (9, 10), (3, 7), (4, 4)] {
        let span = Some(Span { from, to });
        let opened = blobs.open(&one, Shelf::Published, &path("a"), span).await.expect("open");
        let (info, bytes) = opened.expect("a file");
        let part: Vec<Bytes> = bytes.try_collect().await.expect("bytes");
        let (from, to) = (usize::try_from(from).unwrap(), usize::try_from(to).unwrap());
        assert_eq!((info.size, part.concat()), (10, b"0123456789"[from..to].to_vec()));
    }
}

async fn a_file_is_written_where_its_format_is(factory: BlobsFactory<'_>) {
    let blobs = factory().await;
    let one = book("video", "r");
    put(&blobs, &one, Shelf::Published, &[("a", "1")]).await;
    for content in ["one", "another"] {
        let bytes = Bytes::from_static(content.as_bytes());
        blobs.write(&one, Shelf::Published, &path("caption_en.vtt"), bytes).await.expect("write");
        let read = read(&blobs, &one, Shelf::Published, "caption_en.vtt").await;
        assert_eq!(read.as_deref(), Some(content));
    }
    assert_eq!(read(&blobs, &one, Shelf::Published, "a").await.as_deref(), Some("1"));
    assert_eq!(blobs.files(&one, Shelf::Published, 9).await.expect("files").len(), 2);
}
