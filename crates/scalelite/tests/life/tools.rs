//! What the tests of this folder share.

use bbb_sim::{BbbPool, PoolOptions};
use testkit::deployment::TestDeployment;
use testkit::product::{ClientResponse, Setup};

/// A setup of its own.
pub(crate) fn setup() -> Setup {
    Setup::new(env!("CARGO_BIN_EXE_scalelite")).unwrap()
}

/// A balancer of these settings with that many servers.
pub(crate) async fn start_deployment(servers: usize, settings: &[(&str, &str)]) -> TestDeployment {
    let binary = env!("CARGO_BIN_EXE_scalelite");
    TestDeployment::new(binary, servers, settings).await.unwrap()
}

/// That many servers of which no balancer knows.
pub(crate) async fn start_pool(servers: usize) -> BbbPool {
    let options = PoolOptions { servers, ..PoolOptions::default() };
    BbbPool::start(options).await.unwrap()
}

/// The query of a create.
pub(crate) fn create_query(id: &str) -> String {
    format!("meetingID={id}&name=Meeting+{id}")
}

pub(crate) fn is_success(answer: &ClientResponse) -> bool {
    answer.status == 200 && answer.xml_field("returncode") == "SUCCESS"
}

#[track_caller]
pub(crate) fn assert_success(answer: &ClientResponse) {
    assert!(is_success(answer), "{} {}", answer.status, answer.text());
}
