//! The shared store hangs, which no connection notices by itself: calls are still answered, and
//! service continues when the store does.

use anyhow::{Context as _, ensure};
use testkit::stores::{StoreKind, TestStores};

use crate::load::LoadClients;
use crate::proof::check_record;
use crate::tools::{assert_no_panic, on_each_store, slow_down, start_replicas, wait_for_health};

const SERVERS: usize = 3;
const CREATES: usize = 20;
/// Answers that the store is unavailable. If every call waited for a timeout of the store, which is
/// a second, so many answers would take longer than [`testkit::product::DEADLINE`].
const REFUSALS: usize = 240;

on_each_store!(calls_are_answered_while_the_store_hangs);

async fn pause_store(stores: &TestStores) -> anyhow::Result<()> {
    match (stores.redis(), stores.postgres()) {
        (Some(redis), _) => redis.pause().await,
        (None, postgres) => postgres.context("no store")?.pause().await,
    }
}

fn resume_store(stores: &TestStores) -> anyhow::Result<()> {
    match (stores.redis(), stores.postgres()) {
        (Some(redis), _) => redis.resume(),
        (None, postgres) => postgres.context("no store")?.resume(),
    }
}

async fn calls_are_answered_while_the_store_hangs(kind: StoreKind) -> anyhow::Result<()> {
    let stores = TestStores::start(kind).await?;
    let settings = [("POLL_INTERVAL", "1"), ("DATABASE_STATEMENT_TIMEOUT", "1")];
    let deployment = start_replicas(2, &stores, SERVERS, &settings).await?;
    slow_down(&deployment.pool);
    let load = LoadClients::on(&deployment.products);
    load.wait_until_created(CREATES).await?;
    pause_store(&stores).await?;
    load.wait_until_unavailable(REFUSALS).await?;
    for product in &deployment.products {
        wait_for_health(product, 503).await?;
    }
    resume_store(&stores)?;
    load.wait_until_created(CREATES).await?;
    let record = load.finish().await?;
    ensure!(record.aborted == 0, "{} calls without a response", record.aborted);
    for product in &deployment.products {
        wait_for_health(product, 200).await?;
        check_record(&record, product, &deployment.pool).await?;
    }
    assert_no_panic(&deployment.products);
    Ok(())
}
