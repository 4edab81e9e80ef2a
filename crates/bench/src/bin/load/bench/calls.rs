//! join, isMeetingRunning and create, with meetings on ten servers that answer at once.

use super::{BenchPlan, throughput_row};
use crate::client::ExpectedResponse;
use crate::floor::{self, FloorKind};
use crate::report::ReportRow;
use crate::round::{RequestLoad, RequestSource};
use crate::setup::BenchSetup;
use crate::signing;
use crate::stats::Comparison;
use http::Uri;
use testkit::stores;

const SERVERS: usize = 10;
const MEETINGS: usize = 200;
/// Different joins that are asked for in turn.
const JOINS: usize = 20_000;
/// More than can be created in a round.
const CREATES: usize = 50_000;
/// Of the floor's throughput.
const MIN_JOIN_RATIO: f64 = 0.4;
/// The same where every join or two is a round trip.
const MIN_SHARED_JOIN_RATIO: f64 = 0.25;

pub(super) async fn measure_join(plan: &BenchPlan) -> anyhow::Result<Vec<ReportRow>> {
    let stage = BenchSetup::start(&plan.program, SERVERS, 0).await?;
    let meetings = stage.create_meetings(MEETINGS).await?;
    let targets = signing::join_targets(&meetings, JOINS)?;
    let mut floor = floor::start(FloorKind::Join, None).await?;
    let on = |port| {
        plan.build_load(
            vec![RequestSource::repeating(port, targets.clone())],
            ExpectedResponse::Join,
        )
    };
    let duel = plan.compare(&on(stage.product.port()), &on(floor.port())).await?;
    floor.stop().await?;
    stage.stop().await?;
    let embedded = plan.program.stores.kind() == stores::StoreKind::Embedded;
    let wanted = if embedded { MIN_JOIN_RATIO } else { MIN_SHARED_JOIN_RATIO };
    let target = Some((format!("ratio ≥ {wanted}"), duel.ratio() >= wanted));
    Ok(vec![ReportRow { target, ..throughput_row("join", &duel) }])
}

/// Against the bare floor, and against the servers asked without a balancer in between.
pub(super) async fn measure_running(plan: &BenchPlan) -> anyhow::Result<Vec<ReportRow>> {
    let stage = BenchSetup::start(&plan.program, SERVERS, 0).await?;
    let meetings = stage.create_meetings(MEETINGS).await?;
    let mut floor = floor::start(FloorKind::Xml, None).await?;
    let question =
        |id: &String| signing::api_target("isMeetingRunning", &format!("meetingID={id}"));
    let targets: Vec<Uri> = meetings.iter().map(question).collect::<Result<_, _>>()?;
    let on = |port| {
        plan.build_load(
            vec![RequestSource::repeating(port, targets.clone())],
            ExpectedResponse::Success,
        )
    };
    let (product, bare) = (on(stage.product.port()), on(floor.port()));
    let against_bare = plan.compare(&product, &bare).await?;
    let direct = plan.build_load(direct_sources(&stage)?, ExpectedResponse::Success);
    let against_direct = plan.compare(&product, &direct).await?;
    floor.stop().await?;
    stage.stop().await?;
    Ok(vec![
        throughput_row("isMeetingRunning", &against_bare),
        throughput_row("isMeetingRunning, floor: the servers themselves", &against_direct),
    ])
}

/// The same question to each server about its own meetings.
fn direct_sources(stage: &BenchSetup) -> anyhow::Result<Vec<RequestSource>> {
    let aim = |server: &bbb_sim::BbbServer| {
        let question = |id: &str| {
            let query = format!("meetingID={id}");
            signing::sign_target(signing::API_PATH, "isMeetingRunning", &query, &server.secret())
        };
        let meetings = server.meetings();
        let targets: Result<_, _> = meetings.iter().map(|meeting| question(&meeting.id)).collect();
        anyhow::Ok(RequestSource::repeating(server.port(), targets?))
    };
    let servers = stage.pool.servers().iter();
    servers.filter(|server| !server.meetings().is_empty()).map(aim).collect()
}

/// Every round creates meetings that are forgotten after it, so that the store stays small.
pub(super) async fn measure_create(plan: &BenchPlan) -> anyhow::Result<Vec<ReportRow>> {
    let stage = BenchSetup::start(&plan.program, SERVERS, 0).await?;
    let mut floor = floor::start(FloorKind::Xml, None).await?;
    let targets: Vec<Uri> = create_targets(0)?;
    let bare = plan.build_load(
        vec![RequestSource::repeating(floor.port(), targets)],
        ExpectedResponse::Success,
    );
    let mut duel = Comparison::default();
    duel.warm_up.push(bare.run_round(plan.round_duration / 4).await?);
    let load = create_load(plan, &stage, 1)?;
    duel.warm_up.push(load.run_round(plan.round_duration / 4).await?);
    for round in 0..plan.rounds {
        forget_meetings(&stage).await?;
        let load = create_load(plan, &stage, round + 2)?;
        duel.floor.push(bare.run_round(plan.round_duration).await?);
        duel.product.push(load.run_round(plan.round_duration).await?);
    }
    floor.stop().await?;
    stage.stop().await?;
    Ok(vec![throughput_row("create", &duel)])
}

fn create_targets(round: usize) -> anyhow::Result<Vec<Uri>> {
    let create = |n| signing::create_target(&format!("round-{round}-{n}"));
    (0..CREATES).map(create).collect()
}

fn create_load(plan: &BenchPlan, stage: &BenchSetup, round: usize) -> anyhow::Result<RequestLoad> {
    let aim = RequestSource::single_pass(stage.product.port(), create_targets(round)?);
    Ok(plan.build_load(vec![aim], ExpectedResponse::Success))
}

/// Takes all meetings from the servers, and lets the balancer see that they are gone.
async fn forget_meetings(stage: &BenchSetup) -> anyhow::Result<()> {
    for server in stage.pool.servers() {
        server.drop_meetings(None);
    }
    stage.product.poll_servers().await?;
    Ok(())
}
