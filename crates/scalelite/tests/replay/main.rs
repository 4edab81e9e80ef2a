//! Compares the product with the original in Redis: each recorded step of the original is repeated
//! by the product on the keyspace before the step, and the keyspace after it is compared with the
//! recorded one.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by a panic")]

mod keyspace;
mod migration;
mod old_data;
mod original;
mod steps;

use steps::replay_recording;

use bbb_sim::{BbbPool, PoolOptions, Strictness};
use serde_json::Value;
use std::path::Path;
use testkit::private::Redis;
use testkit::product::Setup;

const BINARY: &str = env!("CARGO_BIN_EXE_scalelite");

#[tokio::test]
async fn steps_of_servers_and_meetings() {
    replay_recording("redis-transitions.json", &[]).await;
}

#[tokio::test]
async fn steps_of_tenants() {
    replay_recording("redis-tenants.json", &[("MULTITENANCY_ENABLED", "true")]).await;
}

/// Reads the steps of a recording.
fn read_fixture(file: &str) -> Vec<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../testkit/data/fixtures").join(file);
    let text = std::fs::read_to_string(path).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// Starts a Redis server and the servers of the recordings. Returns them with the setup of a
/// balancer that polls on command only.
async fn start_environment(settings: &[(&str, &str)]) -> (Redis, BbbPool, Setup) {
    let redis = Redis::start().await.unwrap();
    let options = PoolOptions {
        servers: 3,
        shared_port: true,
        strictness: Strictness::Recorded,
        ..PoolOptions::default()
    };
    let pool = BbbPool::start(options).await.unwrap();
    let mut setup = Setup::new(BINARY).unwrap().with_setting("REDIS_URL", &redis.url());
    setup = setup.with_setting("MEETING_GRACE", "0");
    setup = setup.with_serve_argument("--roles").with_serve_argument("api");
    for (name, value) in settings {
        setup = setup.with_setting(name, value);
    }
    (redis, pool, setup)
}
