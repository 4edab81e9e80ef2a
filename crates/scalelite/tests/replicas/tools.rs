//! Replicas to test, and calls and checks that the tests of this folder share.

use std::time::Duration;

use anyhow::ensure;
use bbb_sim::{BbbPool, Latency};
use testkit::deployment::{ReplicatedDeployment, TestDeployment};
use testkit::product::{ClientResponse, Product, wait_until};
pub(crate) use testkit::responses::{create_query, describe_response, is_success, is_unavailable};
use testkit::stores::TestStores;

/// Makes a test of each function, which runs it on each kind of shared store at the same time,
/// since these tests mostly wait.
macro_rules! on_each_store {
    ($($test:ident),+ $(,)?) => {
        $(mod $test {
            use anyhow::Context as _;
            use testkit::stores::StoreKind;

            #[tokio::test(flavor = "multi_thread")]
            async fn on_each_store() {
                let redis = super::$test(StoreKind::RedisAndPostgres);
                let (redis, postgres) = tokio::join!(redis, super::$test(StoreKind::Postgres));
                redis.context("on Redis").unwrap();
                postgres.context("on PostgreSQL").unwrap();
            }
        })+
    };
}
pub(crate) use on_each_store;

/// Starts `count` replicas with `servers` simulated servers.
pub(crate) async fn start_replicas(
    count: usize,
    stores: &TestStores,
    servers: usize,
    settings: &[(&str, &str)],
) -> anyhow::Result<ReplicatedDeployment> {
    TestDeployment::start_replicas(
        count,
        stores,
        env!("CARGO_BIN_EXE_scalelite"),
        servers,
        settings,
    )
    .await
}

/// Makes the servers answer about as slowly as real ones.
pub(crate) fn slow_down(pool: &BbbPool) {
    let latency = Latency::LogNormal { median: Duration::from_millis(15), sigma: 0.5, seed: 1 };
    pool.servers().iter().for_each(|server| server.set_latency(latency.clone()));
}

/// Creates a meeting, which must succeed.
pub(crate) async fn create(product: &Product, id: &str) -> anyhow::Result<ClientResponse> {
    let response = product.call("create", &create_query(id)).await?;
    ensure!(is_success(&response), "create {id}: {}", describe_response(&response));
    Ok(response)
}

/// The HTTP status of the health check.
pub(crate) async fn health_status(product: &Product) -> anyhow::Result<u16> {
    Ok(product.get("/health_check").await?.status)
}

pub(crate) async fn wait_for_health(product: &Product, status: u16) -> anyhow::Result<()> {
    let has_status = async || health_status(product).await.is_ok_and(|found| found == status);
    wait_until(&format!("health_check answers {status}"), has_status).await
}

/// Waits until a create succeeds.
pub(crate) async fn wait_until_served(product: &Product, prefix: &str) -> anyhow::Result<()> {
    let mut attempts = 0;
    let is_served = async || {
        attempts += 1;
        create(product, &format!("{prefix}-{attempts}")).await.is_ok()
    };
    wait_until("served", is_served).await
}

/// Asserts that no balancer has logged a panic.
pub(crate) fn assert_no_panic(products: &[Product]) {
    for product in products {
        assert!(!product.log().contains("panicked"), "{}", product.log());
    }
}
