//! Started before its store: it listens, says what is missing, and works when the store is there.

use anyhow::ensure;
use bbb_sim::{Pool, PoolOptions};
use testkit::product::{DEADLINE, Setup, until};
use testkit::stores::{Kind, Stores};
use tokio::time::timeout;

use crate::tools::{
    FAST, assert_calm, health, is_unavailable, named, on_each_store, told, until_health,
    until_served,
};

on_each_store!(a_store_may_come_later);

async fn a_store_may_come_later(kind: Kind) -> anyhow::Result<()> {
    let stores = Stores::start(kind).await?;
    let (redis, postgres) = (stores.redis(), stores.postgres());
    if let Some(redis) = redis {
        redis.stop().await?;
    }
    if let Some(postgres) = postgres {
        postgres.stop().await?;
    }
    let setup = Setup::new(env!("CARGO_BIN_EXE_scalelite"))?.on(&stores);
    let mut product = setup.with("POLL_INTERVAL", "1").spawn()?;
    timeout(DEADLINE, product.until_listening()).await??;
    ensure!(health(&product).await? == 503, "healthy without a store");
    let early = timeout(FAST, product.call("create", &named("early"))).await??;
    ensure!(is_unavailable(&early), "{}", told(&early));
    let name = if kind == Kind::Postgres { "PostgreSQL" } else { "Redis" };
    let logged = async || {
        let log = product.log();
        log.contains("health check fails") && log.contains(name)
    };
    until("logged", logged).await?;
    if let Some(postgres) = postgres {
        postgres.restart().await?;
    }
    if let Some(redis) = redis {
        redis.restart().await?;
    }
    until_health(&product, 200).await?;
    let pool = Pool::start(PoolOptions { servers: 1, ..PoolOptions::default() }).await?;
    product.add(&pool.servers()[0]).await?;
    until_served(&product, "later").await?;
    // The poller, too, has begun by itself.
    let polls = || crate::polls::asked(&pool)[0];
    let before = polls();
    until("polled", async || polls() > before).await?;
    assert_calm(&[product]);
    Ok(())
}
