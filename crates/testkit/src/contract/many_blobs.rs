//! The files of recordings: many files, unusual names, and moves at the same time.

use std::path::PathBuf;
use std::sync::Arc;

use app::ports::{Blobs, ByteSpan, MoveOutcome, RecordingFormatId, Visibility};
use bytes::Bytes;
use domain::recording::{FilePath, FormatName, RecordId};
use futures_util::TryStreamExt as _;
use tempfile::TempDir;

use super::{BlobsFactory, ContractCase};
use crate::nightly::rounds;

/// Rounds of moves at the same time, in a usual run and in a nightly run. A format is stored again in the
/// first six.
const ROUNDS: u64 = 8;
const NIGHTLY_ROUNDS: u64 = 100;
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

/// A store of files under test. Its methods panic when a call fails.
struct TestBlobs {
    blobs: Arc<dyn Blobs>,
    dir: TempDir,
}

impl TestBlobs {
    async fn new(factory: BlobsFactory<'_>) -> Self {
        Self { blobs: factory().await, dir: tempfile::tempdir().expect("a directory") }
    }

    fn make_dir(&self, files: &[(&str, &str)]) -> PathBuf {
        let made =
            tempfile::tempdir_in(self.dir.path()).expect("a directory").keep().join("format");
        for (path, content) in files {
            let at = made.join(path);
            std::fs::create_dir_all(at.parent().expect("above")).expect("a directory");
            std::fs::write(at, content).expect("a file");
        }
        made
    }

    async fn put(&self, id: &RecordingFormatId, visibility: Visibility, files: &[(&str, &str)]) {
        self.blobs.put_format(&self.make_dir(files), id, visibility).await.expect("put");
    }

    async fn read(
        &self,
        id: &RecordingFormatId,
        visibility: Visibility,
        name: &str,
        span: Option<ByteSpan>,
    ) -> Option<String> {
        let opened = self.blobs.open_file(id, visibility, &path(name), span).await.expect("open");
        let (info, bytes) = opened?;
        let pieces: Vec<Bytes> = bytes.try_collect().await.expect("bytes");
        let bytes = pieces.concat();
        if span.is_none() {
            assert_eq!(u64::try_from(bytes.len()).unwrap(), info.size);
        }
        Some(String::from_utf8(bytes).expect("text"))
    }

    async fn files(&self, id: &RecordingFormatId, visibility: Visibility) -> Vec<String> {
        let files = self.blobs.list_files(id, visibility, 10_000).await.expect("files");
        files.into_iter().map(|(path, _)| path.as_str().to_owned()).collect()
    }

    async fn find_visibilities(&self, id: &RecordingFormatId) -> Vec<Visibility> {
        self.blobs.locate_format(id).await.expect("locate_format")
    }

    async fn move_format(&self, id: &RecordingFormatId, visibility: Visibility) -> MoveOutcome {
        self.blobs.move_format(id, visibility).await.expect("move_format")
    }
}

const TWO_FILES: [(&str, &str); 2] = [("metadata.xml", "<recording/>"), ("deep/er/a.txt", "text")];

async fn parts_of_files_are_read(factory: BlobsFactory<'_>) {
    let (store, video) = (TestBlobs::new(factory).await, format_id("video", RECORD_ID));
    let content: String = ('a'..='z').cycle().take(700_000).collect();
    store
        .put(
            &video,
            Visibility::Published,
            &[("metadata.xml", "0123456789"), ("long", &content), ("empty", "")],
        )
        .await;
    for (from, to, part) in [(0, 10, "0123456789"), (3, 5, "34"), (9, 10, "9")] {
        let read = store
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
    let read = store.read(&video, Visibility::Published, "long", Some(span)).await.expect("a part");
    assert_eq!(read, content[100_000..600_001]);
    let opened =
        store.blobs.open_file(&video, Visibility::Published, &path("long"), Some(span)).await;
    assert_eq!(opened.expect("open").expect("a file").0.size, 700_000);
    assert_eq!(store.read(&video, Visibility::Published, "empty", None).await.as_deref(), Some(""));
}

async fn names_of_all_kinds_are_kept(factory: BlobsFactory<'_>) {
    let (store, notes) = (TestBlobs::new(factory).await, format_id("notes", RECORD_ID));
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
    store.put(&notes, Visibility::Unpublished, &files).await;
    assert_eq!(store.move_format(&notes, Visibility::Published).await, MoveOutcome::Moved);
    assert_eq!(store.files(&notes, Visibility::Published).await, names);
    for name in names {
        let read = store.read(&notes, Visibility::Published, name, None).await;
        assert_eq!(read.as_deref(), Some(name));
    }
    assert!(store.blobs.remove_format(&notes, &Visibility::ALL).await.expect("remove"));
    assert_eq!(store.find_visibilities(&notes).await, []);
}

async fn formats_are_listed_in_order_and_by_pages(factory: BlobsFactory<'_>) {
    let store = TestBlobs::new(factory).await;
    let mut all = Vec::new();
    for (format, ids) in [("notes", &["r2"][..]), ("video", &["r1", "r10", "r2", "r3"])] {
        all.extend(ids.iter().map(|id| format_id(format, id)));
    }
    for id in all.iter().rev() {
        store.put(id, Visibility::Published, &TWO_FILES).await;
    }
    store.put(&format_id("video", "r0"), Visibility::Unpublished, &TWO_FILES).await;
    let listed =
        store.blobs.list_formats(Visibility::Published, None, 100).await.expect("list_formats");
    assert_eq!(listed, all);
    let (mut seen, mut after): (Vec<RecordingFormatId>, Option<RecordingFormatId>) =
        (Vec::new(), None);
    loop {
        let page = store
            .blobs
            .list_formats(Visibility::Published, after.as_ref(), 2)
            .await
            .expect("list_formats");
        assert!(page.len() <= 2);
        let Some(last) = page.last() else { break };
        after = Some(last.clone());
        seen.extend(page);
    }
    assert_eq!(seen, all);
}

async fn formats_do_not_mix(factory: BlobsFactory<'_>) {
    let store = TestBlobs::new(factory).await;
    // Some ids and formats are prefixes of others.
    let all = [format_id("video", "r1"), format_id("video", "r10"), format_id("video2", "r1")];
    for id in &all {
        store.put(id, Visibility::Published, &TWO_FILES).await;
    }
    store.put(&all[0], Visibility::Published, &[("only.txt", "x")]).await;
    assert_eq!(store.files(&all[0], Visibility::Published).await, ["only.txt"]);
    assert_eq!(store.move_format(&all[0], Visibility::Unpublished).await, MoveOutcome::Moved);
    assert!(store.blobs.remove_format(&all[0], &Visibility::ALL).await.expect("remove"));
    for id in &all[1..] {
        assert_eq!(store.files(id, Visibility::Published).await.len(), 2, "{id:?}");
    }
}

async fn tags_change_with_files(factory: BlobsFactory<'_>) {
    let (store, video) = (TestBlobs::new(factory).await, format_id("video", RECORD_ID));
    store.put(&video, Visibility::Published, &TWO_FILES).await;
    let info = async || {
        let info =
            store.blobs.read_file_info(&video, Visibility::Published, &path("metadata.xml")).await;
        info.expect("info").expect("a file")
    };
    let first = info().await;
    assert_eq!(info().await, first);
    let opened =
        store.blobs.open_file(&video, Visibility::Published, &path("metadata.xml"), None).await;
    assert_eq!(opened.expect("open").expect("a file").0, first);
    store.put(&video, Visibility::Published, &[("metadata.xml", "<recordinG/>")]).await;
    assert_ne!(info().await.etag, first.etag);
}

async fn more_than_a_thousand_files(factory: BlobsFactory<'_>) {
    let (store, slides) = (TestBlobs::new(factory).await, format_id("presentation", RECORD_ID));
    let names: Vec<String> = (0..1_100).map(|number| format!("slides/{number:04}.txt")).collect();
    let files: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "x")).collect();
    store.put(&slides, Visibility::Unpublished, &files).await;
    assert_eq!(store.files(&slides, Visibility::Unpublished).await, names);
    let few = store.blobs.list_files(&slides, Visibility::Unpublished, 3).await.expect("files");
    assert_eq!(few.len(), 3);
    assert_eq!(store.move_format(&slides, Visibility::Published).await, MoveOutcome::Moved);
    assert_eq!(store.files(&slides, Visibility::Published).await.len(), 1_100);
    assert!(store.blobs.remove_format(&slides, &Visibility::ALL).await.expect("remove"));
    assert_eq!(store.find_visibilities(&slides).await, []);
}

async fn files_can_be_written(factory: BlobsFactory<'_>) {
    let store = TestBlobs::new(factory).await;
    store.blobs.check_blobs().await.expect("check");
    assert_eq!(
        store.blobs.list_formats(Visibility::Unpublished, None, 9).await.expect("list_formats"),
        []
    );
}

/// Two calls or two replicas move a format in opposite directions while an import stores it again.
async fn moves_in_both_directions_lose_nothing(factory: BlobsFactory<'_>) {
    let (store, video) = (TestBlobs::new(factory).await, format_id("video", RECORD_ID));
    store.put(&video, Visibility::Published, &TWO_FILES).await;
    for round in 0..rounds(ROUNDS, NIGHTLY_ROUNDS) {
        let moves = (0..6).map(|n| {
            let (blobs, video) = (store.blobs.clone(), video.clone());
            let made = (n as u64 == round).then(|| store.make_dir(&TWO_FILES));
            tokio::spawn(async move {
                let visibility = Visibility::ALL[n % 3];
                match made {
                    Some(made) => blobs
                        .put_format(&made, &video, Visibility::NOT_DELETED[n % 2])
                        .await
                        .expect("put"),
                    None => drop(blobs.move_format(&video, visibility).await.expect("move_format")),
                }
            })
        });
        for moved in moves.collect::<Vec<_>>() {
            moved.await.expect("a mover");
        }
        store.move_format(&video, Visibility::Unpublished).await;
        assert_eq!(
            store.find_visibilities(&video).await,
            [Visibility::Unpublished],
            "round {round}"
        );
        assert_eq!(store.files(&video, Visibility::Unpublished).await.len(), 2);
    }
}

async fn the_trash_does_not_disturb_other_files(factory: BlobsFactory<'_>) {
    let (store, video) = (TestBlobs::new(factory).await, format_id("video", RECORD_ID));
    store.put(&video, Visibility::Published, &TWO_FILES).await;
    assert_eq!(store.move_format(&video, Visibility::Trash).await, MoveOutcome::Moved);
    assert_eq!(store.move_format(&video, Visibility::Trash).await, MoveOutcome::AlreadyThere);
    assert_eq!(store.find_visibilities(&video).await, [Visibility::Trash]);
    let listed = store.blobs.list_formats(Visibility::Trash, None, 9).await.expect("list_formats");
    assert_eq!(listed, std::slice::from_ref(&video));
    // A late import of a deleted recording, and its removal.
    store.put(&video, Visibility::Published, &[("metadata.xml", "late")]).await;
    assert_eq!(store.find_visibilities(&video).await, [Visibility::Published, Visibility::Trash]);
    assert!(store.blobs.remove_format(&video, &Visibility::NOT_DELETED).await.expect("remove"));
    assert!(!store.blobs.remove_format(&video, &Visibility::NOT_DELETED).await.expect("remove"));
    assert_eq!(store.files(&video, Visibility::Trash).await.len(), 2);
    assert_eq!(store.move_format(&video, Visibility::Unpublished).await, MoveOutcome::Moved);
    assert_eq!(store.files(&video, Visibility::Unpublished).await.len(), 2);
    assert_eq!(store.find_visibilities(&video).await, [Visibility::Unpublished]);
}
