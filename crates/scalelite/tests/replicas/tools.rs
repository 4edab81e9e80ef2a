//! What the tests of this folder share.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use bbb_sim::{Latency, Pool};
pub(crate) use testkit::answers::{is_success, is_unavailable, named, told};
use testkit::product::{Answer, Product, until};
use testkit::stores::Stores;
use testkit::world::{Replicas, World};
use tokio::time::{Instant, timeout};

/// The longest that anybody may wait for an answer while a store is away.
pub(crate) const FAST: Duration = Duration::from_secs(5);
/// How soon service is back when its store is.
pub(crate) const SOON: Duration = Duration::from_secs(5);

/// Makes a test of each story, which tells it over each kind of shared store; side by side, since
/// these stories mostly wait.
macro_rules! on_each_store {
    ($($story:ident),+ $(,)?) => {
        $(mod $story {
            use anyhow::Context as _;
            use testkit::stores::Kind;

            #[tokio::test(flavor = "multi_thread")]
            async fn on_each_store() {
                let redis = super::$story(Kind::RedisAndPostgres);
                let (redis, postgres) = tokio::join!(redis, super::$story(Kind::Postgres));
                redis.context("on Redis").unwrap();
                postgres.context("on PostgreSQL").unwrap();
            }
        })+
    };
}
pub(crate) use on_each_store;

/// So many replicas in front of so many servers.
pub(crate) async fn replicas(
    count: usize,
    stores: &Stores,
    servers: usize,
    settings: &[(&str, &str)],
) -> anyhow::Result<Replicas> {
    World::replicas(count, stores, env!("CARGO_BIN_EXE_scalelite"), servers, settings).await
}

/// Servers that take about as long as real ones do.
pub(crate) fn slow_down(pool: &Pool) {
    let latency = Latency::LogNormal { median: Duration::from_millis(15), sigma: 0.5, seed: 1 };
    pool.servers().iter().for_each(|server| server.set_latency(latency.clone()));
}

/// Asserts a create that succeeds at once.
pub(crate) async fn create(product: &Product, id: &str) -> anyhow::Result<Answer> {
    let answer = product.call("create", &named(id)).await?;
    ensure!(is_success(&answer), "create {id}: {}", told(&answer));
    Ok(answer)
}

/// What the health check answers, which it does soon.
pub(crate) async fn health(product: &Product) -> anyhow::Result<u16> {
    let answer = timeout(FAST, product.get("/health_check")).await;
    Ok(answer.context("health_check takes too long")??.status)
}

pub(crate) async fn until_health(product: &Product, status: u16) -> anyhow::Result<()> {
    let is_so = async || health(product).await.is_ok_and(|now| now == status);
    until(&format!("health_check answers {status}"), is_so).await
}

/// Waits until a create succeeds, which is soon.
pub(crate) async fn until_served(product: &Product, prefix: &str) -> anyhow::Result<()> {
    let (started, mut n) = (Instant::now(), 0);
    let served = async || {
        n += 1;
        create(product, &format!("{prefix}-{n}")).await.is_ok()
    };
    until("served", served).await?;
    ensure!(started.elapsed() < SOON, "served only after {:?}", started.elapsed());
    Ok(())
}

/// None of them has panicked; that they live is seen by their answers.
pub(crate) fn assert_calm(products: &[Product]) {
    for product in products {
        assert!(!product.log().contains("panicked"), "{}", product.log());
    }
}
