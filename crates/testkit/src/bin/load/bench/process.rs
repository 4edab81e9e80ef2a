//! The process itself: how soon it answers, and how much memory it takes.

use super::Plan;
use crate::client::Expect;
use crate::floor::{self, Kind};
use crate::report::Row;
use crate::round::Aim;
use crate::round::Round;
use crate::sign;
use crate::stage::Stage;
use crate::stats::{median, ms, within_ms};

const SERVERS: usize = 10;
const MEETINGS: usize = 200;
const MEMORY_MIB: f64 = 60.0;
const STARTS: usize = 5;
const START_MS: f64 = 300.0;

/// Memory of a fresh balancer and of the floor after the same joins.
pub(super) async fn memory(plan: &Plan) -> anyhow::Result<Vec<Row>> {
    let stage = Stage::set(&plan.program, SERVERS, 0).await?;
    let meetings = stage.create(MEETINGS).await?;
    let mut floor = floor::start(Kind::Join, None).await?;
    let targets = sign::joins(&meetings, plan.joins)?;
    for port in [floor.port(), stage.product.port()] {
        let aim = Aim::once(port, targets.clone());
        plan.load(vec![aim], Expect::Join).all().await?;
    }
    let resident = stage.product.served().memory_mib("VmRSS")?;
    let peak = stage.product.served().memory_mib("VmHWM")?;
    let bare = floor.memory_mib("VmRSS")?;
    floor.stop().await?;
    stage.clear().await?;
    Ok(vec![Row {
        what: format!("memory after {} joins (peak {peak:.1} MiB)", plan.joins),
        product: format!("{resident:.1} MiB"),
        floor: format!("{bare:.1} MiB"),
        target: Some((format!("≤ {MEMORY_MIB} MiB"), resident <= MEMORY_MIB)),
        ..Row::default()
    }])
}

/// Starts with an empty store, which has to be laid out first.
pub(super) async fn start(plan: &Plan) -> anyhow::Result<Vec<Row>> {
    let (mut product, mut bare) = (Round::default(), Round::default());
    for _ in 0..STARTS {
        let mut floor = floor::start(Kind::Xml, None).await?;
        bare.latencies.push(floor.ready_after());
        floor.stop().await?;
        let started = plan.program.start().await?;
        product.latencies.push(started.served().ready_after());
        started.stop().await?;
    }
    let typical = |round: &Round| median(round.latencies.iter().map(ms));
    let ready = typical(&product);
    Ok(vec![Row {
        what: "ready after start".to_owned(),
        product: format!("{ready:.0} ms"),
        floor: format!("{:.0} ms", typical(&bare)),
        target: Some((format!("≤ {START_MS} ms"), ready <= START_MS)),
        within_ms: Some((ready, within_ms(std::slice::from_ref(&product), 1.0))),
        ..Row::default()
    }])
}
