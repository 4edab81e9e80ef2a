//! Files of recordings in numbers and with names of all kinds.

use std::path::PathBuf;
use std::sync::Arc;

use app::ports::{Blobs, ByteSpan, MoveOutcome, RecordingFormatId, Visibility};
use bytes::Bytes;
use domain::recording::{FilePath, FormatName, RecordId};
use futures_util::TryStreamExt as _;
use tempfile::TempDir;

use super::{BlobsFactory, ContractCase};

const RECORD_ID: &str = "5d2f0c9a4be17c33a1f0b6de0d92cf5a7b1e8c44-1760000000111";

pub(super) fn cases() -> Vec<ContractCase<dyn Blobs>> {
    super::cases![
        parts_of_files_are_read,
        names_of_all_kinds_are_kept,
        formats_are_listed_in_order_and_by_pages,
        formats_do_not_mix,
        tags_change_with_files,
        more_than_a_thousand_files,
        files_can_be_written,
        moves_in_both_directions_lose_nothing,
        the_trash_does_not_disturb_other_files,
    ]
}

fn format_id(format: &str, record_id: &str) -> RecordingFormatId {
    let format = FormatName::parse(format).expect("a format");
    RecordingFormatId { format, record_id: RecordId::parse(record_id).expect("an id") }
}

fn path(text: &str) -> FilePath {
    FilePath::parse(text).expect("a path")
}

/// Files under test whose calls cannot fail.
struct TestBlobs {
    blobs: Arc<dyn Blobs>,
    dir: TempDir,
}

impl TestBlobs {
    async fn new(factory: BlobsFactory<'_>) -> Self {
        Self { blobs: factory().await, dir: tempfile::tempdir().expect("a directory") }
    }

    fn make_dir(&self, files: &[(&str, &str)]) -> PathBuf {
        let made = tempfile::tempdir_in(self.dir.path()).expect("a directory").keep().join("book");
        for (path, content) in files {
            let at = made.join(path);
            std::fs::create_dir_all(at.parent().expect("above")).expect("a directory");
            std::fs::write(at, content).expect("a file");
        }
        made
    }

    async fn put(&self, book: &RecordingFormatId, shelf: Visibility, files: &[(&str, &str)]) {
        self.blobs.put_format(&self.make_dir(files), book, shelf).await.expect("put");
    }

    async fn read(
        &self,
        book: &RecordingFormatId,
        shelf: Visibility,
        name: &str,
        span: Option<ByteSpan>,
    ) -> Option<String> {
        let opened = self.blobs.open_file(book, shelf, &path(name), span).await.expect("open");
        let (info, bytes) = opened?;
        let pieces: Vec<Bytes> = bytes.try_collect().await.expect("bytes");
        let bytes = pieces.concat();
        if span.is_none() {
            assert_eq!(u64::try_from(bytes.len()).unwrap(), info.size);
        }
        Some(String::from_utf8(bytes).expect("text"))
    }

    async fn files(&self, book: &RecordingFormatId, shelf: Visibility) -> Vec<String> {
        let files = self.blobs.list_files(book, shelf, 10_000).await.expect("files");
        files.into_iter().map(|(path, _)| path.as_str().to_owned()).collect()
    }

    async fn find_visibilities(&self, book: &RecordingFormatId) -> Vec<Visibility> {
        self.blobs.locate_format(book).await.expect("shelves")
    }

    async fn move_format(&self, book: &RecordingFormatId, shelf: Visibility) -> MoveOutcome {
        self.blobs.move_format(book, shelf).await.expect("move_to")
    }
}

const TWO_FILES: [(&str, &str); 2] = [("metadata.xml", "<recording/>"), ("deep/er/a.txt", "text")];

async fn parts_of_files_are_read(factory: BlobsFactory<'_>) {
    let (stage, video) = (TestBlobs::new(factory).await, format_id("video", RECORD_ID));
    let content: String = ('a'..='z').cycle().take(700_000).collect();
    stage
        .put(
            &video,
            Visibility::Published,
            &[("metadata.xml", "0123456789"), ("long", &content), ("empty", "")],
        )
        .await;
    for (from, to, part) in [(0, 10, "0123456789"), (3, 5, "34"), (9, 10, "9")] {
        let read = stage
            .read(
                &video,
                Visibility::Published,
                "metadata.xml",
                Some(ByteSpan { start: from, end: to }),
            )
            .await;
        assert_eq!(read.as_deref(), Some(part));
    }
    let span = ByteSpan { start: 100_000, end: 600_001 };
    let read = stage.read(&video, Visibility::Published, "long", Some(span)).await.expect("a part");
    assert_eq!(read, content[100_000..600_001]);
    let opened =
        stage.blobs.open_file(&video, Visibility::Published, &path("long"), Some(span)).await;
    assert_eq!(opened.expect("open").expect("a file").0.size, 700_000);
    assert_eq!(stage.read(&video, Visibility::Published, "empty", None).await.as_deref(), Some(""));
}

async fn names_of_all_kinds_are_kept(factory: BlobsFactory<'_>) {
    let (stage, notes) = (TestBlobs::new(factory).await, format_id("notes", RECORD_ID));
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
    stage.put(&notes, Visibility::Unpublished, &files).await;
    assert_eq!(stage.move_format(&notes, Visibility::Published).await, MoveOutcome::Moved);
    assert_eq!(stage.files(&notes, Visibility::Published).await, names);
    for name in names {
        let read = stage.read(&notes, Visibility::Published, name, None).await;
        assert_eq!(read.as_deref(), Some(name));
    }
    assert!(stage.blobs.remove_format(&notes, &Visibility::ALL).await.expect("remove"));
    assert_eq!(stage.find_visibilities(&notes).await, []);
}

async fn formats_are_listed_in_order_and_by_pages(factory: BlobsFactory<'_>) {
    let stage = TestBlobs::new(factory).await;
    let mut all = Vec::new();
    for (format, ids) in [("notes", &["r2"][..]), ("video", &["r1", "r10", "r2", "r3"])] {
        all.extend(ids.iter().map(|id| format_id(format, id)));
    }
    for one in all.iter().rev() {
        stage.put(one, Visibility::Published, &TWO_FILES).await;
    }
    stage.put(&format_id("video", "r0"), Visibility::Unpublished, &TWO_FILES).await;
    let listed = stage.blobs.list_formats(Visibility::Published, None, 100).await.expect("books");
    assert_eq!(listed, all);
    let (mut seen, mut after): (Vec<RecordingFormatId>, Option<RecordingFormatId>) =
        (Vec::new(), None);
    loop {
        let page = stage
            .blobs
            .list_formats(Visibility::Published, after.as_ref(), 2)
            .await
            .expect("books");
        assert!(page.len() <= 2);
        let Some(last) = page.last() else { break };
        after = Some(last.clone());
        seen.extend(page);
    }
    assert_eq!(seen, all);
}

async fn formats_do_not_mix(factory: BlobsFactory<'_>) {
    let stage = TestBlobs::new(factory).await;
    // Ids and formats of which one begins with the other.
    let all = [format_id("video", "r1"), format_id("video", "r10"), format_id("video2", "r1")];
    for one in &all {
        stage.put(one, Visibility::Published, &TWO_FILES).await;
    }
    stage.put(&all[0], Visibility::Published, &[("only.txt", "x")]).await;
    assert_eq!(stage.files(&all[0], Visibility::Published).await, ["only.txt"]);
    assert_eq!(stage.move_format(&all[0], Visibility::Unpublished).await, MoveOutcome::Moved);
    assert!(stage.blobs.remove_format(&all[0], &Visibility::ALL).await.expect("remove"));
    for one in &all[1..] {
        assert_eq!(stage.files(one, Visibility::Published).await.len(), 2, "{one:?}");
    }
}

async fn tags_change_with_files(factory: BlobsFactory<'_>) {
    let (stage, video) = (TestBlobs::new(factory).await, format_id("video", RECORD_ID));
    stage.put(&video, Visibility::Published, &TWO_FILES).await;
    let info = async || {
        let info =
            stage.blobs.read_file_info(&video, Visibility::Published, &path("metadata.xml")).await;
        info.expect("info").expect("a file")
    };
    let first = info().await;
    assert_eq!(info().await, first);
    let opened =
        stage.blobs.open_file(&video, Visibility::Published, &path("metadata.xml"), None).await;
    assert_eq!(opened.expect("open").expect("a file").0, first);
    stage.put(&video, Visibility::Published, &[("metadata.xml", "<recordinG/>")]).await;
    assert_ne!(info().await.etag, first.etag);
}

async fn more_than_a_thousand_files(factory: BlobsFactory<'_>) {
    let (stage, slides) = (TestBlobs::new(factory).await, format_id("presentation", RECORD_ID));
    let names: Vec<String> = (0..1_100).map(|number| format!("slides/{number:04}.txt")).collect();
    let files: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "x")).collect();
    stage.put(&slides, Visibility::Unpublished, &files).await;
    assert_eq!(stage.files(&slides, Visibility::Unpublished).await, names);
    let few = stage.blobs.list_files(&slides, Visibility::Unpublished, 3).await.expect("files");
    assert_eq!(few.len(), 3);
    assert_eq!(stage.move_format(&slides, Visibility::Published).await, MoveOutcome::Moved);
    assert_eq!(stage.files(&slides, Visibility::Published).await.len(), 1_100);
    assert!(stage.blobs.remove_format(&slides, &Visibility::ALL).await.expect("remove"));
    assert_eq!(stage.find_visibilities(&slides).await, []);
}

async fn files_can_be_written(factory: BlobsFactory<'_>) {
    let stage = TestBlobs::new(factory).await;
    stage.blobs.check_blobs().await.expect("check");
    assert_eq!(
        stage.blobs.list_formats(Visibility::Unpublished, None, 9).await.expect("books"),
        []
    );
}

/// Two calls, or two replicas, of which one publishes while the other hides, and an archive that comes again.
async fn moves_in_both_directions_lose_nothing(factory: BlobsFactory<'_>) {
    let (stage, video) = (TestBlobs::new(factory).await, format_id("video", RECORD_ID));
    stage.put(&video, Visibility::Published, &TWO_FILES).await;
    for round in 0..30 {
        let moves = (0..6).map(|n| {
            let (blobs, video) = (stage.blobs.clone(), video.clone());
            let made = (n == round).then(|| stage.make_dir(&TWO_FILES));
            tokio::spawn(async move {
                let shelf = Visibility::ALL[n % 3];
                match made {
                    Some(made) => blobs
                        .put_format(&made, &video, Visibility::NOT_DELETED[n % 2])
                        .await
                        .expect("put"),
                    None => drop(blobs.move_format(&video, shelf).await.expect("move_to")),
                }
            })
        });
        for moved in moves.collect::<Vec<_>>() {
            moved.await.expect("a mover");
        }
        stage.move_format(&video, Visibility::Unpublished).await;
        assert_eq!(
            stage.find_visibilities(&video).await,
            [Visibility::Unpublished],
            "round {round}"
        );
        assert_eq!(stage.files(&video, Visibility::Unpublished).await.len(), 2);
    }
}

async fn the_trash_does_not_disturb_other_files(factory: BlobsFactory<'_>) {
    let (stage, video) = (TestBlobs::new(factory).await, format_id("video", RECORD_ID));
    stage.put(&video, Visibility::Published, &TWO_FILES).await;
    assert_eq!(stage.move_format(&video, Visibility::Trash).await, MoveOutcome::Moved);
    assert_eq!(stage.move_format(&video, Visibility::Trash).await, MoveOutcome::AlreadyThere);
    assert_eq!(stage.find_visibilities(&video).await, [Visibility::Trash]);
    let listed = stage.blobs.list_formats(Visibility::Trash, None, 9).await.expect("books");
    assert_eq!(listed, std::slice::from_ref(&video));
    // An archive that comes too late, and goes again.
    stage.put(&video, Visibility::Published, &[("metadata.xml", "late")]).await;
    assert_eq!(stage.find_visibilities(&video).await, [Visibility::Published, Visibility::Trash]);
    assert!(stage.blobs.remove_format(&video, &Visibility::NOT_DELETED).await.expect("remove"));
    assert!(!stage.blobs.remove_format(&video, &Visibility::NOT_DELETED).await.expect("remove"));
    assert_eq!(stage.files(&video, Visibility::Trash).await.len(), 2);
    assert_eq!(stage.move_format(&video, Visibility::Unpublished).await, MoveOutcome::Moved);
    assert_eq!(stage.files(&video, Visibility::Unpublished).await.len(), 2);
    assert_eq!(stage.find_visibilities(&video).await, [Visibility::Unpublished]);
}
