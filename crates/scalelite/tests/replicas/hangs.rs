//! The shared store hangs, which no connection notices by itself: answers still come in time, and
//! it goes on when the store does.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use futures_util::future::try_join_all;
use testkit::product::Product;
use testkit::stores::{Kind, Stores};
use tokio::time::{Instant, sleep};

use crate::load::Load;
use crate::proof::prove;
use crate::tools::{
    FAST, SOON, assert_calm, is_unavailable, on_each_store, replicas, slow_down, told, until_health,
};

const SERVERS: usize = 3;
const CREATES: usize = 20;
const REFUSALS: usize = 60;
/// Calls that cover more than one attempt to reach the store.
const CALLS: u32 = 25;
const EVERY: Duration = Duration::from_millis(100);
/// What an answer takes that needs no look at the store.
const AT_ONCE: Duration = Duration::from_millis(800);

on_each_store!(a_store_that_hangs_keeps_nobody_waiting);

async fn pause(stores: &Stores) -> anyhow::Result<()> {
    match (stores.redis(), stores.postgres()) {
        (Some(redis), _) => redis.pause().await,
        (None, postgres) => postgres.context("no store")?.pause().await,
    }
}

fn go_on(stores: &Stores) -> anyhow::Result<()> {
    match (stores.redis(), stores.postgres()) {
        (Some(redis), _) => redis.go_on(),
        (None, postgres) => postgres.context("no store")?.go_on(),
    }
}

/// Of those who ask one finds out now and then whether the store is back; all others are told at
/// once.
async fn must_know(product: &Product) -> anyhow::Result<()> {
    let asking = (0_u32..CALLS).map(async |n| {
        // One after the other, whether the last one was answered or not.
        sleep(EVERY * n).await;
        let started = Instant::now();
        let answer = product.call("getMeetingInfo", &format!("meetingID=c0-{n}")).await?;
        ensure!(is_unavailable(&answer), "{}", told(&answer));
        anyhow::Ok(started.elapsed())
    });
    let mut took = try_join_all(asking).await?;
    took.sort();
    let slow = took.iter().filter(|took| **took > AT_ONCE).count();
    ensure!(slow <= 3 && took.iter().all(|took| *took < FAST), "{took:?}");
    Ok(())
}

async fn a_store_that_hangs_keeps_nobody_waiting(kind: Kind) -> anyhow::Result<()> {
    let stores = Stores::start(kind).await?;
    let settings = [("POLL_INTERVAL", "1"), ("DATABASE_STATEMENT_TIMEOUT", "1")];
    let world = replicas(2, &stores, SERVERS, &settings).await?;
    slow_down(&world.pool);
    let load = Load::on(&world.products);
    load.until_created(CREATES).await?;
    pause(&stores).await?;
    load.until_unavailable(REFUSALS).await?;
    for product in &world.products {
        until_health(product, 503).await?;
    }
    try_join_all(world.products.iter().map(must_know)).await?;
    go_on(&stores)?;
    let took = load.until_created(CREATES).await?;
    ensure!(took < SOON, "served only after {took:?}");
    let record = load.finish().await?;
    ensure!(record.cut == 0, "{} calls without an answer", record.cut);
    ensure!(record.slowest < FAST, "somebody waited {:?}", record.slowest);
    for product in &world.products {
        until_health(product, 200).await?;
        prove(&record, product, &world.pool).await?;
    }
    assert_calm(&world.products);
    Ok(())
}
