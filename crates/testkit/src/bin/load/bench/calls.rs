//! join, isMeetingRunning and create, with meetings on ten servers that answer at once.

use super::{Plan, row};
use crate::client::Expect;
use crate::floor::{self, Kind};
use crate::report::Row;
use crate::round::{Aim, Load};
use crate::sign;
use crate::stage::Stage;
use crate::stats::Duel;
use http::Uri;
use testkit::stores;

const SERVERS: usize = 10;
const MEETINGS: usize = 200;
/// Different joins that are asked for in turn.
const JOINS: usize = 20_000;
/// More than can be created in a round.
const CREATES: usize = 50_000;
/// Of the floor's throughput.
const JOIN_RATIO: f64 = 0.4;
/// The same where every join or two is a round trip.
const SHARED_JOIN_RATIO: f64 = 0.25;

pub(super) async fn join(plan: &Plan) -> anyhow::Result<Vec<Row>> {
    let stage = Stage::set(&plan.program, SERVERS, 0).await?;
    let meetings = stage.create(MEETINGS).await?;
    let targets = sign::joins(&meetings, JOINS)?;
    let mut floor = floor::start(Kind::Join, None).await?;
    let on = |port| plan.load(vec![Aim::repeated(port, targets.clone())], Expect::Join);
    let duel = plan.duel(&on(stage.product.port()), &on(floor.port())).await?;
    floor.stop().await?;
    stage.clear().await?;
    let embedded = plan.program.stores.kind() == stores::Kind::Embedded;
    let wanted = if embedded { JOIN_RATIO } else { SHARED_JOIN_RATIO };
    let target = Some((format!("ratio ≥ {wanted}"), duel.ratio() >= wanted));
    Ok(vec![Row { target, ..row("join", &duel) }])
}

/// Against the bare floor, and against the servers asked without a balancer in between.
pub(super) async fn running(plan: &Plan) -> anyhow::Result<Vec<Row>> {
    let stage = Stage::set(&plan.program, SERVERS, 0).await?;
    let meetings = stage.create(MEETINGS).await?;
    let mut floor = floor::start(Kind::Xml, None).await?;
    let question = |id: &String| sign::call("isMeetingRunning", &format!("meetingID={id}"));
    let targets: Vec<Uri> = meetings.iter().map(question).collect::<Result<_, _>>()?;
    let on = |port| plan.load(vec![Aim::repeated(port, targets.clone())], Expect::Success);
    let (product, bare) = (on(stage.product.port()), on(floor.port()));
    let against_bare = plan.duel(&product, &bare).await?;
    let direct = plan.load(direct(&stage)?, Expect::Success);
    let against_direct = plan.duel(&product, &direct).await?;
    floor.stop().await?;
    stage.clear().await?;
    Ok(vec![
        row("isMeetingRunning", &against_bare),
        row("isMeetingRunning, floor: the servers themselves", &against_direct),
    ])
}

/// The same question to each server about its own meetings.
fn direct(stage: &Stage) -> anyhow::Result<Vec<Aim>> {
    let aim = |server: &bbb_sim::Server| {
        let question = |id: &str| {
            let query = format!("meetingID={id}");
            sign::signed(sign::API, "isMeetingRunning", &query, &server.secret())
        };
        let meetings = server.meetings();
        let targets: Result<_, _> = meetings.iter().map(|meeting| question(&meeting.id)).collect();
        anyhow::Ok(Aim::repeated(server.port(), targets?))
    };
    let servers = stage.pool.servers().iter();
    servers.filter(|server| !server.meetings().is_empty()).map(aim).collect()
}

/// Every round creates meetings that are forgotten after it, so that the store stays small.
pub(super) async fn create(plan: &Plan) -> anyhow::Result<Vec<Row>> {
    let stage = Stage::set(&plan.program, SERVERS, 0).await?;
    let mut floor = floor::start(Kind::Xml, None).await?;
    let targets: Vec<Uri> = creates(0)?;
    let bare = plan.load(vec![Aim::repeated(floor.port(), targets)], Expect::Success);
    let mut duel = Duel::default();
    duel.warm_up.push(bare.round(plan.round / 4).await?);
    let load = creating(plan, &stage, 1)?;
    duel.warm_up.push(load.round(plan.round / 4).await?);
    for round in 0..plan.rounds {
        forget_meetings(&stage).await?;
        let load = creating(plan, &stage, round + 2)?;
        duel.floor.push(bare.round(plan.round).await?);
        duel.product.push(load.round(plan.round).await?);
    }
    floor.stop().await?;
    stage.clear().await?;
    Ok(vec![row("create", &duel)])
}

fn creates(round: usize) -> anyhow::Result<Vec<Uri>> {
    let create = |n| sign::create(&format!("round-{round}-{n}"));
    (0..CREATES).map(create).collect()
}

fn creating(plan: &Plan, stage: &Stage, round: usize) -> anyhow::Result<Load> {
    let aim = Aim::once(stage.product.port(), creates(round)?);
    Ok(plan.load(vec![aim], Expect::Success))
}

/// Takes all meetings from the servers, and lets the balancer see that they are gone.
async fn forget_meetings(stage: &Stage) -> anyhow::Result<()> {
    for server in stage.pool.servers() {
        server.drop_meetings(None);
    }
    stage.product.poll().await?;
    Ok(())
}
