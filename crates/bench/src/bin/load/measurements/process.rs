//! The process: its time until the first response, and its memory.

use super::MeasurementPlan;
use crate::baseline::{self, BaselineKind};
use crate::client::ExpectedResponse;
use crate::report::ReportRow;
use crate::round::RequestSource;
use crate::round::RoundResult;
use crate::setup::Setup;
use crate::signing;
use crate::stats::{latency_quantile_ms, median, to_ms};

const SERVERS: usize = 10;
const MEETINGS: usize = 200;
/// Target for the memory.
const MAX_MEMORY_MIB: f64 = 60.0;
/// Number of starts, whose median is reported.
const STARTS: usize = 5;
/// Target for the time until the first response.
const MAX_START_MS: f64 = 300.0;

/// Measures the memory of a new balancer and of the baseline after the same joins.
pub(super) async fn measure_memory(plan: &MeasurementPlan) -> anyhow::Result<Vec<ReportRow>> {
    let setup = Setup::start(&plan.program, SERVERS, 0).await?;
    let meetings = setup.create_meetings(MEETINGS).await?;
    let mut baseline = baseline::start(BaselineKind::Join, None).await?;
    let targets = signing::join_targets(&meetings, plan.memory_joins)?;
    for port in [baseline.port(), setup.product.port()] {
        let source = RequestSource::single_pass(port, targets.clone());
        plan.build_load(vec![source], ExpectedResponse::Join).send_all().await?;
    }
    let resident = setup.product.process().memory_mib("VmRSS")?;
    let peak = setup.product.process().memory_mib("VmHWM")?;
    let bare = baseline.memory_mib("VmRSS")?;
    baseline.stop().await?;
    setup.stop().await?;
    Ok(vec![ReportRow {
        name: format!("memory after {} joins (peak {peak:.1} MiB)", plan.memory_joins),
        product: format!("{resident:.1} MiB"),
        baseline: format!("{bare:.1} MiB"),
        target: Some((format!("≤ {MAX_MEMORY_MIB} MiB"), resident <= MAX_MEMORY_MIB)),
        ..ReportRow::default()
    }])
}

/// Measures starts with an empty store, whose tables are created first.
pub(super) async fn measure_start(plan: &MeasurementPlan) -> anyhow::Result<Vec<ReportRow>> {
    let (mut product, mut bare) = (RoundResult::default(), RoundResult::default());
    for _ in 0..STARTS {
        let mut baseline = baseline::start(BaselineKind::Xml, None).await?;
        bare.latencies.push(baseline.ready_after());
        baseline.stop().await?;
        let started = plan.program.start().await?;
        product.latencies.push(started.process().ready_after());
        started.stop().await?;
    }
    let median_ms = |round: &RoundResult| median(round.latencies.iter().map(to_ms));
    let ready_ms = median_ms(&product);
    Ok(vec![ReportRow {
        name: "ready after start".to_owned(),
        product: format!("{ready_ms:.0} ms"),
        baseline: format!("{:.0} ms", median_ms(&bare)),
        target: Some((format!("≤ {MAX_START_MS} ms"), ready_ms <= MAX_START_MS)),
        p50_p99_ms: Some((ready_ms, latency_quantile_ms(std::slice::from_ref(&product), 1.0))),
        ..ReportRow::default()
    }])
}
