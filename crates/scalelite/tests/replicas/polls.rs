//! Replicas share the polls: together they ask each server once in an interval.

use std::time::Duration;

use anyhow::ensure;
use bbb_sim::Pool;
use testkit::product::until;
use testkit::stores::{Kind, Stores};
use tokio::time::Instant;

use crate::tools::{assert_calm, on_each_store, replicas};

const REPLICAS: usize = 3;
const SERVERS: usize = 3;
const INTERVALS: u64 = 4;
/// Of so many seconds; polls twice as often would take two.
const AT_LEAST: Duration = Duration::from_millis(3_000);
const AT_MOST: Duration = Duration::from_millis(8_000);

/// How often each server was polled so far.
pub(crate) fn asked(pool: &Pool) -> Vec<u64> {
    let polls = |server: &bbb_sim::Server| server.counts().get("getMeetings").copied();
    pool.servers().iter().map(|server| polls(server).unwrap_or_default()).collect()
}

async fn until_polled(pool: &Pool, more: u64) -> anyhow::Result<Instant> {
    let before = asked(pool);
    let polled = async || asked(pool).iter().zip(&before).all(|(now, old)| *now >= old + more);
    until("polled often enough", polled).await?;
    Ok(Instant::now())
}

on_each_store!(three_replicas_poll_once_in_an_interval);

async fn three_replicas_poll_once_in_an_interval(kind: Kind) -> anyhow::Result<()> {
    let stores = Stores::start(kind).await?;
    let world = replicas(REPLICAS, &stores, SERVERS, &[("POLL_INTERVAL", "1")]).await?;
    let since = until_polled(&world.pool, 1).await?;
    let before = asked(&world.pool);
    let took = until_polled(&world.pool, INTERVALS).await?.duration_since(since);
    let after = asked(&world.pool);
    ensure!((AT_LEAST..AT_MOST).contains(&took), "{INTERVALS} polls took {took:?}");
    for (before, after) in before.iter().zip(&after) {
        ensure!(after - before <= INTERVALS + 1, "{before} polls, {after} soon after");
    }
    assert_calm(&world.products);
    Ok(())
}
