//! A pool of 2,000 servers with 40,000 meetings: polls, creates beside them, and memory; and getMeetings for several
//! clients at once.

use super::{MeasurementPlan, poll, throughput_row};
use crate::client::ExpectedResponse;
use crate::report::{ReportRow, format_rate};
use crate::round::{RequestLoad, RequestSource, RoundResult};
use crate::setup::Setup;
use crate::signing;
use crate::stats::{Comparison, latency_quantile_ms, median, median_rate, to_ms};
use bbb_sim::Latency;
use std::time::Duration;

const SERVERS: usize = 2_000;
const MEETINGS_EACH: usize = 20;
/// Clients that create meetings while the servers are polled.
const CREATING_CLIENTS: usize = 4;
/// Creates that are prepared for one poll; fewer are sent if it is over earlier.
const CREATES_EACH_POLL: usize = 20_000;
const MAX_POLL_MS: f64 = 2_500.0;
const MAX_CREATE_P99_MS: f64 = 20.0;
const MAX_MEMORY_MIB: f64 = 150.0;
/// The pool whose list several clients request at once.
const LISTED_SERVERS: usize = 200;
const LISTING_CLIENTS: usize = 8;
const LIST_LATENCY: Duration = Duration::from_millis(20);
const MIN_LISTS_PER_SECOND: f64 = 40.0;

pub(super) async fn run(plan: &MeasurementPlan) -> anyhow::Result<Vec<ReportRow>> {
    let mut rows = measure_large_pool(plan).await?;
    rows.push(measure_lists(plan).await?);
    Ok(rows)
}

async fn measure_large_pool(plan: &MeasurementPlan) -> anyhow::Result<Vec<ReportRow>> {
    let setup = Setup::start(&plan.program, SERVERS, 0).await?;
    setup.create_meetings(SERVERS * MEETINGS_EACH).await?;
    let (mut product, mut baseline) = (RoundResult::default(), RoundResult::default());
    let mut creates = Comparison::default();
    for round in 0..=plan.rounds {
        let fetched = poll::fetch_all(setup.pool.servers()).await?;
        let targets =
            (0..CREATES_EACH_POLL).map(|n| signing::create_target(&format!("new-{round}-{n}")));
        let source =
            RequestSource::single_pass(setup.product.port(), targets.collect::<Result<_, _>>()?);
        let load = RequestLoad::new(vec![source], ExpectedResponse::Success, CREATING_CLIENTS);
        let polled = poll::poll_all(&setup);
        let created = load.run_round(plan.round_duration);
        let (polled, created) = tokio::try_join!(polled, created)?;
        // The first round does not count.
        if round > 0 {
            baseline.latencies.push(fetched);
            product.latencies.push(polled);
            creates.product.push(created);
        }
    }
    let resident = setup.product.process().memory_mib("VmRSS")?;
    let peak = setup.product.process().memory_mib("VmHWM")?;
    setup.stop().await?;
    let median_ms = |round: &RoundResult| median(round.latencies.iter().map(to_ms));
    let (poll_ms, fetch_ms) = (median_ms(&product), median_ms(&baseline));
    let (failed, failure_example) = creates.count_failures();
    let quantile = |q| latency_quantile_ms(&creates.product, q);
    Ok(vec![
        ReportRow {
            name: format!("poll all, {SERVERS} servers, {} meetings", SERVERS * MEETINGS_EACH),
            product: format!("{poll_ms:.0} ms"),
            baseline: format!("{fetch_ms:.0} ms"),
            ratio: Some(fetch_ms / poll_ms),
            target: Some((format!("≤ {MAX_POLL_MS} ms"), poll_ms <= MAX_POLL_MS)),
            ..ReportRow::default()
        },
        ReportRow {
            name: format!("create beside it, {CREATING_CLIENTS} clients"),
            product: format_rate(median_rate(&creates.product)),
            target: Some((
                format!("p99 ≤ {MAX_CREATE_P99_MS} ms"),
                quantile(0.99) <= MAX_CREATE_P99_MS,
            )),
            p50_p99_ms: Some((quantile(0.5), quantile(0.99))),
            failed,
            failure_example,
            ..ReportRow::default()
        },
        ReportRow {
            name: format!("memory with it (peak {peak:.1} MiB)"),
            product: format!("{resident:.1} MiB"),
            target: Some((format!("≤ {MAX_MEMORY_MIB} MiB"), peak <= MAX_MEMORY_MIB)),
            ..ReportRow::default()
        },
    ])
}

async fn measure_lists(plan: &MeasurementPlan) -> anyhow::Result<ReportRow> {
    let setup = Setup::start(&plan.program, LISTED_SERVERS, MEETINGS_EACH).await?;
    for server in setup.pool.servers() {
        server.set_latency(Latency::Fixed(LIST_LATENCY));
    }
    let target = signing::api_target("getMeetings", "")?;
    let source = RequestSource::repeating(setup.product.port(), vec![target]);
    let expected = ExpectedResponse::Meetings(LISTED_SERVERS * MEETINGS_EACH);
    let load = RequestLoad::new(vec![source], expected, LISTING_CLIENTS);
    let mut lists = Comparison::default();
    lists.warm_up.push(load.run_round(plan.round_duration / 4).await?);
    for _ in 0..plan.rounds {
        lists.product.push(load.run_round(plan.round_duration).await?);
    }
    setup.stop().await?;
    let rate = median_rate(&lists.product);
    let name = format!("getMeetings, {LISTED_SERVERS} servers, {LISTING_CLIENTS} clients");
    let target = (format!("≥ {MIN_LISTS_PER_SECOND}/s"), rate >= MIN_LISTS_PER_SECOND);
    Ok(ReportRow {
        target: Some(target),
        ratio: None,
        baseline: String::new(),
        ..throughput_row(name, &lists)
    })
}
