//! The process itself: how soon it answers, and how much memory it takes.

use super::BenchPlan;
use crate::client::ExpectedResponse;
use crate::floor::{self, FloorKind};
use crate::report::ReportRow;
use crate::round::RequestSource;
use crate::round::RoundResult;
use crate::setup::BenchSetup;
use crate::signing;
use crate::stats::{latency_quantile_ms, median, to_ms};

const SERVERS: usize = 10;
const MEETINGS: usize = 200;
const MEMORY_MIB: f64 = 60.0;
const STARTS: usize = 5;
const START_MS: f64 = 300.0;

/// Memory of a fresh balancer and of the floor after the same joins.
pub(super) async fn measure_memory(plan: &BenchPlan) -> anyhow::Result<Vec<ReportRow>> {
    let stage = BenchSetup::start(&plan.program, SERVERS, 0).await?;
    let meetings = stage.create_meetings(MEETINGS).await?;
    let mut floor = floor::start(FloorKind::Join, None).await?;
    let targets = signing::join_targets(&meetings, plan.memory_joins)?;
    for port in [floor.port(), stage.product.port()] {
        let aim = RequestSource::single_pass(port, targets.clone());
        plan.build_load(vec![aim], ExpectedResponse::Join).send_all().await?;
    }
    let resident = stage.product.process().memory_mib("VmRSS")?;
    let peak = stage.product.process().memory_mib("VmHWM")?;
    let bare = floor.memory_mib("VmRSS")?;
    floor.stop().await?;
    stage.stop().await?;
    Ok(vec![ReportRow {
        name: format!("memory after {} joins (peak {peak:.1} MiB)", plan.memory_joins),
        product: format!("{resident:.1} MiB"),
        floor: format!("{bare:.1} MiB"),
        target: Some((format!("≤ {MEMORY_MIB} MiB"), resident <= MEMORY_MIB)),
        ..ReportRow::default()
    }])
}

/// Starts with an empty store, which has to be laid out first.
pub(super) async fn measure_start(plan: &BenchPlan) -> anyhow::Result<Vec<ReportRow>> {
    let (mut product, mut bare) = (RoundResult::default(), RoundResult::default());
    for _ in 0..STARTS {
        let mut floor = floor::start(FloorKind::Xml, None).await?;
        bare.latencies.push(floor.ready_after());
        floor.stop().await?;
        let started = plan.program.start().await?;
        product.latencies.push(started.process().ready_after());
        started.stop().await?;
    }
    let typical = |round: &RoundResult| median(round.latencies.iter().map(to_ms));
    let ready = typical(&product);
    Ok(vec![ReportRow {
        name: "ready after start".to_owned(),
        product: format!("{ready:.0} ms"),
        floor: format!("{:.0} ms", typical(&bare)),
        target: Some((format!("≤ {START_MS} ms"), ready <= START_MS)),
        p50_p99_ms: Some((ready, latency_quantile_ms(std::slice::from_ref(&product), 1.0))),
        ..ReportRow::default()
    }])
}
