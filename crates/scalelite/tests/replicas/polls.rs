//! Replicas share the polls: together they ask each server once in an interval.

use std::time::Duration;

use anyhow::ensure;
use bbb_sim::BbbPool;
use testkit::product::wait_until;
use testkit::stores::{StoreKind, TestStores};
use tokio::time::Instant;

use crate::tools::{assert_no_panic, on_each_store, start_replicas};

const REPLICAS: usize = 3;
const SERVERS: usize = 3;
const INTERVALS: u64 = 4;
/// Of so many seconds; polls twice as often would take two.
const MIN_TIME: Duration = Duration::from_millis(3_000);
const MAX_TIME: Duration = Duration::from_millis(8_000);

/// How often each server was polled so far.
pub(crate) fn count_polls(pool: &BbbPool) -> Vec<u64> {
    let polls = |server: &bbb_sim::BbbServer| server.call_counts().get("getMeetings").copied();
    pool.servers().iter().map(|server| polls(server).unwrap_or_default()).collect()
}

async fn wait_until_polled(pool: &BbbPool, more: u64) -> anyhow::Result<Instant> {
    let before = count_polls(pool);
    let polled =
        async || count_polls(pool).iter().zip(&before).all(|(now, old)| *now >= old + more);
    wait_until("polled often enough", polled).await?;
    Ok(Instant::now())
}

on_each_store!(three_replicas_poll_once_in_an_interval);

async fn three_replicas_poll_once_in_an_interval(kind: StoreKind) -> anyhow::Result<()> {
    let stores = TestStores::start(kind).await?;
    let world = start_replicas(REPLICAS, &stores, SERVERS, &[("POLL_INTERVAL", "1")]).await?;
    let since = wait_until_polled(&world.pool, 1).await?;
    let before = count_polls(&world.pool);
    let took = wait_until_polled(&world.pool, INTERVALS).await?.duration_since(since);
    let after = count_polls(&world.pool);
    ensure!((MIN_TIME..MAX_TIME).contains(&took), "{INTERVALS} polls took {took:?}");
    for (before, after) in before.iter().zip(&after) {
        ensure!(after - before <= INTERVALS + 1, "{before} polls, {after} soon after");
    }
    assert_no_panic(&world.products);
    Ok(())
}
