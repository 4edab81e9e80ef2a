//! Files of recordings in directories, against the contract of their port.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use adapters::blobs::directories::DirectoryBlobs;
use futures_util::future::FutureExt as _;
use testkit::contract;

#[tokio::test]
async fn directories_keep_the_contract() {
    let dir = tempfile::tempdir().expect("a directory");
    let count = AtomicU32::new(0);
    contract::check_blobs(&|| {
        let root = dir.path().join(count.fetch_add(1, Ordering::Relaxed).to_string());
        let blobs = DirectoryBlobs::new(
            root.join("published"),
            root.join("unpublished"),
            root.join("deleted"),
        );
        async move { Arc::new(blobs) as _ }.boxed()
    })
    .await;
}
