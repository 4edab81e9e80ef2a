//! The shared store hangs, which no connection notices by itself: answers still come in time, and
//! it goes on when the store does.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use futures_util::future::try_join_all;
use testkit::product::Product;
use testkit::stores::{StoreKind, TestStores};
use tokio::time::{Instant, sleep};

use crate::load::LoadClients;
use crate::proof::check_record;
use crate::tools::{
    MAX_RECOVERY_TIME, MAX_RESPONSE_TIME, assert_no_panic, describe_response, is_unavailable,
    on_each_store, slow_down, start_replicas, wait_for_health,
};

const SERVERS: usize = 3;
const CREATES: usize = 20;
const REFUSALS: usize = 60;
/// Calls that cover more than one attempt to reach the store.
const CALLS: u32 = 25;
const CALL_INTERVAL: Duration = Duration::from_millis(100);
/// What an answer takes that needs no look at the store.
const MAX_FAST_RESPONSE: Duration = Duration::from_millis(800);

on_each_store!(a_store_that_hangs_keeps_nobody_waiting);

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

/// Of those who ask one finds out now and then whether the store is back; all others are told at
/// once.
async fn assert_outage_known(product: &Product) -> anyhow::Result<()> {
    let asking = (0_u32..CALLS).map(async |n| {
        // One after the other, whether the last one was answered or not.
        sleep(CALL_INTERVAL * n).await;
        let started = Instant::now();
        let answer = product.call("getMeetingInfo", &format!("meetingID=c0-{n}")).await?;
        ensure!(is_unavailable(&answer), "{}", describe_response(&answer));
        anyhow::Ok(started.elapsed())
    });
    let mut took = try_join_all(asking).await?;
    took.sort();
    let slow = took.iter().filter(|took| **took > MAX_FAST_RESPONSE).count();
    ensure!(slow <= 3 && took.iter().all(|took| *took < MAX_RESPONSE_TIME), "{took:?}");
    Ok(())
}

async fn a_store_that_hangs_keeps_nobody_waiting(kind: StoreKind) -> anyhow::Result<()> {
    let stores = TestStores::start(kind).await?;
    let settings = [("POLL_INTERVAL", "1"), ("DATABASE_STATEMENT_TIMEOUT", "1")];
    let world = start_replicas(2, &stores, SERVERS, &settings).await?;
    slow_down(&world.pool);
    let load = LoadClients::on(&world.products);
    load.wait_until_created(CREATES).await?;
    pause_store(&stores).await?;
    load.wait_until_unavailable(REFUSALS).await?;
    for product in &world.products {
        wait_for_health(product, 503).await?;
    }
    try_join_all(world.products.iter().map(assert_outage_known)).await?;
    resume_store(&stores)?;
    let took = load.wait_until_created(CREATES).await?;
    ensure!(took < MAX_RECOVERY_TIME, "served only after {took:?}");
    let record = load.finish().await?;
    ensure!(record.aborted == 0, "{} calls without an answer", record.aborted);
    ensure!(record.slowest < MAX_RESPONSE_TIME, "somebody waited {:?}", record.slowest);
    for product in &world.products {
        wait_for_health(product, 200).await?;
        check_record(&record, product, &world.pool).await?;
    }
    assert_no_panic(&world.products);
    Ok(())
}
