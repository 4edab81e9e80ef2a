//! The shared store dies under load and comes back: calls fail fast meanwhile, nothing that was
//! answered is lost or doubled, and nobody has to restart anything of ours.

use anyhow::{Context as _, ensure};
use futures_util::future::try_join_all;
use testkit::private::Persistence;
use testkit::stores::{Kind, Stores};
use testkit::world::Replicas;

use crate::load::Load;
use crate::proof::prove;
use crate::tools::{
    FAST, SOON, assert_calm, create, health, on_each_store, replicas, slow_down, until_health,
};

const SERVERS: usize = 4;
const CREATES: usize = 30;
/// Answers that the store is unavailable, before it is started again.
const REFUSALS: usize = 60;
const CONNECTIONS: usize = 40;

on_each_store!(a_store_that_restarts_loses_nothing, a_quick_restart_disturbs_nobody);

async fn kill_hot_store(stores: &Stores) -> anyhow::Result<()> {
    match (stores.redis(), stores.postgres()) {
        (Some(redis), _) => redis.kill().await,
        (None, postgres) => postgres.context("no store")?.kill().await,
    }
}

async fn stop_hot_store(stores: &Stores) -> anyhow::Result<()> {
    match (stores.redis(), stores.postgres()) {
        (Some(redis), _) => redis.stop().await,
        (None, postgres) => postgres.context("no store")?.stop().await,
    }
}

async fn restart_hot_store(stores: &Stores) -> anyhow::Result<()> {
    match (stores.redis(), stores.postgres()) {
        (Some(redis), _) => redis.restart().await,
        (None, postgres) => postgres.context("no store")?.restart().await,
    }
}

async fn a_store_that_restarts_loses_nothing(kind: Kind) -> anyhow::Result<()> {
    let stores = Stores::start_with(kind, Persistence::Always).await?;
    let world = replicas(2, &stores, SERVERS, &[("POLL_INTERVAL", "1")]).await?;
    slow_down(&world.pool);
    let load = Load::on(&world.products);
    load.until_created(CREATES).await?;
    kill_hot_store(&stores).await?;
    load.until_unavailable(REFUSALS).await?;
    for product in &world.products {
        ensure!(health(product).await? == 503, "healthy without a store");
    }
    restart_hot_store(&stores).await?;
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

/// Opens the connections of all pools.
async fn crowd(world: &Replicas, name: &str) -> anyhow::Result<()> {
    let crowd = (0..CONNECTIONS).map(async |n| {
        let product = &world.products[n % world.products.len()];
        create(product, &format!("{name}-{n}")).await
    });
    try_join_all(crowd).await.map(drop)
}

async fn a_quick_restart_disturbs_nobody(kind: Kind) -> anyhow::Result<()> {
    let stores = Stores::start_with(kind, Persistence::Always).await?;
    let world = replicas(2, &stores, SERVERS, &[]).await?;
    crowd(&world, "before").await?;
    stop_hot_store(&stores).await?;
    restart_hot_store(&stores).await?;
    // At most one of those who work in the background has asked meanwhile and been refused. All other
    // connections that are kept are dead ones.
    for product in &world.products {
        until_health(product, 200).await?;
    }
    crowd(&world, "after").await?;
    crowd(&world, "before").await?;
    for product in &world.products {
        ensure!(health(product).await? == 200, "unhealthy");
    }
    assert_calm(&world.products);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn with_redis_calls_do_not_need_postgresql() {
    let stores = Stores::start_with(Kind::RedisAndPostgres, Persistence::Always).await.unwrap();
    let world = replicas(2, &stores, SERVERS, &[("POLL_INTERVAL", "1")]).await.unwrap();
    slow_down(&world.pool);
    let load = Load::on(&world.products);
    load.until_created(CREATES).await.unwrap();
    let postgres = stores.postgres().unwrap();
    postgres.kill().await.unwrap();
    load.until_created(CREATES).await.unwrap();
    for product in &world.products {
        assert_eq!(health(product).await.unwrap(), 200);
    }
    postgres.restart().await.unwrap();
    load.until_created(CREATES).await.unwrap();
    let record = load.finish().await.unwrap();
    assert_eq!((record.unavailable, record.cut, record.uncertain.len()), (0, 0, 0));
    assert!(record.slowest < FAST, "somebody waited {:?}", record.slowest);
    prove(&record, &world.products[1], &world.pool).await.unwrap();
    assert_calm(&world.products);
}
