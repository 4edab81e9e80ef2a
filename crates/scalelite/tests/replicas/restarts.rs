//! The shared store is killed under load and started again: calls fail fast meanwhile, no meeting
//! is lost or created twice, and the balancers recover by themselves.

use anyhow::{Context as _, ensure};
use futures_util::future::try_join_all;
use testkit::deployment::ReplicatedDeployment;
use testkit::private::Persistence;
use testkit::stores::{StoreKind, TestStores};

use crate::load::LoadClients;
use crate::proof::check_record;
use crate::tools::{
    assert_no_panic, create, health_status, on_each_store, slow_down, start_replicas,
    wait_for_health,
};

const SERVERS: usize = 4;
const CREATES: usize = 30;
/// Responses that the store is unavailable, before it is started again.
const REFUSALS: usize = 60;
const CONNECTIONS: usize = 40;

on_each_store!(a_store_that_restarts_loses_nothing, a_quick_restart_fails_no_call);

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
    let deployment = start_replicas(2, &stores, SERVERS, &[("POLL_INTERVAL", "1")]).await?;
    slow_down(&deployment.pool);
    let load = LoadClients::on(&deployment.products);
    load.wait_until_created(CREATES).await?;
    kill_state_store(&stores).await?;
    load.wait_until_unavailable(REFUSALS).await?;
    for product in &deployment.products {
        ensure!(health_status(product).await? == 503, "healthy without a store");
    }
    restart_state_store(&stores).await?;
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

/// Makes so many creates at the same time that each balancer opens all its connections to the
/// store.
async fn open_all_connections(deployment: &ReplicatedDeployment, name: &str) -> anyhow::Result<()> {
    let creates = (0..CONNECTIONS).map(async |n| {
        let product = &deployment.products[n % deployment.products.len()];
        create(product, &format!("{name}-{n}")).await
    });
    try_join_all(creates).await.map(drop)
}

async fn a_quick_restart_fails_no_call(kind: StoreKind) -> anyhow::Result<()> {
    let stores = TestStores::start_with(kind, Persistence::Always).await?;
    let deployment = start_replicas(2, &stores, SERVERS, &[]).await?;
    open_all_connections(&deployment, "before").await?;
    stop_state_store(&stores).await?;
    restart_state_store(&stores).await?;
    // At most one background job has used the store meanwhile. All other connections that the
    // balancers keep are closed ones.
    for product in &deployment.products {
        wait_for_health(product, 200).await?;
    }
    open_all_connections(&deployment, "after").await?;
    open_all_connections(&deployment, "before").await?;
    for product in &deployment.products {
        ensure!(health_status(product).await? == 200, "unhealthy");
    }
    assert_no_panic(&deployment.products);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn with_redis_calls_do_not_need_postgresql() {
    let stores =
        TestStores::start_with(StoreKind::RedisAndPostgres, Persistence::Always).await.unwrap();
    let deployment = start_replicas(2, &stores, SERVERS, &[("POLL_INTERVAL", "1")]).await.unwrap();
    slow_down(&deployment.pool);
    let load = LoadClients::on(&deployment.products);
    load.wait_until_created(CREATES).await.unwrap();
    let postgres = stores.postgres().unwrap();
    postgres.kill().await.unwrap();
    load.wait_until_created(CREATES).await.unwrap();
    for product in &deployment.products {
        assert_eq!(health_status(product).await.unwrap(), 200);
    }
    postgres.restart().await.unwrap();
    load.wait_until_created(CREATES).await.unwrap();
    let record = load.finish().await.unwrap();
    assert_eq!((record.unavailable, record.aborted, record.uncertain.len()), (0, 0, 0));
    check_record(&record, &deployment.products[1], &deployment.pool).await.unwrap();
    assert_no_panic(&deployment.products);
}
