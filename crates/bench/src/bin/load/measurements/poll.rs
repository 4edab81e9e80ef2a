//! A poll cycle by the command line, compared with fetching the same lists from all servers at once.

use super::MeasurementPlan;
use crate::client::{Connection, ExpectedResponse};
use crate::clock::now;
use crate::report::ReportRow;
use crate::round::RoundResult;
use crate::setup::Setup;
use crate::signing;
use crate::stats::{latency_quantile_ms, median, to_ms};
use anyhow::ensure;
use bbb_sim::{BbbServer, Latency};
use std::time::Duration;
use tokio::task::JoinSet;

const SERVERS: usize = 200;
const MEETINGS_EACH: usize = 20;
const SERVER_LATENCY: Duration = Duration::from_millis(20);

/// The meetings are created through the balancer, since a poll records only such meetings.
pub(super) async fn run(plan: &MeasurementPlan) -> anyhow::Result<Vec<ReportRow>> {
    let setup = Setup::start(&plan.program, SERVERS, 0).await?;
    setup.create_meetings(SERVERS * MEETINGS_EACH).await?;
    for server in setup.pool.servers() {
        server.set_latency(Latency::Fixed(SERVER_LATENCY));
    }
    let (mut product, mut baseline) = (RoundResult::default(), RoundResult::default());
    let mut ratios = Vec::new();
    for round in 0..=plan.rounds {
        let fetched = fetch_all(setup.pool.servers()).await?;
        let polled = poll_all(&setup).await?;
        // The first round of each does not count.
        if round > 0 {
            ratios.push(to_ms(&fetched) / to_ms(&polled));
            baseline.latencies.push(fetched);
            product.latencies.push(polled);
        }
    }
    setup.stop().await?;
    let median_ms = |round: &RoundResult| median(round.latencies.iter().map(to_ms));
    let max_ms = latency_quantile_ms(std::slice::from_ref(&product), 1.0);
    Ok(vec![ReportRow {
        name: format!("poll all, {SERVERS} servers"),
        product: format!("{:.0} ms", median_ms(&product)),
        baseline: format!("{:.0} ms", median_ms(&baseline)),
        ratio: Some(median(ratios)),
        p50_p99_ms: Some((median_ms(&product), max_ms)),
        ..ReportRow::default()
    }])
}

/// Polls all servers once, and checks that every server was polled.
pub(super) async fn poll_all(setup: &Setup) -> anyhow::Result<Duration> {
    let before = count_list_requests(setup);
    let elapsed = setup.product.poll_servers().await?;
    let counts = count_list_requests(setup).into_iter().zip(before);
    let missed = counts.filter(|(after, before)| after <= before).count();
    ensure!(missed == 0, "{missed} servers were not polled");
    Ok(elapsed)
}

fn count_list_requests(setup: &Setup) -> Vec<u64> {
    let count = |server: &BbbServer| server.call_counts().get("getMeetings").copied().unwrap_or(0);
    setup.pool.servers().iter().map(count).collect()
}

/// Fetches the lists of all servers at once, on new connections like the poll command.
pub(super) async fn fetch_all(servers: &[BbbServer]) -> anyhow::Result<Duration> {
    let started = now();
    let mut fetches = JoinSet::new();
    for server in servers {
        let target = signing::sign_target(signing::API_PATH, "getMeetings", "", &server.secret())?;
        let port = server.port();
        fetches.spawn(async move { Connection::open(port).await?.get(target).await });
    }
    while let Some(response) = fetches.join_next().await {
        ExpectedResponse::Success.check(&response??)?;
    }
    Ok(now() - started)
}
