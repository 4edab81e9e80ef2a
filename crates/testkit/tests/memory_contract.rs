//! The contract of the stores on the implementations in memory, each case as a test of its own.

use std::process::ExitCode;
use std::sync::Arc;

use app::memory::{MemoryBlobs, MemoryPoolStore, MemoryRecordings};
use app::ports::PoolStore;
use futures_util::future::BoxFuture;
use testkit::contract::{self, ContractTests, store_factory};

/// A factory of stores in memory, as a factory of one of the ports that they implement.
macro_rules! factory {
    ($store:ident) => {
        async || store_factory(|| Box::pin(async { Arc::new($store::default()) as _ }))
    };
}

fn main() -> ExitCode {
    let mut tests = ContractTests::default();
    tests.add("memory", contract::state_store_cases(), factory!(MemoryPoolStore));
    tests.add("memory", contract::recordings_cases(), factory!(MemoryRecordings));
    tests.add("memory", contract::recording_store_cases(), factory!(MemoryRecordings));
    tests.add("memory", contract::blobs_cases(), factory!(MemoryBlobs));
    tests.add_other("memory", "model::random_calls_reach_every_outcome", assert_coverage);
    tests.run()
}

/// The implementation in memory cannot differ from itself, but random sequences of calls must reach
/// every kind of outcome, or the comparison of other stores proves little.
async fn assert_coverage() {
    let factory = || -> BoxFuture<'static, Arc<dyn PoolStore>> {
        Box::pin(async { Arc::new(MemoryPoolStore::default()) as _ })
    };
    let counts = contract::compare_pool_store(&factory, 80, 1).await;
    let expected = [
        "added",
        "adopted",
        "all forgotten",
        "attached",
        "claimed",
        "detached",
        "drained",
        "existing",
        "forgotten",
        "forgotten by a poll",
        "full",
        "joined",
        "joined unreachable",
        "missed",
        "no server",
        "no such tag",
        "no voice bridge",
        "not joined",
        "not polled",
        "nothing",
        "nothing to replace",
        "released",
        "removed",
        "reported",
        "restored",
        "settled",
        "unseen forgotten",
        "unwanted",
        "updated",
        "went on- or offline",
    ];
    let reached: Vec<_> = counts.keys().copied().collect();
    assert_eq!(reached, expected, "{counts:?}");
    assert!(counts["claimed"] > 200, "{counts:?}");
}
