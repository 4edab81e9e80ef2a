//! The shared store hangs, which no connection notices by itself: answers still come in time, and
//! it goes on when the store does.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use futures_util::future::try_join_all;
use testkit::private::Persistence;
use testkit::product::Product;
use testkit::stores::{Kind, Stores};
use tokio::time::Instant;

use crate::load::Load;
use crate::proof::prove;
use crate::tools::{
    FAST, SOON, assert_calm, is_unavailable, on_each_store, replicas, slow_down, told, until_health,
};

const SERVERS: usize = 3;
const CREATES: usize = 20;
const REFUSALS: usize = 60;
const CALLS: usize = 20;
/// What an answer takes that needs no look at the store.
const AT_ONCE: Duration = Duration::from_secs(1);

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

/// Of many who ask at the same time one finds out whether the store is back, and perhaps one of
/// another kind; the others are told at once.
async fn must_know(product: &Product) -> anyhow::Result<()> {
    let asking = (0..CALLS).map(async |n| {
        let started = Instant::now();
        let answer = product.call("getMeetingInfo", &format!("meetingID=c0-{n}")).await?;
        ensure!(is_unavailable(&answer), "{}", told(&answer));
        anyhow::Ok(started.elapsed())
    });
    let mut took = try_join_all(asking).await?;
    took.sort();
    ensure!(took[CALLS - 3] < AT_ONCE, "{took:?}");
    ensure!(took[CALLS - 1] < FAST, "{took:?}");
    Ok(())
}

async fn a_store_that_hangs_keeps_nobody_waiting(kind: Kind) -> anyhow::Result<()> {
    let stores = Stores::start_with(kind, Persistence::Always).await?;
    let settings = [("POLL_INTERVAL", "1"), ("DATABASE_STATEMENT_TIMEOUT", "1")];
    let world = replicas(2, &stores, SERVERS, &settings).await?;
    slow_down(&world.pool);
    let load = Load::on(&world.products);
    load.until_created(CREATES).await?;
    pause(&stores).await?;
    load.until_unavailable(REFUSALS).await?;
    for product in &world.products {
        until_health(product, 503).await?;
        must_know(product).await?;
    }
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
