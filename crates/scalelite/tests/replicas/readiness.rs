//! Each shared store is taken away: `/readyz` names it, `/health_check` does not say success, and calls that do not need it go on.

use anyhow::ensure;
use serde_json::Value;
use testkit::product::{Product, wait_until};
use testkit::stores::{StoreKind, TestStores};

use crate::tools::{create, health_status, start_replicas, wait_for_health};

async fn wait_for_failed(product: &Product, query: &str, expected: &[&str]) -> anyhow::Result<()> {
    let found = async || {
        let Ok(response) = product.get(&format!("/readyz{query}")).await else { return false };
        let answer: Value = serde_json::from_str(&response.text()).unwrap_or_default();
        let parts = answer["parts"].as_array().cloned().unwrap_or_default();
        let failed = parts.iter().filter(|part| part["status"] == "failed");
        let failed: Vec<_> = failed.filter_map(|part| part["name"].as_str()).collect();
        let status = if expected.is_empty() || !query.is_empty() { 200 } else { 503 };
        response.status == status && failed == expected
    };
    wait_until(&format!("failed: {expected:?}"), found).await
}

#[tokio::test(flavor = "multi_thread")]
async fn each_store_that_is_taken_away_is_named_until_it_is_back() -> anyhow::Result<()> {
    let stores = TestStores::start(StoreKind::RedisAndPostgres).await?;
    let (Some(redis), Some(postgres)) = (stores.redis(), stores.postgres()) else {
        anyhow::bail!("no stores");
    };
    let deployment = start_replicas(1, &stores, 1, &[]).await?;
    let product = &deployment.products[0];
    wait_for_failed(product, "", &[]).await?;

    postgres.stop().await?;
    wait_for_failed(product, "", &["recording-store"]).await?;
    // Meetings go on, and a proxy that looks at the status goes on sending them here.
    wait_for_failed(product, "?exclude=recording-store", &["recording-store"]).await?;
    create(product, "without-recordings").await?;
    let health = product.get("/health_check").await?;
    let text = "failure: the recording store cannot be used, meetings go on";
    ensure!((health.status, health.text().as_str()) == (200, text), "{}", health.text());
    postgres.restart().await?;
    wait_for_failed(product, "", &[]).await?;
    ensure!(product.get("/health_check").await?.text() == "success");

    redis.stop().await?;
    wait_for_failed(product, "", &["state-store", "poller"]).await?;
    ensure!(health_status(product).await? == 503, "healthy without Redis");
    ensure!(product.get("/livez").await?.status == 200, "not alive");
    redis.restart().await?;
    wait_for_failed(product, "", &[]).await?;
    wait_for_health(product, 200).await
}
