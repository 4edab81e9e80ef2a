//! A poll cycle by the command, compared with fetching the same lists from all servers at once.

use super::Plan;
use crate::client::{Connection, Expect};
use crate::report::Row;
use crate::round::Round;
use crate::sign;
use crate::stage::Stage;
use crate::stats::{median, ms, within_ms};
use crate::watch::now;
use anyhow::ensure;
use bbb_sim::{Latency, Server};
use std::time::Duration;
use tokio::task::JoinSet;

const SERVERS: usize = 200;
const MEETINGS_EACH: usize = 20;
const AWAY: Duration = Duration::from_millis(20);

/// The meetings are created through the balancer: only of such meetings does a poll record
/// anything.
pub(super) async fn run(plan: &Plan) -> anyhow::Result<Vec<Row>> {
    let stage = Stage::set(&plan.program, SERVERS, 0).await?;
    stage.create(SERVERS * MEETINGS_EACH).await?;
    for server in stage.pool.servers() {
        server.set_latency(Latency::Fixed(AWAY));
    }
    let (mut product, mut floor) = (Round::default(), Round::default());
    let mut ratios = Vec::new();
    for round in 0..=plan.rounds {
        let fetched = fetch_all(stage.pool.servers()).await?;
        let polled = poll(&stage).await?;
        // The first of each does not count.
        if round > 0 {
            ratios.push(ms(&fetched) / ms(&polled));
            floor.latencies.push(fetched);
            product.latencies.push(polled);
        }
    }
    stage.clear().await?;
    let typical = |round: &Round| median(round.latencies.iter().map(ms));
    let worst = within_ms(std::slice::from_ref(&product), 1.0);
    Ok(vec![Row {
        what: format!("poll all, {SERVERS} servers"),
        product: format!("{:.0} ms", typical(&product)),
        floor: format!("{:.0} ms", typical(&floor)),
        ratio: Some(median(ratios)),
        within_ms: Some((typical(&product), worst)),
        ..Row::default()
    }])
}

/// One poll, of which every server must have seen something.
async fn poll(stage: &Stage) -> anyhow::Result<Duration> {
    let before = lists_asked(stage);
    let took = stage.product.poll().await?;
    let asked = lists_asked(stage).into_iter().zip(before);
    let left_out = asked.filter(|(after, before)| after <= before).count();
    ensure!(left_out == 0, "{left_out} servers were not polled");
    Ok(took)
}

fn lists_asked(stage: &Stage) -> Vec<u64> {
    let asked = |server: &Server| server.counts().get("getMeetings").copied().unwrap_or(0);
    stage.pool.servers().iter().map(asked).collect()
}

/// Fetches the lists of all servers at once, on new connections, as a new process has to.
async fn fetch_all(servers: &[Server]) -> anyhow::Result<Duration> {
    let started = now();
    let mut fetches = JoinSet::new();
    for server in servers {
        let target = sign::signed(sign::API, "getMeetings", "", &server.secret())?;
        let port = server.port();
        fetches.spawn(async move { Connection::open(port).await?.get(target).await });
    }
    while let Some(answer) = fetches.join_next().await {
        Expect::Success.check(&answer??)?;
    }
    Ok(now() - started)
}
