//! The reference implementation keeps its own contract.

use std::sync::Arc;

use app::memory::{MemoryBlobs, MemoryCluster, MemoryRecordings};
use app::ports::{Blobs, Cluster, Hot, Recordings, Records};
use futures_util::future::BoxFuture;
use testkit::contract;

fn memory() -> BoxFuture<'static, Arc<dyn Cluster>> {
    Box::pin(async { Arc::new(MemoryCluster::default()) as _ })
}

fn hot_memory() -> BoxFuture<'static, Arc<dyn Hot>> {
    Box::pin(async { Arc::new(MemoryCluster::default()) as _ })
}

fn recordings_in_memory() -> BoxFuture<'static, Arc<dyn Recordings>> {
    Box::pin(async { Arc::new(MemoryRecordings::default()) as _ })
}

fn records_in_memory() -> BoxFuture<'static, Arc<dyn Records>> {
    Box::pin(async { Arc::new(MemoryRecordings::default()) as _ })
}

fn blobs_in_memory() -> BoxFuture<'static, Arc<dyn Blobs>> {
    Box::pin(async { Arc::new(MemoryBlobs::default()) as _ })
}

#[tokio::test]
async fn blobs() {
    contract::blobs(&blobs_in_memory).await;
}

#[tokio::test]
async fn records() {
    contract::records(&records_in_memory).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn records_racing() {
    contract::records_racing(&records_in_memory).await;
}

#[tokio::test]
async fn hot() {
    contract::hot(&hot_memory).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn hot_racing() {
    contract::hot_racing(&hot_memory).await;
}

#[tokio::test]
async fn recordings() {
    contract::recordings(&recordings_in_memory).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn recordings_racing() {
    contract::recordings_racing(&recordings_in_memory).await;
}

/// It cannot differ from itself; but the sequences must reach what they are for.
#[tokio::test]
async fn model() {
    let covered = contract::cluster_model(&memory, 80, 1).await;
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
