//! Moves between storages in memory.

use std::sync::atomic::{AtomicU32, Ordering};

use bytes::Bytes;
use domain::recording::FilePath;

use super::*;
use crate::memory::MemoryBlobs;

/// Copies files between storages in memory; fails at the first copies.
struct MemoryCopier<'a> {
    source: &'a MemoryBlobs,
    target: &'a MemoryBlobs,
    failures_left: AtomicU32,
}

#[async_trait]
impl FormatCopier for MemoryCopier<'_> {
    async fn copy_format(
        &self,
        format_id: &RecordingFormatId,
        visibility: Visibility,
    ) -> Result<(), BlobError> {
        let left = self.failures_left.load(Ordering::SeqCst);
        if left > 0 {
            self.failures_left.store(left - 1, Ordering::SeqCst);
            return Err(BlobError::Unavailable("the network".to_owned()));
        }
        let files = self.source.list_files(format_id, visibility, 99).await?.into_iter();
        let content = |size: u64| Bytes::from(vec![1; usize::try_from(size).unwrap()]);
        let files = files.map(|(path, size)| (path, content(size)));
        self.target.insert_files(format_id, visibility, files);
        Ok(())
    }
}

fn format_id(number: u32) -> RecordingFormatId {
    RecordingFormatId::parse(&format!("r{number}"), "video").unwrap()
}

fn filled_source() -> MemoryBlobs {
    let source = MemoryBlobs::default();
    for (number, visibility) in (0..).zip(Visibility::ALL) {
        let files = ["a", "b"].map(|name| (FilePath::parse(name).unwrap(), Bytes::from("11")));
        source.insert_files(&format_id(number), visibility, files);
    }
    source
}

async fn run(
    source: &MemoryBlobs,
    target: &MemoryBlobs,
    failures: u32,
    remove: bool,
) -> MoveCounts {
    let copier = MemoryCopier { source, target, failures_left: failures.into() };
    let storage_move = StorageMove { source, target, copier: &copier, remove_source: remove };
    storage_move.run(|_, _| {}, |_| {}).await.unwrap()
}

#[tokio::test]
async fn everything_is_copied_once_and_then_removed() {
    let (source, target) = (filled_source(), MemoryBlobs::default());
    let first = run(&source, &target, 1, false).await;
    assert_eq!((first.found, first.copied, first.failed, first.removed), (3, 2, 1, 0));
    let second = run(&source, &target, 0, false).await;
    assert_eq!((second.unchanged, second.copied), (2, 1));
    for (number, visibility) in (0..).zip(Visibility::ALL) {
        assert_eq!(target.locate_format(&format_id(number)).await.unwrap(), [visibility]);
        assert_eq!(source.locate_format(&format_id(number)).await.unwrap(), [visibility]);
    }
    let last = run(&source, &target, 0, true).await;
    assert_eq!((last.unchanged, last.removed), (3, 3));
    assert!(source.locate_format(&format_id(0)).await.unwrap().is_empty());
    assert_eq!(run(&source, &target, 0, true).await, MoveCounts::default());
}

#[tokio::test]
async fn what_cannot_be_copied_stays_at_the_source() {
    let (source, target) = (filled_source(), MemoryBlobs::default());
    let counts = run(&source, &target, 99, true).await;
    assert_eq!((counts.failed, counts.removed), (3, 0));
    assert_eq!(source.locate_format(&format_id(1)).await.unwrap(), [Visibility::Unpublished]);
}
