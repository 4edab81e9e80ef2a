//! A poll cycle by the command, compared with fetching the same lists from all servers at once.

use super::BenchPlan;
use crate::client::{Connection, ExpectedResponse};
use crate::report::ReportRow;
use crate::round::RoundResult;
use crate::setup::BenchSetup;
use crate::signing;
use crate::stats::{latency_quantile_ms, median, to_ms};
use crate::stopwatch::now;
use anyhow::ensure;
use bbb_sim::{BbbServer, Latency};
use std::time::Duration;
use tokio::task::JoinSet;

const SERVERS: usize = 200;
const MEETINGS_EACH: usize = 20;
const SERVER_LATENCY: Duration = Duration::from_millis(20);

/// The meetings are created through the balancer: only of such meetings does a poll record
/// anything.
pub(super) async fn run(plan: &BenchPlan) -> anyhow::Result<Vec<ReportRow>> {
    let stage = BenchSetup::start(&plan.program, SERVERS, 0).await?;
    stage.create_meetings(SERVERS * MEETINGS_EACH).await?;
    for server in stage.pool.servers() {
        server.set_latency(Latency::Fixed(SERVER_LATENCY));
    }
    let (mut product, mut floor) = (RoundResult::default(), RoundResult::default());
    let mut ratios = Vec::new();
    for round in 0..=plan.rounds {
        let fetched = fetch_all(stage.pool.servers()).await?;
        let polled = poll_all(&stage).await?;
        // The first of each does not count.
        if round > 0 {
            ratios.push(to_ms(&fetched) / to_ms(&polled));
            floor.latencies.push(fetched);
            product.latencies.push(polled);
        }
    }
    stage.stop().await?;
    let typical = |round: &RoundResult| median(round.latencies.iter().map(to_ms));
    let worst = latency_quantile_ms(std::slice::from_ref(&product), 1.0);
    Ok(vec![ReportRow {
        name: format!("poll all, {SERVERS} servers"),
        product: format!("{:.0} ms", typical(&product)),
        floor: format!("{:.0} ms", typical(&floor)),
        ratio: Some(median(ratios)),
        p50_p99_ms: Some((typical(&product), worst)),
        ..ReportRow::default()
    }])
}

/// One poll, of which every server must have seen something.
async fn poll_all(stage: &BenchSetup) -> anyhow::Result<Duration> {
    let before = count_list_requests(stage);
    let took = stage.product.poll_servers().await?;
    let asked = count_list_requests(stage).into_iter().zip(before);
    let left_out = asked.filter(|(after, before)| after <= before).count();
    ensure!(left_out == 0, "{left_out} servers were not polled");
    Ok(took)
}

fn count_list_requests(stage: &BenchSetup) -> Vec<u64> {
    let asked = |server: &BbbServer| server.call_counts().get("getMeetings").copied().unwrap_or(0);
    stage.pool.servers().iter().map(asked).collect()
}

/// Fetches the lists of all servers at once, on new connections, as a new process has to.
async fn fetch_all(servers: &[BbbServer]) -> anyhow::Result<Duration> {
    let started = now();
    let mut fetches = JoinSet::new();
    for server in servers {
        let target = signing::sign_target(signing::API_PATH, "getMeetings", "", &server.secret())?;
        let port = server.port();
        fetches.spawn(async move { Connection::open(port).await?.get(target).await });
    }
    while let Some(answer) = fetches.join_next().await {
        ExpectedResponse::Success.check(&answer??)?;
    }
    Ok(now() - started)
}
