//! Replicas share the polls: together they poll each server once in an interval.

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
/// The shortest time for the polls of [`INTERVALS`] seconds. If two replicas polled, the polls
/// would take two seconds.
const MIN_TIME: Duration = Duration::from_millis(3_000);

/// The number of polls of each server so far.
pub(crate) fn count_polls(pool: &BbbPool) -> Vec<u64> {
    let polls = |server: &bbb_sim::BbbServer| server.call_counts().get("getMeetings").copied();
    pool.servers().iter().map(|server| polls(server).unwrap_or_default()).collect()
}

/// Waits until each server was polled `count` more times; returns the time of the last poll.
async fn wait_until_polled(pool: &BbbPool, count: u64) -> anyhow::Result<Instant> {
    let before = count_polls(pool);
    let is_polled =
        async || count_polls(pool).iter().zip(&before).all(|(now, before)| *now >= before + count);
    wait_until("polled often enough", is_polled).await?;
    Ok(Instant::now())
}

on_each_store!(three_replicas_poll_once_in_an_interval);

async fn three_replicas_poll_once_in_an_interval(kind: StoreKind) -> anyhow::Result<()> {
    let stores = TestStores::start(kind).await?;
    let deployment = start_replicas(REPLICAS, &stores, SERVERS, &[("POLL_INTERVAL", "1")]).await?;
    let since = wait_until_polled(&deployment.pool, 1).await?;
    let before = count_polls(&deployment.pool);
    let time = wait_until_polled(&deployment.pool, INTERVALS).await?.duration_since(since);
    let after = count_polls(&deployment.pool);
    ensure!(time >= MIN_TIME, "{INTERVALS} polls took only {time:?}");
    for (before, after) in before.iter().zip(&after) {
        ensure!(
            after - before <= INTERVALS + 1,
            "{before} polls before, {after} after {INTERVALS} intervals"
        );
    }
    assert_no_panic(&deployment.products);
    Ok(())
}
