//! Open consoles: memory with 500 servers and 20 live pages; and joins while metrics are read, the audit is asked and a console is open, compared
//! with a balancer of which nobody asks anything.

use super::{MeasurementPlan, throughput_row};
use crate::client::{Connection, ExpectedResponse};
use crate::product::{Product, Program};
use crate::report::ReportRow;
use crate::round::RequestSource;
use crate::setup::Setup;
use crate::signing;
use anyhow::{Context, ensure};
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, COOKIE, HOST, SET_COOKIE};
use http::{Request, Uri};
use http_body_util::Full;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use testkit::private::free_port;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

/// The pool whose pages are open.
const SERVERS: usize = 500;
const MEETINGS: usize = 2_000;
const PAGES: usize = 20;
/// Polls while pages are open; each changes all of them.
const POLLS: usize = 10;
const MAX_MEMORY_MIB: f64 = 120.0;
/// The pool whose joins are compared.
const JOIN_SERVERS: usize = 10;
const JOIN_MEETINGS: usize = 200;
const JOINS: usize = 20_000;
const MIN_OBSERVED_RATIO: f64 = 0.95;
/// How often metrics and audit are read.
const READ_INTERVAL: Duration = Duration::from_secs(1);
/// How long an answer may take.
const DEADLINE: Duration = Duration::from_secs(30);

pub(super) async fn run(plan: &MeasurementPlan) -> anyhow::Result<Vec<ReportRow>> {
    Ok(vec![measure_memory(plan).await?, measure_observed_joins(plan).await?])
}

/// Measures the memory while pages are open and change.
async fn measure_memory(plan: &MeasurementPlan) -> anyhow::Result<ReportRow> {
    let setup = Setup::start(&plan.program, SERVERS, 0).await?;
    setup.create_meetings(MEETINGS).await?;
    setup.product.poll_servers().await?;
    let before = setup.product.process().memory_mib("VmRSS")?;
    let cookie = sign_in(&setup.product).await?;
    let events = Arc::new(AtomicUsize::new(0));
    let mut pages = JoinSet::new();
    for _ in 0..PAGES {
        pages.spawn(read_page(setup.product.port(), cookie.clone(), events.clone()));
    }
    for _ in 0..POLLS {
        setup.product.poll_servers().await?;
        sleep(READ_INTERVAL).await;
    }
    let resident = setup.product.process().memory_mib("VmRSS")?;
    let peak = setup.product.process().memory_mib("VmHWM")?;
    while let Some(ended) = pages.try_join_next() {
        ended?.context("a page was closed")?;
    }
    pages.abort_all();
    let seen = events.load(Ordering::Relaxed);
    ensure!(seen >= PAGES * 2, "only {seen} changes of {PAGES} pages were seen");
    setup.stop().await?;
    Ok(ReportRow {
        name: format!(
            "memory with {SERVERS} servers and {PAGES} open consoles (peak {peak:.1} MiB, {seen} changes seen); \
             baseline: without consoles"
        ),
        product: format!("{resident:.1} MiB"),
        baseline: format!("{before:.1} MiB"),
        target: Some((format!("≤ {MAX_MEMORY_MIB} MiB"), resident <= MAX_MEMORY_MIB)),
        ..ReportRow::default()
    })
}

/// Compares joins with and without observers.
async fn measure_observed_joins(plan: &MeasurementPlan) -> anyhow::Result<ReportRow> {
    let quiet = Setup::start(&plan.program, JOIN_SERVERS, 0).await?;
    let port = free_port()?;
    let mut settings = plan.program.settings.clone();
    settings.push(("METRICS_BIND".to_owned(), format!("127.0.0.1:{port}")));
    let program = Program { settings, ..plan.program.clone() };
    let observed = Setup::start(&program, JOIN_SERVERS, 0).await?;
    let mut loads = Vec::new();
    for setup in [&observed, &quiet] {
        let meetings = setup.create_meetings(JOIN_MEETINGS).await?;
        let targets = signing::join_targets(&meetings, JOINS)?;
        let source = RequestSource::repeating(setup.product.port(), targets);
        loads.push(plan.build_load(vec![source], ExpectedResponse::Join));
    }
    let cookie = sign_in(&observed.product).await?;
    let token = make_token(&observed.product, "auditor", "audit:read").await?;
    let reads = Arc::new(AtomicUsize::new(0));
    let mut observers = JoinSet::new();
    observers.spawn(read_page(observed.product.port(), cookie, reads.clone()));
    observers.spawn(read_often(port, "/metrics", None, reads.clone()));
    let audit = "/scalelite/api/v1/audit?limit=100";
    observers.spawn(read_often(observed.product.port(), audit, Some(token), reads.clone()));
    let comparison = plan.compare(&loads[0], &loads[1]).await?;
    while let Some(ended) = observers.try_join_next() {
        ended?.context("an observer ended")?;
    }
    observers.abort_all();
    ensure!(reads.load(Ordering::Relaxed) > 3, "nothing was observed");
    observed.stop().await?;
    quiet.stop().await?;
    let ratio = comparison.ratio();
    let target = Some((format!("ratio ≥ {MIN_OBSERVED_RATIO}"), ratio >= MIN_OBSERVED_RATIO));
    let name =
        "join while metrics, audit and a console are read each second; baseline: nobody reads";
    Ok(ReportRow { target, ..throughput_row(name, &comparison) })
}

async fn make_token(product: &Product, name: &str, scopes: &str) -> anyhow::Result<String> {
    let output = product.command_output(&["tokens", "create", name, "--scope", scopes]).await?;
    let token = output.split_whitespace().find(|word| word.starts_with("scl_"));
    token.map(str::to_owned).context("no token was made")
}

/// Signs in to the console; returns the cookie.
async fn sign_in(product: &Product) -> anyhow::Result<String> {
    let token = make_token(product, "console", "read").await?;
    let body = Full::new(Bytes::from(format!("token={token}&next=%2Fscalelite%2F")));
    let request = Request::post("/scalelite/sign-in")
        .header(HOST, "lb.example.test")
        .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(body)?;
    let mut connection = Connection::open(product.port()).await?;
    let response = connection.send_for_headers(request).await?;
    let cookie = response.get(SET_COOKIE).context("no cookie")?.to_str()?;
    Ok(cookie.split(';').next().unwrap_or_default().to_owned())
}

/// Reads a live page and counts how often it changes. Ends with an error if the balancer closes it.
async fn read_page(port: u16, cookie: String, changes: Arc<AtomicUsize>) -> anyhow::Result<()> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
    let request = format!(
        "GET /scalelite/events?of=%2Fscalelite%2F HTTP/1.1\r\n{HOST}: lb.example.test\r\n{COOKIE}: {cookie}\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await?;
    let (mut buffer, mut tail) = (vec![0; 64 << 10], Vec::new());
    loop {
        let read = timeout(DEADLINE, stream.read(&mut buffer)).await.context("a silent page")??;
        ensure!(read > 0, "the page was closed");
        // An event may begin in one piece and go on in the next.
        tail.extend_from_slice(&buffer[..read]);
        let found = tail.windows(EVENT.len()).filter(|part| *part == EVENT).count();
        changes.fetch_add(found, Ordering::Relaxed);
        let kept = tail.len().min(EVENT.len() - 1);
        tail.drain(..tail.len() - kept);
    }
}

/// How a change of a page begins.
const EVENT: &[u8] = b"event: view";

/// Reads a document in intervals, and counts how often that succeeded.
async fn read_often(
    port: u16,
    target: &'static str,
    token: Option<String>,
    reads: Arc<AtomicUsize>,
) -> anyhow::Result<()> {
    let mut connection = Connection::open(port).await?;
    loop {
        let mut request = Request::get(Uri::from_static(target)).header(HOST, "lb.example.test");
        if let Some(token) = &token {
            request = request.header(AUTHORIZATION, format!("Bearer {token}"));
        }
        let response = connection.send(request.body(Full::new(Bytes::new()))?);
        let response = timeout(DEADLINE, response).await.context("no answer")??;
        ensure!(response.status.is_success(), "{target}: {}", response.excerpt());
        reads.fetch_add(1, Ordering::Relaxed);
        sleep(READ_INTERVAL).await;
    }
}
