//! The reference implementation keeps its own contract.

use std::sync::Arc;

use app::memory::{MemoryBlobs, MemoryPoolStore, MemoryRecordings};
use app::ports::{Blobs, PoolStore, RecordingStore, Recordings, StateStore};
use futures_util::future::BoxFuture;
use testkit::contract;

fn pool_in_memory() -> BoxFuture<'static, Arc<dyn PoolStore>> {
    Box::pin(async { Arc::new(MemoryPoolStore::default()) as _ })
}

fn state_in_memory() -> BoxFuture<'static, Arc<dyn StateStore>> {
    Box::pin(async { Arc::new(MemoryPoolStore::default()) as _ })
}

fn recordings_in_memory() -> BoxFuture<'static, Arc<dyn Recordings>> {
    Box::pin(async { Arc::new(MemoryRecordings::default()) as _ })
}

fn recording_store_in_memory() -> BoxFuture<'static, Arc<dyn RecordingStore>> {
    Box::pin(async { Arc::new(MemoryRecordings::default()) as _ })
}

fn blobs_in_memory() -> BoxFuture<'static, Arc<dyn Blobs>> {
    Box::pin(async { Arc::new(MemoryBlobs::default()) as _ })
}

#[tokio::test]
async fn blobs() {
    contract::check_blobs(&blobs_in_memory).await;
}

#[tokio::test]
async fn recording_store() {
    contract::check_recording_store(&recording_store_in_memory).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn recording_store_racing() {
    contract::race_recording_store(&recording_store_in_memory).await;
}

#[tokio::test]
async fn state_store() {
    contract::check_state_store(&state_in_memory).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn state_store_racing() {
    contract::race_state_store(&state_in_memory).await;
}

#[tokio::test]
async fn recordings() {
    contract::check_recordings(&recordings_in_memory).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn recordings_racing() {
    contract::race_recordings(&recordings_in_memory).await;
}

/// It cannot differ from itself; but the sequences must reach what they are for.
#[tokio::test]
async fn model() {
    let covered = contract::compare_pool_store(&pool_in_memory, 80, 1).await;
    let wanted = [
        "added",
        "adopted",
        "all forgotten",
        "attached",
        "detached",
        "drained",
        "forgotten",
        "forgotten by a poll",
        "full",
        "joined",
        "joined nobody",
        "known",
        "missed",
        "no server",
        "no such tag",
        "no voice bridge",
        "not joined",
        "not polled",
        "nothing",
        "released",
        "removed",
        "restored",
        "seen",
        "settled",
        "stray",
        "swept",
        "updated",
        "went on- or offline",
        "won",
    ];
    let found: Vec<_> = covered.keys().copied().collect();
    assert_eq!(found, wanted, "{covered:?}");
    assert!(covered["won"] > 200, "{covered:?}");
}
