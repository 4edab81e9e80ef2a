//! A pool of 2,000 servers with 40,000 meetings that is polled all the time: polls, creates beside them, and memory; and
//! getMeetings for several clients at once. The servers are a process of their own.

use std::time::Duration;

use anyhow::Context;
use bbb_sim::Latency;

use super::{MeasurementPlan, throughput_row};
use crate::client::{Connection, ExpectedResponse};
use crate::pool_process::PoolProcess;
use crate::product::Program;
use crate::report::{ReportRow, format_rate};
use crate::round::{RequestLoad, RequestSource};
use crate::setup::Setup;
use crate::signing;
use crate::stats::{Comparison, latency_quantile_ms, median, median_rate};

const METRICS_TOKEN: &str = "metrics-of-the-load-driver";
const SERVERS: usize = 2_000;
const MEETINGS_EACH: usize = 20;
const USERS: u32 = 5;
/// Clients that create meetings while the servers are polled, and how long they pause after each.
const CREATING_CLIENTS: usize = 4;
const CREATE_PAUSE: Duration = Duration::from_millis(20);
const PREPARING_CLIENTS: usize = 8;
/// Creates that are prepared for one round; fewer are sent.
const CREATES_EACH_ROUND: usize = 20_000;
const MAX_POLL_MS: f64 = 2_500.0;
const MAX_CREATE_P99_MS: f64 = 20.0;
const MAX_MEMORY_MIB: f64 = 150.0;
/// The pool whose list several clients request at once.
const LISTED_SERVERS: usize = 200;
const LISTING_CLIENTS: usize = 8;
const LIST_LATENCY: Duration = Duration::from_millis(20);
const MIN_LISTS_PER_SECOND: f64 = 40.0;

pub(super) async fn run(plan: &MeasurementPlan) -> anyhow::Result<Vec<ReportRow>> {
    let mut rows = measure_large_pool(plan).await?;
    rows.push(measure_lists(plan).await?);
    Ok(rows)
}

async fn measure_large_pool(plan: &MeasurementPlan) -> anyhow::Result<Vec<ReportRow>> {
    let mut settings = plan.program.settings.clone();
    settings.push(("POLL_INTERVAL".to_owned(), "3".to_owned()));
    settings.push(("METRICS_TOKEN".to_owned(), METRICS_TOKEN.to_owned()));
    let pool = PoolProcess::start(SERVERS, USERS).await?;
    let product = Program { settings, ..plan.program.clone() }.start().await?;
    product.add_servers(pool.servers.iter().cloned()).await?;
    let create = |name: &str, count: usize, clients: usize| {
        let targets = (0..count).map(|n| signing::create_target(&format!("{name}-{n}")));
        let source = RequestSource::single_pass(product.port(), targets.collect::<Result<_, _>>()?);
        anyhow::Ok(RequestLoad::new(vec![source], ExpectedResponse::Success, clients))
    };
    for page in 0..MEETINGS_EACH {
        create(&format!("old-{page}"), SERVERS, PREPARING_CLIENTS)?.send_all().await?;
    }
    let mut metrics = Connection::open(product.port()).await?;
    let (mut cycles_ms, mut creates) = (Vec::new(), Comparison::default());
    // The first round does not count.
    for round in 0..=plan.rounds {
        let load = create(&format!("new-{round}"), CREATES_EACH_ROUND, CREATING_CLIENTS)?;
        let created = load.with_pause(CREATE_PAUSE).run_round(plan.round_duration).await?;
        if round > 0 {
            cycles_ms.push(read_cycle_ms(&mut metrics).await?);
            creates.product.push(created);
        }
    }
    let resident = product.process().memory_mib("VmRSS")?;
    let peak = product.process().memory_mib("VmHWM")?;
    product.stop().await?;
    let poll_ms = median(cycles_ms);
    let (failed, failure_example) = creates.count_failures();
    let quantile = |q| latency_quantile_ms(&creates.product, q);
    Ok(vec![
        ReportRow {
            name: format!("poll cycle, {SERVERS} servers, {} meetings", SERVERS * MEETINGS_EACH),
            product: format!("{poll_ms:.0} ms"),
            target: Some((format!("≤ {MAX_POLL_MS} ms"), poll_ms <= MAX_POLL_MS)),
            ..ReportRow::default()
        },
        ReportRow {
            name: format!("create beside it, {CREATING_CLIENTS} clients"),
            product: format_rate(median_rate(&creates.product)),
            target: Some((
                format!("p99 ≤ {MAX_CREATE_P99_MS} ms"),
                quantile(0.99) <= MAX_CREATE_P99_MS,
            )),
            p50_p99_ms: Some((quantile(0.5), quantile(0.99))),
            failed,
            failure_example,
            ..ReportRow::default()
        },
        ReportRow {
            name: format!("memory with it (peak {peak:.1} MiB)"),
            product: format!("{resident:.1} MiB"),
            target: Some((format!("≤ {MAX_MEMORY_MIB} MiB"), peak <= MAX_MEMORY_MIB)),
            ..ReportRow::default()
        },
    ])
}

/// The duration of the last poll cycle, by the balancer's metrics.
async fn read_cycle_ms(metrics: &mut Connection) -> anyhow::Result<f64> {
    let target = http::Uri::from_static("/scalelite/metrics");
    let response = metrics.get_with_token(target, METRICS_TOKEN).await?;
    let text = std::str::from_utf8(&response.body)?;
    let value = text.lines().find_map(|line| line.strip_prefix("scalelite_poll_cycle_seconds "));
    Ok(value.context("no poll cycle yet")?.trim().parse::<f64>()? * 1000.0)
}

async fn measure_lists(plan: &MeasurementPlan) -> anyhow::Result<ReportRow> {
    let setup = Setup::start(&plan.program, LISTED_SERVERS, MEETINGS_EACH).await?;
    for server in setup.pool.servers() {
        server.set_latency(Latency::Fixed(LIST_LATENCY));
    }
    let target = signing::api_target("getMeetings", "")?;
    let source = RequestSource::repeating(setup.product.port(), vec![target]);
    let expected = ExpectedResponse::Meetings(LISTED_SERVERS * MEETINGS_EACH);
    let load = RequestLoad::new(vec![source], expected, LISTING_CLIENTS);
    let mut lists = Comparison::default();
    lists.warm_up.push(load.run_round(plan.round_duration / 4).await?);
    for _ in 0..plan.rounds {
        lists.product.push(load.run_round(plan.round_duration).await?);
    }
    setup.stop().await?;
    let rate = median_rate(&lists.product);
    let name = format!("getMeetings, {LISTED_SERVERS} servers, {LISTING_CLIENTS} clients");
    let target = (format!("≥ {MIN_LISTS_PER_SECOND}/s"), rate >= MIN_LISTS_PER_SECOND);
    Ok(ReportRow {
        target: Some(target),
        ratio: None,
        baseline: String::new(),
        ..throughput_row(name, &lists)
    })
}
