//! Two processes on one state: what the second adds to the throughput of joins.

use super::{Plan, row};
use crate::client::Expect;
use crate::report::Row;
use crate::round::Aim;
use crate::sign;
use crate::stage::Stage;

const SERVERS: usize = 10;
const MEETINGS: usize = 200;
/// Different joins that are asked for in turn.
const JOINS: usize = 20_000;

/// Both processes run all the time, and clients and servers beside them: with few cores, this is
/// far below what two machines would reach.
pub(super) async fn run(plan: &Plan) -> anyhow::Result<Vec<Row>> {
    let stage = Stage::set(&plan.program, SERVERS, 0).await?;
    let meetings = stage.create(MEETINGS).await?;
    let replica = stage.product.replica().await?;
    let targets = sign::joins(&meetings, JOINS)?;
    let on = |port| Aim::repeated(port, targets.clone());
    let one = plan.load(vec![on(stage.product.port())], Expect::Join);
    let both = vec![on(stage.product.port()), on(replica.port())];
    let two = plan.load(both, Expect::Join);
    let duel = plan.duel(&two, &one).await;
    replica.stop().await?;
    stage.clear().await?;
    Ok(vec![row("join through two replicas, floor: one", &duel?)])
}
