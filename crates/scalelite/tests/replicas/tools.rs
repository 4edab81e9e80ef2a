//! What the tests of this folder share.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use bbb_sim::{BbbPool, Latency};
use testkit::deployment::{ReplicatedDeployment, TestDeployment};
use testkit::product::{ClientResponse, Product, wait_until};
pub(crate) use testkit::responses::{create_query, describe_response, is_success, is_unavailable};
use testkit::stores::TestStores;
use tokio::time::{Instant, timeout};

/// The longest that anybody may wait for an answer while a store is away.
pub(crate) const MAX_RESPONSE_TIME: Duration = Duration::from_secs(5);
/// How soon service is back when its store is.
pub(crate) const MAX_RECOVERY_TIME: Duration = Duration::from_secs(5);

/// Makes a test of each story, which tells it over each kind of shared store; side by side, since
/// these stories mostly wait.
macro_rules! on_each_store {
    ($($story:ident),+ $(,)?) => {
        $(mod $story {
            use anyhow::Context as _;
            use testkit::stores::StoreKind;

            #[tokio::test(flavor = "multi_thread")]
            async fn on_each_store() {
                let redis = super::$story(StoreKind::RedisAndPostgres);
                let (redis, postgres) = tokio::join!(redis, super::$story(StoreKind::Postgres));
                redis.context("on Redis").unwrap();
                postgres.context("on PostgreSQL").unwrap();
            }
        })+
    };
}
pub(crate) use on_each_store;

/// So many replicas in front of so many servers.
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

/// Servers that take about as long as real ones do.
pub(crate) fn slow_down(pool: &BbbPool) {
    let latency = Latency::LogNormal { median: Duration::from_millis(15), sigma: 0.5, seed: 1 };
    pool.servers().iter().for_each(|server| server.set_latency(latency.clone()));
}

/// Asserts a create that succeeds at once.
pub(crate) async fn create(product: &Product, id: &str) -> anyhow::Result<ClientResponse> {
    let answer = product.call("create", &create_query(id)).await?;
    ensure!(is_success(&answer), "create {id}: {}", describe_response(&answer));
    Ok(answer)
}

/// What the health check answers, which it does soon.
pub(crate) async fn health_status(product: &Product) -> anyhow::Result<u16> {
    let answer = timeout(MAX_RESPONSE_TIME, product.get("/health_check")).await;
    Ok(answer.context("health_check takes too long")??.status)
}

pub(crate) async fn wait_for_health(product: &Product, status: u16) -> anyhow::Result<()> {
    let is_so = async || health_status(product).await.is_ok_and(|now| now == status);
    wait_until(&format!("health_check answers {status}"), is_so).await
}

/// Waits until a create succeeds, which is soon.
pub(crate) async fn wait_until_served(product: &Product, prefix: &str) -> anyhow::Result<()> {
    let (started, mut n) = (Instant::now(), 0);
    let served = async || {
        n += 1;
        create(product, &format!("{prefix}-{n}")).await.is_ok()
    };
    wait_until("served", served).await?;
    ensure!(started.elapsed() < MAX_RECOVERY_TIME, "served only after {:?}", started.elapsed());
    Ok(())
}

/// None of them has panicked; that they live is seen by their answers.
pub(crate) fn assert_no_panic(products: &[Product]) {
    for product in products {
        assert!(!product.log().contains("panicked"), "{}", product.log());
    }
}
