//! Each shared store is taken away: `/readyz` names it, `/health_check` does not say success, and calls that do not need it go on.

use anyhow::ensure;
use serde_json::Value;
use testkit::product::{Product, new_request, wait_until};
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

const METRICS_TOKEN: &str = "token-of-the-tests";

/// The stores and whether metrics say that they can be used. Metrics are told whatever is away.
async fn stores_up(product: &Product) -> anyhow::Result<Vec<String>> {
    let mut request = new_request("GET", "/scalelite/metrics");
    request.headers.push(("Authorization".to_owned(), format!("Bearer {METRICS_TOKEN}")));
    let response = product.send(&request).await?;
    ensure!(response.status == 200, "{}", response.text());
    let text = response.text();
    let lines = text.lines().filter_map(|line| line.strip_prefix("scalelite_store_up{store="));
    let stores = lines.filter_map(|line| line.split_once('}'));
    let mut stores: Vec<String> = stores
        .map(|(store, up)| format!("{}{}", store.trim_matches('"'), up.trim_end_matches(".0")))
        .collect();
    stores.sort();
    Ok(stores)
}

#[tokio::test(flavor = "multi_thread")]
async fn each_store_that_is_taken_away_is_named_until_it_is_back() -> anyhow::Result<()> {
    let stores = TestStores::start(StoreKind::RedisAndPostgres).await?;
    let (Some(redis), Some(postgres)) = (stores.redis(), stores.postgres()) else {
        anyhow::bail!("no stores");
    };
    let deployment = start_replicas(1, &stores, 1, &[("METRICS_TOKEN", METRICS_TOKEN)]).await?;
    let product = &deployment.products[0];
    wait_for_failed(product, "", &[]).await?;
    ensure!(stores_up(product).await? == ["recordings 1", "state 1"]);

    postgres.stop().await?;
    wait_for_failed(product, "", &["recording-store"]).await?;
    ensure!(stores_up(product).await? == ["recordings 0", "state 1"]);
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
    ensure!(stores_up(product).await? == ["recordings 1", "state 0"]);
    ensure!(product.get("/livez").await?.status == 200, "not alive");
    redis.restart().await?;
    wait_for_failed(product, "", &[]).await?;
    wait_for_health(product, 200).await
}
