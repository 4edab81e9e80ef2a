//! The files of recordings: formats are stored, moved and removed as a whole, and every call may be
//! repeated.

use std::path::Path;
use std::sync::Arc;

use app::ports::{Blobs, ByteSpan, MoveOutcome, RecordingFormatId, Visibility};
use bytes::Bytes;
use domain::recording::{FilePath, FormatName, RecordId};
use futures_util::TryStreamExt as _;

use super::{BlobsFactory, ContractCase};

pub(super) fn cases() -> Vec<ContractCase<dyn Blobs>> {
    super::cases![
        an_empty_store_has_no_formats,
        a_format_is_put_and_read,
        storing_a_format_again_replaces_it,
        a_format_moves_and_moving_again_changes_nothing,
        a_format_is_removed_from_all_places,
        formats_are_listed_in_order,
        parts_of_files_are_read,
        a_file_is_written_where_its_format_is,
    ]
}

type SharedBlobs = Arc<dyn Blobs>;

fn format_id(format: &str, id: &str) -> RecordingFormatId {
    RecordingFormatId {
        format: FormatName::parse(format).expect("a format"),
        record_id: RecordId::parse(id).expect("an id"),
    }
}

fn path(text: &str) -> FilePath {
    FilePath::parse(text).expect("a path")
}

/// Makes a directory with these files.
fn make_dir(files: &[(&str, &str)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a directory");
    for (name, content) in files {
        let file = dir.path().join(name);
        std::fs::create_dir_all(file.parent().unwrap_or(Path::new("/"))).expect("a directory");
        std::fs::write(file, content).expect("a file");
    }
    dir
}

async fn put(
    blobs: &SharedBlobs,
    id: &RecordingFormatId,
    visibility: Visibility,
    files: &[(&str, &str)],
) {
    let dir = make_dir(files);
    // A store may move the directory itself: it gets one within the temporary directory.
    let inner = dir.path().join("taken");
    std::fs::create_dir(&inner).expect("a directory");
    for (name, _) in files {
        let (from, to) = (dir.path().join(name), inner.join(name));
        std::fs::create_dir_all(to.parent().unwrap_or(&inner)).expect("a directory");
        std::fs::rename(from, to).expect("a file");
    }
    blobs.put_format(&inner, id, visibility).await.expect("put");
}

async fn read(
    blobs: &SharedBlobs,
    id: &RecordingFormatId,
    visibility: Visibility,
    name: &str,
) -> Option<String> {
    let (info, bytes) = blobs.open_file(id, visibility, &path(name), None).await.expect("open")?;
    let all: Vec<Bytes> = bytes.try_collect().await.expect("bytes");
    let all = all.concat();
    assert_eq!(info.size, all.len() as u64);
    Some(String::from_utf8(all).expect("text"))
}

async fn find_visibilities(blobs: &SharedBlobs, id: &RecordingFormatId) -> Vec<Visibility> {
    blobs.locate_format(id).await.expect("locate_format")
}

async fn an_empty_store_has_no_formats(factory: BlobsFactory<'_>) {
    let blobs = factory().await;
    blobs.check_blobs().await.expect("check");
    let id = format_id("video", "r");
    assert_eq!(find_visibilities(&blobs, &id).await, []);
    assert_eq!(
        blobs.move_format(&id, Visibility::Published).await.expect("move_format"),
        MoveOutcome::Missing
    );
    assert!(!blobs.remove_format(&id, &Visibility::ALL).await.expect("remove"));
    assert_eq!(blobs.list_formats(Visibility::Published, None, 9).await.expect("list_formats"), []);
    assert_eq!(
        blobs.read_file_info(&id, Visibility::Published, &path("a")).await.expect("info"),
        None
    );
    assert_eq!(read(&blobs, &id, Visibility::Unpublished, "a").await, None);
}

async fn a_format_is_put_and_read(factory: BlobsFactory<'_>) {
    let blobs = factory().await;
    let id = format_id("presentation", "r-1");
    let files = [("metadata.xml", "<x/>"), ("a/b/Übung 1.png", "png"), ("empty", "")];
    put(&blobs, &id, Visibility::Published, &files).await;
    assert_eq!(find_visibilities(&blobs, &id).await, [Visibility::Published]);
    for (name, content) in files {
        assert_eq!(read(&blobs, &id, Visibility::Published, name).await.as_deref(), Some(content));
        assert_eq!(read(&blobs, &id, Visibility::Unpublished, name).await, None);
    }
    for name in ["a", "a/b", "metadata.xml/x", "Metadata.xml"] {
        assert_eq!(
            blobs.read_file_info(&id, Visibility::Published, &path(name)).await.expect("info"),
            None
        );
    }
    let listed = blobs.list_files(&id, Visibility::Published, 9).await.expect("files");
    let expected = [("a/b/Übung 1.png", 3), ("empty", 0), ("metadata.xml", 4)];
    assert_eq!(listed, expected.map(|(name, size)| (path(name), size)));
    assert_eq!(blobs.list_files(&id, Visibility::Published, 1).await.expect("files").len(), 1);
}

async fn storing_a_format_again_replaces_it(factory: BlobsFactory<'_>) {
    let blobs = factory().await;
    let id = format_id("video", "r");
    put(&blobs, &id, Visibility::Published, &[("a", "1"), ("b", "1")]).await;
    let before = blobs.read_file_info(&id, Visibility::Published, &path("a")).await.expect("info");
    put(&blobs, &id, Visibility::Unpublished, &[("a", "22")]).await;
    assert_eq!(find_visibilities(&blobs, &id).await, [Visibility::Unpublished]);
    assert_eq!(read(&blobs, &id, Visibility::Unpublished, "a").await.as_deref(), Some("22"));
    assert_eq!(read(&blobs, &id, Visibility::Unpublished, "b").await, None);
    let after = blobs.read_file_info(&id, Visibility::Unpublished, &path("a")).await.expect("info");
    assert_ne!(
        before.map(|info| info.etag),
        after.map(|info| info.etag),
        "another file, another tag"
    );
}

async fn a_format_moves_and_moving_again_changes_nothing(factory: BlobsFactory<'_>) {
    let blobs = factory().await;
    let (id, other) = (format_id("video", "r"), format_id("notes", "r"));
    for id in [&id, &other] {
        put(&blobs, id, Visibility::Published, &[("a/b", "1")]).await;
    }
    for (visibility, moved) in [
        (Visibility::Unpublished, MoveOutcome::Moved),
        (Visibility::Unpublished, MoveOutcome::AlreadyThere),
        (Visibility::Published, MoveOutcome::Moved),
        (Visibility::Published, MoveOutcome::AlreadyThere),
    ] {
        assert_eq!(blobs.move_format(&id, visibility).await.expect("move_format"), moved);
        assert_eq!(find_visibilities(&blobs, &id).await, [visibility]);
        assert_eq!(read(&blobs, &id, visibility, "a/b").await.as_deref(), Some("1"));
        assert_eq!(find_visibilities(&blobs, &other).await, [Visibility::Published]);
    }
}

async fn a_format_is_removed_from_all_places(factory: BlobsFactory<'_>) {
    let blobs = factory().await;
    let (id, other) = (format_id("video", "r"), format_id("video", "r2"));
    put(&blobs, &id, Visibility::Unpublished, &[("a", "1")]).await;
    put(&blobs, &other, Visibility::Published, &[("a", "1")]).await;
    assert!(blobs.remove_format(&id, &Visibility::ALL).await.expect("remove"));
    assert!(!blobs.remove_format(&id, &Visibility::ALL).await.expect("remove"));
    assert_eq!(find_visibilities(&blobs, &id).await, []);
    assert_eq!(find_visibilities(&blobs, &other).await, [Visibility::Published]);
}

async fn formats_are_listed_in_order(factory: BlobsFactory<'_>) {
    let blobs = factory().await;
    let all = [
        format_id("notes", "b"),
        format_id("video", "a"),
        format_id("video", "a.b"),
        format_id("video", "b"),
    ];
    for id in all.iter().rev() {
        put(&blobs, id, Visibility::Published, &[("a", "1")]).await;
    }
    put(&blobs, &format_id("video", "c"), Visibility::Unpublished, &[("a", "1")]).await;
    for limit in [1, 2, 9] {
        let (mut found, mut after) = (Vec::new(), None::<RecordingFormatId>);
        loop {
            let page = blobs
                .list_formats(Visibility::Published, after.as_ref(), limit)
                .await
                .expect("list_formats");
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
    let id = format_id("video", "r");
    put(&blobs, &id, Visibility::Published, &[("a", "0123456789")]).await;
    for (from, to) in [(0, 10), (0, 1), (9, 10), (3, 7), (4, 4)] {
        let span = Some(ByteSpan { start: from, end: to });
        let opened =
            blobs.open_file(&id, Visibility::Published, &path("a"), span).await.expect("open");
        let (info, bytes) = opened.expect("a file");
        let part: Vec<Bytes> = bytes.try_collect().await.expect("bytes");
        let (from, to) = (usize::try_from(from).unwrap(), usize::try_from(to).unwrap());
        assert_eq!((info.size, part.concat()), (10, b"0123456789"[from..to].to_vec()));
    }
}

async fn a_file_is_written_where_its_format_is(factory: BlobsFactory<'_>) {
    let blobs = factory().await;
    let id = format_id("video", "r");
    put(&blobs, &id, Visibility::Published, &[("a", "1")]).await;
    for content in ["one", "another"] {
        let bytes = Bytes::from_static(content.as_bytes());
        blobs
            .write_file(&id, Visibility::Published, &path("caption_en.vtt"), bytes)
            .await
            .expect("write");
        let read = read(&blobs, &id, Visibility::Published, "caption_en.vtt").await;
        assert_eq!(read.as_deref(), Some(content));
    }
    assert_eq!(read(&blobs, &id, Visibility::Published, "a").await.as_deref(), Some("1"));
    assert_eq!(blobs.list_files(&id, Visibility::Published, 9).await.expect("files").len(), 2);
}
