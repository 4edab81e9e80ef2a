//! The shared store dies under load and comes back: calls fail fast meanwhile, nothing that was
//! answered is lost or doubled, and nobody has to restart anything of ours.

use anyhow::{Context as _, ensure};
use futures_util::future::try_join_all;
use testkit::deployment::ReplicatedDeployment;
use testkit::private::Persistence;
use testkit::stores::{StoreKind, TestStores};

use crate::load::LoadClients;
use crate::proof::check_record;
use crate::tools::{
    MAX_RECOVERY_TIME, MAX_RESPONSE_TIME, assert_no_panic, create, health_status, on_each_store,
    slow_down, start_replicas, wait_for_health,
};

const SERVERS: usize = 4;
const CREATES: usize = 30;
/// Answers that the store is unavailable, before it is started again.
const REFUSALS: usize = 60;
const CONNECTIONS: usize = 40;

on_each_store!(a_store_that_restarts_loses_nothing, a_quick_restart_disturbs_nobody);

async fn kill_state_store(stores: &TestStores) -> anyhow::Result<()> {
    match (stores.redis(), stores.postgres()) {
        (Some(redis), _) => redis.kill().await,
        (None, postgres) => postgres.context("no store")?.kill().await,
    }
}

async fn stop_state_store(stores: &TestStores) -> anyhow::Result<()> {
    match (stores.redis(), stores.postgres()) {
        (Some(redis), _) => redis.stop().await,
        (None, postgres) => postgres.context("no store")?.stop().await,
    }
}

async fn restart_state_store(stores: &TestStores) -> anyhow::Result<()> {
    match (stores.redis(), stores.postgres()) {
        (Some(redis), _) => redis.restart().await,
        (None, postgres) => postgres.context("no store")?.restart().await,
    }
}

async fn a_store_that_restarts_loses_nothing(kind: StoreKind) -> anyhow::Result<()> {
    let stores = TestStores::start_with(kind, Persistence::Always).await?;
    let world = start_replicas(2, &stores, SERVERS, &[("POLL_INTERVAL", "1")]).await?;
    slow_down(&world.pool);
    let load = LoadClients::on(&world.products);
    load.wait_until_created(CREATES).await?;
    kill_state_store(&stores).await?;
    load.wait_until_unavailable(REFUSALS).await?;
    for product in &world.products {
        ensure!(health_status(product).await? == 503, "healthy without a store");
    }
    restart_state_store(&stores).await?;
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

/// Opens the connections of all pools.
async fn open_all_connections(world: &ReplicatedDeployment, name: &str) -> anyhow::Result<()> {
    let crowd = (0..CONNECTIONS).map(async |n| {
        let product = &world.products[n % world.products.len()];
        create(product, &format!("{name}-{n}")).await
    });
    try_join_all(crowd).await.map(drop)
}

async fn a_quick_restart_disturbs_nobody(kind: StoreKind) -> anyhow::Result<()> {
    let stores = TestStores::start_with(kind, Persistence::Always).await?;
    let world = start_replicas(2, &stores, SERVERS, &[]).await?;
    open_all_connections(&world, "before").await?;
    stop_state_store(&stores).await?;
    restart_state_store(&stores).await?;
    // At most one of those who work in the background has asked meanwhile and been refused. All other
    // connections that are kept are dead ones.
    for product in &world.products {
        wait_for_health(product, 200).await?;
    }
    open_all_connections(&world, "after").await?;
    open_all_connections(&world, "before").await?;
    for product in &world.products {
        ensure!(health_status(product).await? == 200, "unhealthy");
    }
    assert_no_panic(&world.products);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn with_redis_calls_do_not_need_postgresql() {
    let stores =
        TestStores::start_with(StoreKind::RedisAndPostgres, Persistence::Always).await.unwrap();
    let world = start_replicas(2, &stores, SERVERS, &[("POLL_INTERVAL", "1")]).await.unwrap();
    slow_down(&world.pool);
    let load = LoadClients::on(&world.products);
    load.wait_until_created(CREATES).await.unwrap();
    let postgres = stores.postgres().unwrap();
    postgres.kill().await.unwrap();
    load.wait_until_created(CREATES).await.unwrap();
    for product in &world.products {
        assert_eq!(health_status(product).await.unwrap(), 200);
    }
    postgres.restart().await.unwrap();
    load.wait_until_created(CREATES).await.unwrap();
    let record = load.finish().await.unwrap();
    assert_eq!((record.unavailable, record.aborted, record.uncertain.len()), (0, 0, 0));
    assert!(record.slowest < MAX_RESPONSE_TIME, "somebody waited {:?}", record.slowest);
    check_record(&record, &world.products[1], &world.pool).await.unwrap();
    assert_no_panic(&world.products);
}
