//! Files of recordings in numbers and with names of all kinds.

use std::path::PathBuf;
use std::sync::Arc;

use app::ports::{Blobs, Book, Moved, Shelf, Span};
use bytes::Bytes;
use domain::recording::{FilePath, FormatName, RecordId};
use futures_util::TryStreamExt as _;
use tempfile::TempDir;

use super::{BlobsFactory, Case};

const ID: &str = "5d2f0c9a4be17c33a1f0b6de0d92cf5a7b1e8c44-1760000000111";

pub(super) fn cases(factory: BlobsFactory<'_>) -> Vec<Case<'_>> {
    super::cases![factory;
        parts_of_files_are_read,
        names_of_all_kinds_are_kept,
        books_are_listed_in_order_and_by_pages,
        books_do_not_mix,
        tags_change_with_files,
        more_than_a_thousand_files,
        files_can_be_written,
        movers_in_both_directions_lose_nothing,
        what_is_in_the_trash_stays_out_of_the_way,
    ]
}

fn book(format: &str, record_id: &str) -> Book {
    let format = FormatName::parse(format).expect("a format");
    Book { format, record_id: RecordId::parse(record_id).expect("an id") }
}

fn path(text: &str) -> FilePath {
    FilePath::parse(text).expect("a path")
}

/// Files under test whose calls cannot fail.
struct Stage {
    blobs: Arc<dyn Blobs>,
    dir: TempDir,
}

impl Stage {
    async fn new(factory: BlobsFactory<'_>) -> Self {
        Self { blobs: factory().await, dir: tempfile::tempdir().expect("a directory") }
    }

    fn made(&self, files: &[(&str, &str)]) -> PathBuf {
        let made = tempfile::tempdir_in(self.dir.path()).expect("a directory").keep().join("book");
        for (path, content) in files {
            let at = made.join(path);
            std::fs::create_dir_all(at.parent().expect("above")).expect("a directory");
            std::fs::write(at, content).expect("a file");
        }
        made
    }

    async fn put(&self, book: &Book, shelf: Shelf, files: &[(&str, &str)]) {
        self.blobs.put(&self.made(files), book, shelf).await.expect("put");
    }

    async fn read(
        &self,
        book: &Book,
        shelf: Shelf,
        name: &str,
        span: Option<Span>,
    ) -> Option<String> {
        let opened = self.blobs.open(book, shelf, &path(name), span).await.expect("open");
        let (info, bytes) = opened?;
        let pieces: Vec<Bytes> = bytes.try_collect().await.expect("bytes");
        let bytes = pieces.concat();
        if span.is_none() {
            assert_eq!(u64::try_from(bytes.len()).unwrap(), info.size);
        }
        Some(String::from_utf8(bytes).expect("text"))
    }

    async fn files(&self, book: &Book, shelf: Shelf) -> Vec<String> {
        let files = self.blobs.files(book, shelf, 10_000).await.expect("files");
        files.into_iter().map(|(path, _)| path.as_str().to_owned()).collect()
    }

    async fn shelves(&self, book: &Book) -> Vec<Shelf> {
        self.blobs.shelves(book).await.expect("shelves")
    }

    async fn move_to(&self, book: &Book, shelf: Shelf) -> Moved {
        self.blobs.move_to(book, shelf).await.expect("move_to")
    }
}

const TWO: [(&str, &str); 2] = [("metadata.xml", "<recording/>"), ("deep/er/a.txt", "text")];

async fn parts_of_files_are_read(factory: BlobsFactory<'_>) {
    let (stage, video) = (Stage::new(factory).await, book("video", ID));
    let content: String = ('a'..='z').cycle().take(700_000).collect();
    stage
        .put(
            &video,
            Shelf::Published,
            &[("metadata.xml", "0123456789"), ("long", &content), ("empty", "")],
        )
        .await;
    for (from, to, part) in [(0, 10, "0123456789"), (3, 5, "34"), (9, 10, "9")] {
        let read =
            stage.read(&video, Shelf::Published, "metadata.xml", Some(Span { from, to })).await;
        assert_eq!(read.as_deref(), Some(part));
    }
    let span = Span { from: 100_000, to: 600_001 };
    let read = stage.read(&video, Shelf::Published, "long", Some(span)).await.expect("a part");
    assert_eq!(read, content[100_000..600_001]);
    let opened = stage.blobs.open(&video, Shelf::Published, &path("long"), Some(span)).await;
    assert_eq!(opened.expect("open").expect("a file").0.size, 700_000);
    assert_eq!(stage.read(&video, Shelf::Published, "empty", None).await.as_deref(), Some(""));
}

async fn names_of_all_kinds_are_kept(factory: BlobsFactory<'_>) {
    let (stage, notes) = (Stage::new(factory).await, book("notes", ID));
    let mut names = [
        "a b.txt",
        "ü/日本.txt",
        "100%.txt",
        "a+b&c=d.txt",
        "q?x#y.txt",
        "%2e%2e",
        "a'\"<>.txt",
        "..x",
    ];
    names.sort_unstable();
    let files: Vec<_> = names.iter().map(|name| (*name, *name)).collect();
    stage.put(&notes, Shelf::Unpublished, &files).await;
    assert_eq!(stage.move_to(&notes, Shelf::Published).await, Moved::Moved);
    assert_eq!(stage.files(&notes, Shelf::Published).await, names);
    for name in names {
        let read = stage.read(&notes, Shelf::Published, name, None).await;
        assert_eq!(read.as_deref(), Some(name));
    }
    assert!(stage.blobs.remove(&notes, &Shelf::ALL).await.expect("remove"));
    assert_eq!(stage.shelves(&notes).await, []);
}

async fn books_are_listed_in_order_and_by_pages(factory: BlobsFactory<'_>) {
    let stage = Stage::new(factory).await;
    let mut all = Vec::new();
    for (format, ids) in [("notes", &["r2"][..]), ("video", &["r1", "r10", "r2", "r3"])] {
        all.extend(ids.iter().map(|id| book(format, id)));
    }
    for one in all.iter().rev() {
        stage.put(one, Shelf::Published, &TWO).await;
    }
    stage.put(&book("video", "r0"), Shelf::Unpublished, &TWO).await;
    let listed = stage.blobs.books(Shelf::Published, None, 100).await.expect("books");
    assert_eq!(listed, all);
    let (mut seen, mut after): (Vec<Book>, Option<Book>) = (Vec::new(), None);
    loop {
        let page = stage.blobs.books(Shelf::Published, after.as_ref(), 2).await.expect("books");
        assert!(page.len() <= 2);
        let Some(last) = page.last() else { break };
        after = Some(last.clone());
        seen.extend(page);
    }
    assert_eq!(seen, all);
}

async fn books_do_not_mix(factory: BlobsFactory<'_>) {
    let stage = Stage::new(factory).await;
    // Ids and formats of which one begins with the other.
    let all = [book("video", "r1"), book("video", "r10"), book("video2", "r1")];
    for one in &all {
        stage.put(one, Shelf::Published, &TWO).await;
    }
    stage.put(&all[0], Shelf::Published, &[("only.txt", "x")]).await;
    assert_eq!(stage.files(&all[0], Shelf::Published).await, ["only.txt"]);
    assert_eq!(stage.move_to(&all[0], Shelf::Unpublished).await, Moved::Moved);
    assert!(stage.blobs.remove(&all[0], &Shelf::ALL).await.expect("remove"));
    for one in &all[1..] {
        assert_eq!(stage.files(one, Shelf::Published).await.len(), 2, "{one:?}");
    }
}

async fn tags_change_with_files(factory: BlobsFactory<'_>) {
    let (stage, video) = (Stage::new(factory).await, book("video", ID));
    stage.put(&video, Shelf::Published, &TWO).await;
    let info = async || {
        let info = stage.blobs.info(&video, Shelf::Published, &path("metadata.xml")).await;
        info.expect("info").expect("a file")
    };
    let first = info().await;
    assert_eq!(info().await, first);
    let opened = stage.blobs.open(&video, Shelf::Published, &path("metadata.xml"), None).await;
    assert_eq!(opened.expect("open").expect("a file").0, first);
    stage.put(&video, Shelf::Published, &[("metadata.xml", "<recordinG/>")]).await;
    assert_ne!(info().await.tag, first.tag);
}

async fn more_than_a_thousand_files(factory: BlobsFactory<'_>) {
    let (stage, slides) = (Stage::new(factory).await, book("presentation", ID));
    let names: Vec<String> = (0..1_100).map(|number| format!("slides/{number:04}.txt")).collect();
    let files: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "x")).collect();
    stage.put(&slides, Shelf::Unpublished, &files).await;
    assert_eq!(stage.files(&slides, Shelf::Unpublished).await, names);
    let few = stage.blobs.files(&slides, Shelf::Unpublished, 3).await.expect("files");
    assert_eq!(few.len(), 3);
    assert_eq!(stage.move_to(&slides, Shelf::Published).await, Moved::Moved);
    assert_eq!(stage.files(&slides, Shelf::Published).await.len(), 1_100);
    assert!(stage.blobs.remove(&slides, &Shelf::ALL).await.expect("remove"));
    assert_eq!(stage.shelves(&slides).await, []);
}

async fn files_can_be_written(factory: BlobsFactory<'_>) {
    let stage = Stage::new(factory).await;
    stage.blobs.check().await.expect("check");
    assert_eq!(stage.blobs.books(Shelf::Unpublished, None, 9).await.expect("books"), []);
}

/// Two calls, or two replicas, of which one publishes while the other hides, and an archive that comes again.
async fn movers_in_both_directions_lose_nothing(factory: BlobsFactory<'_>) {
    let (stage, video) = (Stage::new(factory).await, book("video", ID));
    stage.put(&video, Shelf::Published, &TWO).await;
    for round in 0..30 {
        let moves = (0..6).map(|n| {
            let (blobs, video) = (stage.blobs.clone(), video.clone());
            let made = (n == round).then(|| stage.made(&TWO));
            tokio::spawn(async move {
                let shelf = Shelf::ALL[n % 3];
                match made {
                    Some(made) => blobs.put(&made, &video, Shelf::LIVE[n % 2]).await.expect("put"),
                    None => drop(blobs.move_to(&video, shelf).await.expect("move_to")),
                }
            })
        });
        for moved in moves.collect::<Vec<_>>() {
            moved.await.expect("a mover");
        }
        stage.move_to(&video, Shelf::Unpublished).await;
        assert_eq!(stage.shelves(&video).await, [Shelf::Unpublished], "round {round}");
        assert_eq!(stage.files(&video, Shelf::Unpublished).await.len(), 2);
    }
}

async fn what_is_in_the_trash_stays_out_of_the_way(factory: BlobsFactory<'_>) {
    let (stage, video) = (Stage::new(factory).await, book("video", ID));
    stage.put(&video, Shelf::Published, &TWO).await;
    assert_eq!(stage.move_to(&video, Shelf::Deleted).await, Moved::Moved);
    assert_eq!(stage.move_to(&video, Shelf::Deleted).await, Moved::Already);
    assert_eq!(stage.shelves(&video).await, [Shelf::Deleted]);
    let listed = stage.blobs.books(Shelf::Deleted, None, 9).await.expect("books");
    assert_eq!(listed, std::slice::from_ref(&video));
    // An archive that comes too late, and goes again.
    stage.put(&video, Shelf::Published, &[("metadata.xml", "late")]).await;
    assert_eq!(stage.shelves(&video).await, [Shelf::Published, Shelf::Deleted]);
    assert!(stage.blobs.remove(&video, &Shelf::LIVE).await.expect("remove"));
    assert!(!stage.blobs.remove(&video, &Shelf::LIVE).await.expect("remove"));
    assert_eq!(stage.files(&video, Shelf::Deleted).await.len(), 2);
    assert_eq!(stage.move_to(&video, Shelf::Unpublished).await, Moved::Moved);
    assert_eq!(stage.files(&video, Shelf::Unpublished).await.len(), 2);
    assert_eq!(stage.shelves(&video).await, [Shelf::Unpublished]);
}
