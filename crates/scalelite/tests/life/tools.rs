//! What the tests of this folder share.

use bbb_sim::{Pool, PoolOptions};
use testkit::product::{Answer, Setup};
use testkit::world::World;

/// A setup of its own.
pub(crate) fn setup() -> Setup {
    Setup::new(env!("CARGO_BIN_EXE_scalelite")).unwrap()
}

/// A balancer of these settings with that many servers.
pub(crate) async fn world(servers: usize, settings: &[(&str, &str)]) -> World {
    let binary = env!("CARGO_BIN_EXE_scalelite");
    World::new(binary, servers, settings).await.unwrap()
}

/// That many servers of which no balancer knows.
pub(crate) async fn pool(servers: usize) -> Pool {
    let options = PoolOptions { servers, ..PoolOptions::default() };
    Pool::start(options).await.unwrap()
}

/// The query of a create.
pub(crate) fn named(id: &str) -> String {
    format!("meetingID={id}&name=Meeting+{id}")
}

pub(crate) fn is_success(answer: &Answer) -> bool {
    answer.status == 200 && answer.field("returncode") == "SUCCESS"
}

#[track_caller]
pub(crate) fn assert_success(answer: &Answer) {
    assert!(is_success(answer), "{} {}", answer.status, answer.text());
}
