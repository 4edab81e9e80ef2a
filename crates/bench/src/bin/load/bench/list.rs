//! getMeetings: how long the list of all servers takes, compared with one server's own list.

use super::{BenchPlan, throughput_row};
use crate::client::{Connection, ExpectedResponse};
use crate::floor::{self, FloorKind};
use crate::report::ReportRow;
use crate::round::{RequestLoad, RequestSource, RoundResult};
use crate::setup::BenchSetup;
use crate::signing;
use crate::stats::{Comparison, count_failures, latency_quantile_ms, median};
use anyhow::Context;
use bbb_sim::Latency;
use http::Uri;
use std::time::Duration;

const POOL_SIZES: [usize; 3] = [10, 50, 200];
/// The size that has a target.
const TARGET_SIZE: usize = 200;
const MEETINGS_EACH: usize = 20;
const SERVER_LATENCY: Duration = Duration::from_millis(20);
/// Latencies of one server that all servers together may take.
const FACTOR: f64 = 2.5;

/// All that is asked in turn, by one client at a time.
struct ListLoads {
    /// The balancer.
    product: RequestLoad,
    /// The same bytes from a bare server.
    bare: RequestLoad,
    /// One server, directly.
    server: RequestLoad,
}

/// What came of it; the merge is the balancer's answer while all servers answer at once.
#[derive(Default)]
struct ListResults {
    comparison: Comparison,
    server: Vec<RoundResult>,
    merge: Vec<RoundResult>,
}

pub(super) async fn run(plan: &BenchPlan) -> anyhow::Result<Vec<ReportRow>> {
    let mut rows = Vec::new();
    for servers in POOL_SIZES {
        let stage = BenchSetup::start(&plan.program, servers, MEETINGS_EACH).await?;
        let found = measure(plan, &stage).await;
        stage.stop().await?;
        rows.push(to_row(servers, &found?));
    }
    Ok(rows)
}

async fn measure(plan: &BenchPlan, stage: &BenchSetup) -> anyhow::Result<ListResults> {
    let target = signing::api_target("getMeetings", "")?;
    let body = stage.product.folder().join("list.xml");
    let mut connection = Connection::open(stage.product.port()).await?;
    std::fs::write(&body, connection.get(target.clone()).await?.body)?;
    let mut floor = floor::start(FloorKind::List, Some(&body)).await?;
    let questions = build_loads(stage, floor.port(), &target)?;
    let found = measure_in_turn(plan, stage, &questions).await;
    floor.stop().await?;
    found
}

fn build_loads(stage: &BenchSetup, floor: u16, target: &Uri) -> anyhow::Result<ListLoads> {
    let first = stage.pool.servers().first().context("a pool without servers")?;
    let direct = signing::sign_target(signing::API_PATH, "getMeetings", "", &first.secret())?;
    let all = ExpectedResponse::Meetings(stage.pool.servers().len() * MEETINGS_EACH);
    let load = |port, target: &Uri, expect| {
        RequestLoad::new(vec![RequestSource::repeating(port, vec![target.clone()])], expect, 1)
    };
    Ok(ListLoads {
        product: load(stage.product.port(), target, all),
        bare: load(floor, target, all),
        server: load(first.port(), &direct, ExpectedResponse::Meetings(MEETINGS_EACH)),
    })
}

async fn measure_in_turn(
    plan: &BenchPlan,
    stage: &BenchSetup,
    ask: &ListLoads,
) -> anyhow::Result<ListResults> {
    let move_away = |latency: Latency| {
        for server in stage.pool.servers() {
            server.set_latency(latency.clone());
        }
    };
    let mut found = ListResults::default();
    let warm_up = ask.product.run_round(plan.round_duration / 4).await?;
    found.comparison.warm_up.push(warm_up);
    for _ in 0..plan.rounds {
        found.comparison.floor.push(ask.bare.run_round(plan.round_duration / 4).await?);
        move_away(Latency::None);
        found.merge.push(ask.product.run_round(plan.round_duration).await?);
        move_away(Latency::Fixed(SERVER_LATENCY));
        found.server.push(ask.server.run_round(plan.round_duration / 4).await?);
        found.comparison.product.push(ask.product.run_round(plan.round_duration).await?);
    }
    Ok(found)
}

fn to_row(servers: usize, found: &ListResults) -> ReportRow {
    let typical_ms = |rounds: &[RoundResult]| {
        let each = rounds.iter().map(std::slice::from_ref);
        median(each.map(|round| latency_quantile_ms(round, 0.5)))
    };
    let (server, merge) = (typical_ms(&found.server), typical_ms(&found.merge));
    let bound = FACTOR * server + merge;
    let target = format!("p50 ≤ {FACTOR} × {server:.1} + {merge:.1} = {bound:.1} ms");
    let reached = typical_ms(&found.comparison.product) <= bound;
    let row = throughput_row(format!("getMeetings, {servers} servers"), &found.comparison);
    let (failed, complaint) = count_failures(found.server.iter().chain(&found.merge));
    ReportRow {
        target: (servers == TARGET_SIZE).then_some((target, reached)),
        failed: row.failed + failed,
        failure_example: row.failure_example.or(complaint),
        ..row
    }
}
