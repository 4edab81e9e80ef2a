//! getMeetings: the response time of the list of all meetings, compared with that of one server's
//! list.

use super::{MeasurementPlan, throughput_row};
use crate::baseline::{self, BaselineKind};
use crate::client::{Connection, ExpectedResponse};
use crate::report::ReportRow;
use crate::round::{RequestLoad, RequestSource, RoundResult};
use crate::setup::Setup;
use crate::signing;
use crate::stats::{Comparison, count_failures, latency_quantile_ms, median};
use anyhow::Context;
use bbb_sim::Latency;
use http::Uri;
use std::time::Duration;

const POOL_SIZES: [usize; 3] = [10, 50, 200];
/// The pool size that has a target.
const TARGET_SIZE: usize = 200;
const MEETINGS_EACH: usize = 20;
const SERVER_LATENCY: Duration = Duration::from_millis(20);
/// Target: how many times the response time of one server the list may take, apart from merging.
const MAX_SERVER_TIMES: f64 = 2.5;

/// The loads that alternate; each has one client.
struct ListLoads {
    /// getMeetings of the balancer.
    product: RequestLoad,
    /// The same bytes from a bare server.
    bare: RequestLoad,
    /// getMeetings of one BBB server.
    server: RequestLoad,
}

/// The measured rounds.
#[derive(Default)]
struct ListResults {
    comparison: Comparison,
    server: Vec<RoundResult>,
    /// Rounds of the balancer while the servers have no latency: the time of merging the lists.
    merge: Vec<RoundResult>,
}

pub(super) async fn run(plan: &MeasurementPlan) -> anyhow::Result<Vec<ReportRow>> {
    let mut rows = Vec::new();
    for servers in POOL_SIZES {
        let setup = Setup::start(&plan.program, servers, MEETINGS_EACH).await?;
        let results = measure(plan, &setup).await;
        setup.stop().await?;
        rows.push(to_row(servers, &results?));
    }
    Ok(rows)
}

async fn measure(plan: &MeasurementPlan, setup: &Setup) -> anyhow::Result<ListResults> {
    let target = signing::api_target("getMeetings", "")?;
    let body = setup.product.directory().join("list.xml");
    let mut connection = Connection::open(setup.product.port()).await?;
    std::fs::write(&body, connection.get(target.clone()).await?.body)?;
    let mut baseline = baseline::start(BaselineKind::List, Some(&body)).await?;
    let loads = build_loads(setup, baseline.port(), &target)?;
    let results = measure_in_turn(plan, setup, &loads).await;
    baseline.stop().await?;
    results
}

fn build_loads(setup: &Setup, baseline: u16, target: &Uri) -> anyhow::Result<ListLoads> {
    let first = setup.pool.servers().first().context("a pool without servers")?;
    let direct = signing::sign_target(signing::API_PATH, "getMeetings", "", &first.secret())?;
    let all = ExpectedResponse::Meetings(setup.pool.servers().len() * MEETINGS_EACH);
    let load = |port, target: &Uri, expected| {
        RequestLoad::new(vec![RequestSource::repeating(port, vec![target.clone()])], expected, 1)
    };
    Ok(ListLoads {
        product: load(setup.product.port(), target, all),
        bare: load(baseline, target, all),
        server: load(first.port(), &direct, ExpectedResponse::Meetings(MEETINGS_EACH)),
    })
}

async fn measure_in_turn(
    plan: &MeasurementPlan,
    setup: &Setup,
    loads: &ListLoads,
) -> anyhow::Result<ListResults> {
    let set_latency = |latency: Latency| {
        for server in setup.pool.servers() {
            server.set_latency(latency.clone());
        }
    };
    let mut results = ListResults::default();
    let warm_up = loads.product.run_round(plan.round_duration / 4).await?;
    results.comparison.warm_up.push(warm_up);
    for _ in 0..plan.rounds {
        results.comparison.baseline.push(loads.bare.run_round(plan.round_duration / 4).await?);
        set_latency(Latency::None);
        results.merge.push(loads.product.run_round(plan.round_duration).await?);
        set_latency(Latency::Fixed(SERVER_LATENCY));
        results.server.push(loads.server.run_round(plan.round_duration / 4).await?);
        results.comparison.product.push(loads.product.run_round(plan.round_duration).await?);
    }
    Ok(results)
}

fn to_row(servers: usize, results: &ListResults) -> ReportRow {
    let median_ms = |rounds: &[RoundResult]| {
        let rounds = rounds.iter().map(std::slice::from_ref);
        median(rounds.map(|round| latency_quantile_ms(round, 0.5)))
    };
    let (server, merge) = (median_ms(&results.server), median_ms(&results.merge));
    let limit = MAX_SERVER_TIMES * server + merge;
    let target = format!("p50 ≤ {MAX_SERVER_TIMES} × {server:.1} + {merge:.1} = {limit:.1} ms");
    let is_reached = median_ms(&results.comparison.product) <= limit;
    let row = throughput_row(format!("getMeetings, {servers} servers"), &results.comparison);
    let (failed, failure_example) = count_failures(results.server.iter().chain(&results.merge));
    ReportRow {
        target: (servers == TARGET_SIZE).then_some((target, is_reached)),
        failed: row.failed + failed,
        failure_example: row.failure_example.or(failure_example),
        ..row
    }
}
