//! The hot state in Redis against the contracts of its ports.

#![expect(clippy::expect_used, reason = "a test that cannot set up its store must fail")]

use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use adapters::redis::RedisStore;
use adapters::redis::address::{RedisAddress, RedisOptions, RedisPlace};
use app::ports::Cluster;
use futures_util::future::{BoxFuture, FutureExt as _};
use tempfile::TempDir;
use testkit::contract;

struct Stores {
    dir: TempDir,
    child: Child,
    count: AtomicU32,
}

impl Drop for Stores {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Stores {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let socket = dir.path().join("s");
        let child = Command::new("redis-server")
            .args(["--port", "0", "--save", "", "--unixsocket"])
            .arg(&socket)
            .stdout(Stdio::null())
            .spawn()
            .expect("redis-server");
        while std::os::unix::net::UnixStream::connect(&socket).is_err() {
            std::thread::yield_now();
        }
        Self { dir, child, count: AtomicU32::new(0) }
    }

    fn next(&self) -> BoxFuture<'static, Arc<dyn Cluster>> {
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        let place = RedisPlace::Unix(self.dir.path().join("s"));
        let options = RedisOptions {
            address: RedisAddress { place, username: None, password: None, db: 0 },
            namespace: format!("n{number}"),
            pool: 2,
            meeting_ttl_ms: 86_400_000,
        };
        async move { Arc::new(RedisStore::new(options)) as _ }.boxed()
    }
}

#[tokio::test]
async fn keeps_the_contract() {
    let stores = Stores::new();
    contract::cluster(&|| stores.next()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn keeps_the_contract_in_races() {
    let stores = Stores::new();
    contract::cluster_racing(&|| stores.next()).await;
}

#[tokio::test]
async fn does_as_the_reference_does() {
    let stores = Stores::new();
    for seed in 1..=4 {
        contract::cluster_model(&|| stores.next(), 60, seed).await;
    }
}
