//! Two processes on one state: what the second adds to the throughput of joins.

use super::{BenchPlan, throughput_row};
use crate::client::ExpectedResponse;
use crate::report::ReportRow;
use crate::round::RequestSource;
use crate::setup::BenchSetup;
use crate::signing;

const SERVERS: usize = 10;
const MEETINGS: usize = 200;
/// Different joins that are asked for in turn.
const JOINS: usize = 20_000;

/// Both processes run all the time, and clients and servers beside them: with few cores, this is
/// far below what two machines would reach.
pub(super) async fn run(plan: &BenchPlan) -> anyhow::Result<Vec<ReportRow>> {
    let stage = BenchSetup::start(&plan.program, SERVERS, 0).await?;
    let meetings = stage.create_meetings(MEETINGS).await?;
    let replica = stage.product.start_replica().await?;
    let targets = signing::join_targets(&meetings, JOINS)?;
    let on = |port| RequestSource::repeating(port, targets.clone());
    let one = plan.build_load(vec![on(stage.product.port())], ExpectedResponse::Join);
    let both = vec![on(stage.product.port()), on(replica.port())];
    let two = plan.build_load(both, ExpectedResponse::Join);
    let duel = plan.compare(&two, &one).await;
    replica.stop().await?;
    stage.stop().await?;
    Ok(vec![throughput_row("join through two replicas, floor: one", &duel?)])
}
