//! A balancer that is started before its store: it listens, logs what is missing, and works as soon
//! as the store runs.

use anyhow::ensure;
use bbb_sim::{BbbPool, PoolOptions};
use testkit::product::{DEADLINE, Setup, wait_until};
use testkit::stores::{StoreKind, TestStores};
use tokio::time::timeout;

use crate::tools::{
    assert_no_panic, create_query, describe_response, health_status, is_unavailable, on_each_store,
    wait_for_health, wait_until_served,
};

on_each_store!(a_store_may_start_later);

async fn a_store_may_start_later(kind: StoreKind) -> anyhow::Result<()> {
    let stores = TestStores::start(kind).await?;
    let (redis, postgres) = (stores.redis(), stores.postgres());
    if let Some(redis) = redis {
        redis.stop().await?;
    }
    if let Some(postgres) = postgres {
        postgres.stop().await?;
    }
    let setup = Setup::new(env!("CARGO_BIN_EXE_scalelite"))?.with_stores(&stores);
    let mut product = setup.with_setting("POLL_INTERVAL", "1").spawn()?;
    timeout(DEADLINE, product.wait_until_listening()).await??;
    ensure!(health_status(&product).await? == 503, "healthy without a store");
    let early = product.call("create", &create_query("early")).await?;
    ensure!(is_unavailable(&early), "{}", describe_response(&early));
    let name = if kind == StoreKind::Postgres { "PostgreSQL" } else { "Redis" };
    let is_logged = async || {
        let log = product.log();
        log.contains("part failed") && log.contains(name)
    };
    wait_until("logged", is_logged).await?;
    if let Some(postgres) = postgres {
        postgres.restart().await?;
    }
    if let Some(redis) = redis {
        redis.restart().await?;
    }
    wait_for_health(&product, 200).await?;
    let pool = BbbPool::start(PoolOptions { servers: 1, ..PoolOptions::default() }).await?;
    product.add_simulated_server(&pool.servers()[0]).await?;
    wait_until_served(&product, "later").await?;
    // The poller has started by itself as well.
    let polls = || crate::polls::count_polls(&pool)[0];
    let before = polls();
    wait_until("polled", async || polls() > before).await?;
    assert_no_panic(&[product]);
    Ok(())
}
