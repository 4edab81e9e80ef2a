//! join, isMeetingRunning and create, with meetings on ten servers without latency.

use super::{MeasurementPlan, throughput_row};
use crate::baseline::{self, BaselineKind};
use crate::client::ExpectedResponse;
use crate::report::ReportRow;
use crate::round::{RequestLoad, RequestSource};
use crate::setup::Setup;
use crate::signing;
use crate::stats::Comparison;
use http::Uri;
use testkit::stores;

const SERVERS: usize = 10;
const MEETINGS: usize = 200;
/// Number of different joins, which are sent in turn.
const JOINS: usize = 20_000;
/// More creates than can be sent in a round.
const CREATES: usize = 50_000;
/// Target for joins on the embedded store, as a share of the baseline's rate.
const MIN_JOIN_RATIO: f64 = 0.4;
/// Target for joins on Redis and PostgreSQL, where every join or every second one is a
/// round trip.
const MIN_SHARED_JOIN_RATIO: f64 = 0.25;

pub(super) async fn measure_join(plan: &MeasurementPlan) -> anyhow::Result<Vec<ReportRow>> {
    let setup = Setup::start(&plan.program, SERVERS, 0).await?;
    let meetings = setup.create_meetings(MEETINGS).await?;
    let targets = signing::join_targets(&meetings, JOINS)?;
    let mut baseline = baseline::start(BaselineKind::Join, None).await?;
    let load = |port| {
        plan.build_load(
            vec![RequestSource::repeating(port, targets.clone())],
            ExpectedResponse::Join,
        )
    };
    let comparison = plan.compare(&load(setup.product.port()), &load(baseline.port())).await?;
    baseline.stop().await?;
    setup.stop().await?;
    let embedded = plan.program.stores.kind() == stores::StoreKind::Embedded;
    let min_ratio = if embedded { MIN_JOIN_RATIO } else { MIN_SHARED_JOIN_RATIO };
    let target = Some((format!("ratio ≥ {min_ratio}"), comparison.ratio() >= min_ratio));
    Ok(vec![ReportRow { target, ..throughput_row("join", &comparison) }])
}

/// Compares with the bare server, and with the same calls sent directly to the BBB servers.
pub(super) async fn measure_running(plan: &MeasurementPlan) -> anyhow::Result<Vec<ReportRow>> {
    let setup = Setup::start(&plan.program, SERVERS, 0).await?;
    let meetings = setup.create_meetings(MEETINGS).await?;
    let mut baseline = baseline::start(BaselineKind::Xml, None).await?;
    let to_target =
        |id: &String| signing::api_target("isMeetingRunning", &format!("meetingID={id}"));
    let targets: Vec<Uri> = meetings.iter().map(to_target).collect::<Result<_, _>>()?;
    let load = |port| {
        plan.build_load(
            vec![RequestSource::repeating(port, targets.clone())],
            ExpectedResponse::Success,
        )
    };
    let (product, bare) = (load(setup.product.port()), load(baseline.port()));
    let against_bare = plan.compare(&product, &bare).await?;
    let direct = plan.build_load(direct_sources(&setup)?, ExpectedResponse::Success);
    let against_direct = plan.compare(&product, &direct).await?;
    baseline.stop().await?;
    setup.stop().await?;
    Ok(vec![
        throughput_row("isMeetingRunning", &against_bare),
        throughput_row("isMeetingRunning, baseline: the BBB servers", &against_direct),
    ])
}

/// Returns the same calls to each BBB server, about its own meetings.
fn direct_sources(setup: &Setup) -> anyhow::Result<Vec<RequestSource>> {
    let to_source = |server: &bbb_sim::BbbServer| {
        let to_target = |id: &str| {
            let query = format!("meetingID={id}");
            signing::sign_target(signing::API_PATH, "isMeetingRunning", &query, &server.secret())
        };
        let meetings = server.meetings();
        let targets: Result<_, _> = meetings.iter().map(|meeting| to_target(&meeting.id)).collect();
        anyhow::Ok(RequestSource::repeating(server.port(), targets?))
    };
    let servers = setup.pool.servers().iter();
    servers.filter(|server| !server.meetings().is_empty()).map(to_source).collect()
}

/// Each round creates meetings, which are removed before the next round so that the store stays
/// small.
pub(super) async fn measure_create(plan: &MeasurementPlan) -> anyhow::Result<Vec<ReportRow>> {
    let setup = Setup::start(&plan.program, SERVERS, 0).await?;
    let mut baseline = baseline::start(BaselineKind::Xml, None).await?;
    let targets: Vec<Uri> = create_targets(0)?;
    let bare = plan.build_load(
        vec![RequestSource::repeating(baseline.port(), targets)],
        ExpectedResponse::Success,
    );
    let mut comparison = Comparison::default();
    comparison.warm_up.push(bare.run_round(plan.round_duration / 4).await?);
    let load = create_load(plan, &setup, 1)?;
    comparison.warm_up.push(load.run_round(plan.round_duration / 4).await?);
    for round in 0..plan.rounds {
        remove_meetings(&setup).await?;
        let load = create_load(plan, &setup, round + 2)?;
        comparison.baseline.push(bare.run_round(plan.round_duration).await?);
        comparison.product.push(load.run_round(plan.round_duration).await?);
    }
    baseline.stop().await?;
    setup.stop().await?;
    Ok(vec![throughput_row("create", &comparison)])
}

fn create_targets(round: usize) -> anyhow::Result<Vec<Uri>> {
    let create = |n| signing::create_target(&format!("round-{round}-{n}"));
    (0..CREATES).map(create).collect()
}

fn create_load(plan: &MeasurementPlan, setup: &Setup, round: usize) -> anyhow::Result<RequestLoad> {
    let source = RequestSource::single_pass(setup.product.port(), create_targets(round)?);
    Ok(plan.build_load(vec![source], ExpectedResponse::Success))
}

/// Removes all meetings from the servers, and has the balancer poll them.
async fn remove_meetings(setup: &Setup) -> anyhow::Result<()> {
    for server in setup.pool.servers() {
        server.drop_meetings(None);
    }
    setup.product.poll_servers().await?;
    Ok(())
}
