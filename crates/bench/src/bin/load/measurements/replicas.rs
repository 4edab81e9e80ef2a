//! Two processes on the same stores: what the second one adds to the rate of joins.

use super::{MeasurementPlan, throughput_row};
use crate::client::ExpectedResponse;
use crate::report::ReportRow;
use crate::round::RequestSource;
use crate::setup::Setup;
use crate::signing;

const SERVERS: usize = 10;
const MEETINGS: usize = 200;
/// Number of different joins, which are sent in turn.
const JOINS: usize = 20_000;

/// Both processes, the clients and the servers share this machine's cores: with few cores the result
/// is far below what two machines would reach.
pub(super) async fn run(plan: &MeasurementPlan) -> anyhow::Result<Vec<ReportRow>> {
    let setup = Setup::start(&plan.program, SERVERS, 0).await?;
    let meetings = setup.create_meetings(MEETINGS).await?;
    let replica = setup.product.start_replica().await?;
    let targets = signing::join_targets(&meetings, JOINS)?;
    let source = |port| RequestSource::repeating(port, targets.clone());
    let single = plan.build_load(vec![source(setup.product.port())], ExpectedResponse::Join);
    let sources = vec![source(setup.product.port()), source(replica.port())];
    let both = plan.build_load(sources, ExpectedResponse::Join);
    let comparison = plan.compare(&both, &single).await;
    replica.stop().await?;
    setup.stop().await?;
    Ok(vec![throughput_row("join through two replicas, baseline: one", &comparison?)])
}
