//! Shared functions of the tests in this directory.

use bbb_sim::{BbbPool, PoolOptions};
use testkit::deployment::TestDeployment;
use testkit::product::{ClientResponse, Setup};

/// A setup with an empty store.
pub(crate) fn setup() -> Setup {
    Setup::new(env!("CARGO_BIN_EXE_scalelite")).unwrap()
}

/// Starts a balancer with these settings and that many servers.
pub(crate) async fn start_deployment(servers: usize, settings: &[(&str, &str)]) -> TestDeployment {
    let binary = env!("CARGO_BIN_EXE_scalelite");
    TestDeployment::new(binary, servers, settings).await.unwrap()
}

/// Starts that many servers that are in no pool.
pub(crate) async fn start_pool(servers: usize) -> BbbPool {
    let options = PoolOptions { servers, ..PoolOptions::default() };
    BbbPool::start(options).await.unwrap()
}

/// The query of a create call.
pub(crate) fn create_query(id: &str) -> String {
    format!("meetingID={id}&name=Meeting+{id}")
}

pub(crate) fn is_success(response: &ClientResponse) -> bool {
    response.status == 200 && response.xml_field("returncode") == "SUCCESS"
}

#[track_caller]
pub(crate) fn assert_success(response: &ClientResponse) {
    assert!(is_success(response), "{} {}", response.status, response.text());
}
