//! Many hostile connections: idle ones, endless heads, bodies that prove nothing, clients that do not read. Prints the memory of the balancer,
//! and how long signed joins from another address take meanwhile.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use clap::Parser;
use testkit::deployment::TestDeployment;
use testkit::product::{ClientConnection, new_request, signed_target};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{Instant, sleep, timeout};

/// Longest time that a join may take.
const MAX_JOIN: Duration = Duration::from_secs(1);
/// Largest memory of the balancer, in KiB.
const MAX_MEMORY_KIB: u64 = 200 * 1024;
/// Pause between two joins.
const JOIN_PAUSE: Duration = Duration::from_millis(20);
/// Pause before a closed connection is opened again.
const RECONNECT_PAUSE: Duration = Duration::from_secs(5);
/// Pause between two pieces of a body.
const PIECE_PAUSE: Duration = Duration::from_millis(50);
const PIECE_BYTES: usize = 16 * 1024;

/// Attacks a balancer with many connections, and measures its memory and the joins of others.
#[derive(Clone, Debug, Parser)]
struct Arguments {
    /// The balancer.
    #[arg(long, default_value = "target/release/scalelite")]
    binary: String,
    /// Number of hostile connections.
    #[arg(long, default_value_t = 20_000)]
    connections: u32,
    /// Number of addresses that they come from.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=60_000))]
    addresses: u32,
    /// Duration of the attack, in seconds.
    #[arg(long, default_value_t = 20)]
    seconds: u64,
}

/// How often hostile connections were opened, refused and closed.
#[derive(Debug, Default)]
struct AttackCounts {
    opened: AtomicU64,
    failed: AtomicU64,
    closed: AtomicU64,
}

/// The times of joins, in ms, and how many failed.
#[derive(Debug, Default)]
struct JoinTimes {
    ms: Vec<f64>,
    failed: u64,
}

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    let hard = rlimit::Resource::NOFILE.get()?.1;
    rlimit::Resource::NOFILE.set(hard, hard)?;
    // Those that the balancer has closed are not open here either.
    ensure!(hard > 10_000, "only {hard} open files are allowed");
    // The balancer runs in a directory of its own.
    let binary = std::fs::canonicalize(&arguments.binary).context(arguments.binary.clone())?;
    let deployment = TestDeployment::new(&binary.display().to_string(), 1, &[]).await?;
    let created = deployment.product.call("create", "meetingID=m1&name=M1").await?;
    ensure!(created.xml_field("returncode") == "SUCCESS", "{}", created.text());
    let port = deployment.product.port();
    let before = deployment.product.memory_kib("VmRSS")?;
    let counts = Arc::new(AttackCounts::default());
    let attacks: Vec<_> = (0..arguments.connections)
        .map(|number| {
            tokio::spawn(attack(port, number, number % arguments.addresses, counts.clone()))
        })
        .collect();
    let duration = Duration::from_secs(arguments.seconds);
    // In a thread of its own: the attack must not delay its clock.
    let joins = tokio::task::spawn_blocking(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        anyhow::Ok(runtime.block_on(measure_joins(port, duration)))
    });
    let joins = joins.await??;
    let (now, peak) =
        (deployment.product.memory_kib("VmRSS")?, deployment.product.memory_kib("VmHWM")?);
    attacks.iter().for_each(tokio::task::JoinHandle::abort);
    let count = |number: &AtomicU64| number.load(Ordering::Relaxed);
    println!(
        "hostile connections: {} at a time from {} addresses, {} opened, {} not opened, {} closed by the balancer",
        arguments.connections,
        arguments.addresses,
        count(&counts.opened),
        count(&counts.failed),
        count(&counts.closed)
    );
    println!(
        "memory in MiB: {} before, {} at the end, peak {}",
        before / 1024,
        now / 1024,
        peak / 1024
    );
    Ok(if joins.report() && peak <= MAX_MEMORY_KIB { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Opens a hostile connection again and again.
async fn attack(port: u16, number: u32, address: u32, counts: Arc<AttackCounts>) {
    let [.., high, low] = (address + 1).to_be_bytes();
    let source = IpAddr::V4(Ipv4Addr::new(127, 1, high, low));
    // Not all at the same moment: the system would drop connections before the balancer sees them.
    sleep(Duration::from_millis(u64::from(number % 5_000))).await;
    loop {
        match timeout(Duration::from_secs(5), connect_from(source, port)).await {
            Ok(Ok(stream)) => {
                counts.opened.fetch_add(1, Ordering::Relaxed);
                let _ = misbehave(stream, number % 8).await;
                counts.closed.fetch_add(1, Ordering::Relaxed);
            }
            _ => {
                counts.failed.fetch_add(1, Ordering::Relaxed);
            }
        }
        sleep(RECONNECT_PAUSE).await;
    }
}

async fn connect_from(source: IpAddr, port: u16) -> anyhow::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(SocketAddr::new(source, 0))?;
    Ok(socket.connect(SocketAddr::from(([127, 0, 0, 1], port))).await?)
}

/// Sends what no front-end sends, until the balancer closes the connection.
async fn misbehave(mut stream: TcpStream, kind: u32) -> anyhow::Result<()> {
    let api = "/bigbluebutton/api";
    let post = |target: &str, kind: &str, length: usize| {
        format!(
            "POST {target} HTTP/1.1\r\nHost: a\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\r\n"
        )
    };
    let (head, body_bytes) = match kind {
        0 => (String::new(), 0),
        1 => (format!("GET {api} HTTP/1.1\r\nX:"), 0),
        2 => (format!("GET {api} HTTP/1.1\r\nX: "), 120 * 1024),
        3 => (post(&format!("{api}/analytics_callback"), "application/json", 4 << 20), 4 << 20),
        4 => (post("/scalelite/api/addServer", "application/json", 64 << 10), 60 << 10),
        5 => (
            post(&format!("{api}/create"), "application/x-www-form-urlencoded", 256 << 10),
            250 << 10,
        ),
        6 => (
            post(&format!("{api}/create?meetingID=x&checksum=0"), "text/xml", 100 << 20),
            100 << 20,
        ),
        // It never reads the responses.
        _ => (format!("GET {api} HTTP/1.1\r\nHost: a\r\n\r\n").repeat(50), 0),
    };
    stream.write_all(head.as_bytes()).await?;
    let piece = vec![b'A'; PIECE_BYTES];
    let mut sent = 0;
    while sent < body_bytes {
        stream.write_all(&piece[..PIECE_BYTES.min(body_bytes - sent)]).await?;
        sent += PIECE_BYTES;
        sleep(PIECE_PAUSE).await;
    }
    if kind == 7 {
        sleep(Duration::from_secs(600)).await;
    }
    let mut answer = vec![0; 1024];
    while stream.read(&mut answer).await? > 0 {}
    Ok(())
}

/// Sends a join on a new connection again and again.
async fn measure_joins(port: u16, duration: Duration) -> JoinTimes {
    let mut times = JoinTimes::default();
    let end = Instant::now() + duration;
    while Instant::now() < end {
        let started = Instant::now();
        match timeout(10 * MAX_JOIN, join(port)).await {
            Ok(Ok(())) => times.ms.push(started.elapsed().as_secs_f64() * 1000.0),
            failed => {
                times.failed += 1;
                eprintln!("a join failed: {failed:?}");
            }
        }
        sleep(JOIN_PAUSE).await;
    }
    times
}

async fn join(port: u16) -> anyhow::Result<()> {
    let stream = connect_from(IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2)), port).await?;
    let mut connection = ClientConnection::from_stream(stream);
    let target = signed_target("join", "meetingID=m1&fullName=A&role=VIEWER");
    let response = connection.send_request(&new_request("GET", &target)).await.context("join")?;
    match response.status {
        302 => Ok(()),
        status => bail!("{status}: {}", response.text()),
    }
}

impl JoinTimes {
    /// Prints the times; returns whether all joins were fast enough.
    fn report(&self) -> bool {
        let mut sorted = self.ms.clone();
        sorted.sort_by(f64::total_cmp);
        let at = |part: f64| {
            let index = (part * sorted.len() as f64) as usize;
            sorted.get(index.min(sorted.len().saturating_sub(1))).copied().unwrap_or_default()
        };
        let (count, failed) = (sorted.len(), self.failed);
        println!(
            "joins from another address: {count}, {failed} failed; p50 {:.1} ms, p99 {:.1} ms, longest {:.1} ms",
            at(0.5),
            at(0.99),
            at(1.0)
        );
        failed == 0 && at(1.0) <= MAX_JOIN.as_secs_f64() * 1000.0
    }
}
