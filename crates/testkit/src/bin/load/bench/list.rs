//! getMeetings: how long the list of all servers takes, compared with one server's own list.

use super::{Plan, row};
use crate::client::{Connection, Expect};
use crate::floor::{self, Kind};
use crate::report::Row;
use crate::round::{Aim, Load, Round};
use crate::sign;
use crate::stage::Stage;
use crate::stats::{Duel, failures, median, within_ms};
use anyhow::Context;
use bbb_sim::Latency;
use http::Uri;
use std::time::Duration;

const SIZES: [usize; 3] = [10, 50, 200];
/// The size that has a target.
const TARGET_SIZE: usize = 200;
const MEETINGS_EACH: usize = 20;
const AWAY: Duration = Duration::from_millis(20);
/// Latencies of one server that all servers together may take.
const FACTOR: f64 = 2.5;

/// All that is asked in turn, by one client at a time.
struct Questions {
    /// The balancer.
    product: Load,
    /// The same bytes from a bare server.
    bare: Load,
    /// One server, directly.
    server: Load,
}

/// What came of it; the merge is the balancer's answer while all servers answer at once.
#[derive(Default)]
struct Found {
    duel: Duel,
    server: Vec<Round>,
    merge: Vec<Round>,
}

pub(super) async fn run(plan: &Plan) -> anyhow::Result<Vec<Row>> {
    let mut rows = Vec::new();
    for servers in SIZES {
        let stage = Stage::set(&plan.program, servers, MEETINGS_EACH).await?;
        let found = measure(plan, &stage).await;
        stage.clear().await?;
        rows.push(line(servers, &found?));
    }
    Ok(rows)
}

async fn measure(plan: &Plan, stage: &Stage) -> anyhow::Result<Found> {
    let target = sign::call("getMeetings", "")?;
    let body = stage.product.folder().join("list.xml");
    let mut connection = Connection::open(stage.product.port()).await?;
    std::fs::write(&body, connection.get(target.clone()).await?.body)?;
    let mut floor = floor::start(Kind::List, Some(&body)).await?;
    let questions = questions(stage, floor.port(), &target)?;
    let found = take_turns(plan, stage, &questions).await;
    floor.stop().await?;
    found
}

fn questions(stage: &Stage, floor: u16, target: &Uri) -> anyhow::Result<Questions> {
    let first = stage.pool.servers().first().context("a pool without servers")?;
    let direct = sign::signed(sign::API, "getMeetings", "", &first.secret())?;
    let all = Expect::Meetings(stage.pool.servers().len() * MEETINGS_EACH);
    let load = |port, target: &Uri, expect| {
        Load::new(vec![Aim::repeated(port, vec![target.clone()])], expect, 1)
    };
    Ok(Questions {
        product: load(stage.product.port(), target, all),
        bare: load(floor, target, all),
        server: load(first.port(), &direct, Expect::Meetings(MEETINGS_EACH)),
    })
}

async fn take_turns(plan: &Plan, stage: &Stage, ask: &Questions) -> anyhow::Result<Found> {
    let move_away = |latency: Latency| {
        for server in stage.pool.servers() {
            server.set_latency(latency.clone());
        }
    };
    let mut found = Found::default();
    let warm_up = ask.product.round(plan.round / 4).await?;
    found.duel.warm_up.push(warm_up);
    for _ in 0..plan.rounds {
        found.duel.floor.push(ask.bare.round(plan.round / 4).await?);
        move_away(Latency::None);
        found.merge.push(ask.product.round(plan.round).await?);
        move_away(Latency::Fixed(AWAY));
        found.server.push(ask.server.round(plan.round / 4).await?);
        found.duel.product.push(ask.product.round(plan.round).await?);
    }
    Ok(found)
}

fn line(servers: usize, found: &Found) -> Row {
    let typical_ms = |rounds: &[Round]| {
        let each = rounds.iter().map(std::slice::from_ref);
        median(each.map(|round| within_ms(round, 0.5)))
    };
    let (server, merge) = (typical_ms(&found.server), typical_ms(&found.merge));
    let bound = FACTOR * server + merge;
    let target = format!("p50 ≤ {FACTOR} × {server:.1} + {merge:.1} = {bound:.1} ms");
    let reached = typical_ms(&found.duel.product) <= bound;
    let row = row(format!("getMeetings, {servers} servers"), &found.duel);
    let (failed, complaint) = failures(found.server.iter().chain(&found.merge));
    Row {
        target: (servers == TARGET_SIZE).then_some((target, reached)),
        failed: row.failed + failed,
        complaint: row.complaint.or(complaint),
        ..row
    }
}
