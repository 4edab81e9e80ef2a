//! How fast a large file is played back, compared with nginx on the same file.

use super::{BenchPlan, import};
use crate::child::{ServerProcess, free_port};
use crate::report::ReportRow;
use crate::round::RoundResult;
use crate::stats::{Comparison, median_rate};
use crate::stopwatch::now;
use anyhow::{Context, ensure};
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::process::Command;
use tokio::task::JoinSet;

const FILE_MIB: u64 = 256;
const MIB: u64 = 1 << 20;
/// Viewers who load at the same time.
const VIEWERS: usize = 4;
const RATIO: f64 = 0.7;
/// No head of an answer is longer.
const MAX_HEAD_BYTES: usize = 16 * 1024;

pub(super) async fn run(plan: &BenchPlan) -> anyhow::Result<Vec<ReportRow>> {
    let root = tempfile::Builder::new().prefix("load-playback-").tempdir()?;
    let product = import::with_recording_dirs(&plan.program, root.path()).start().await?;
    let sample = import::import_sample(&product, root.path()).await?;
    let path = format!("/video/{}/video-0.m4v", sample.record_id);
    let file = root.path().join("published").join(path.trim_start_matches('/'));
    // As long as a lecture; from memory, so that it is not the disk that is compared.
    fs::write(&file, vec![b'v'; usize::try_from(FILE_MIB * MIB)?])?;
    let mut nginx = start_nginx(root.path()).await?;
    let duel = compare(plan, product.port(), nginx.port(), &path).await;
    // Its workers live on if it is killed.
    nginx_command(root.path()).args(["-s", "stop"]).status().await?;
    nginx.wait_for_end().await?;
    product.stop().await?;
    Ok(vec![to_row(&duel?)])
}

/// nginx as the original has it: files are sent by the kernel.
async fn start_nginx(root: &Path) -> anyhow::Result<ServerProcess> {
    let port = free_port()?;
    let folder = root.join("nginx");
    fs::create_dir_all(&folder)?;
    // Its workers may be somebody else, who has to get at the files.
    let conf = format!(
        "user root; daemon off; worker_processes auto; error_log stderr; pid nginx.pid;\n\
         events {{ worker_connections 256; }}\n\
         http {{ access_log off; sendfile on; tcp_nopush on;\n\
         client_body_temp_path b; proxy_temp_path p; fastcgi_temp_path f; uwsgi_temp_path u;\n\
         scgi_temp_path s;\n\
         server {{ listen 127.0.0.1:{port}; location = /health_check {{ return 200; }}\n\
         location / {{ root {}; }} }} }}\n",
        root.join("published").display()
    );
    fs::write(folder.join("nginx.conf"), conf)?;
    ServerProcess::start(nginx_command(root), port)
        .await
        .context("nginx is needed for its side of the comparison")
}

fn nginx_command(root: &Path) -> Command {
    let mut command = Command::new("nginx");
    command.arg("-p").arg(root.join("nginx")).args(["-c", "nginx.conf", "-e", "stderr"]);
    command
}

async fn compare(
    plan: &BenchPlan,
    product: u16,
    nginx: u16,
    path: &str,
) -> anyhow::Result<Comparison> {
    let mut duel = Comparison::default();
    for port in [nginx, product] {
        duel.warm_up.push(run_round(port, path, plan.round_duration / 4).await?);
    }
    for _ in 0..plan.rounds {
        duel.floor.push(run_round(nginx, path, plan.round_duration).await?);
        duel.product.push(run_round(product, path, plan.round_duration).await?);
    }
    Ok(duel)
}

async fn run_round(port: u16, path: &str, length: Duration) -> anyhow::Result<RoundResult> {
    let started = now();
    let mut viewers = JoinSet::new();
    for _ in 0..VIEWERS {
        viewers.spawn(load_repeatedly(port, path.to_owned(), started + length));
    }
    let mut round = RoundResult::default();
    while let Some(part) = viewers.join_next().await {
        round.merge(part?);
    }
    round.elapsed = now() - started;
    Ok(round)
}

/// Loads the file again and again.
async fn load_repeatedly(port: u16, path: String, deadline: Instant) -> RoundResult {
    let mut round = RoundResult::default();
    while now() < deadline && round.failed == 0 {
        let asked = now();
        match load_file(port, &path).await {
            Ok(()) => round.latencies.push(now() - asked),
            Err(error) => round.record_failure(&error),
        }
    }
    round
}

/// Loads the file once, and forgets it.
async fn load_file(port: u16, path: &str) -> anyhow::Result<()> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut buffer = vec![0; 256 * 1024];
    let mut head = Vec::new();
    let body = loop {
        let count = stream.read(&mut buffer).await?;
        ensure!(count > 0 && head.len() < MAX_HEAD_BYTES, "no whole answer");
        head.extend_from_slice(&buffer[..count]);
        if let Some(end) = head.windows(4).position(|four| four == b"\r\n\r\n") {
            break head.len() - end - 4;
        }
    };
    ensure!(head.starts_with(b"HTTP/1.1 200 "), "{}", String::from_utf8_lossy(&head[..20]));
    let mut got = body as u64;
    while got < FILE_MIB * MIB {
        let count = stream.read(&mut buffer).await?;
        ensure!(count > 0, "cut off after {got} bytes");
        got += count as u64;
    }
    Ok(())
}

fn to_row(duel: &Comparison) -> ReportRow {
    let speed =
        |rounds: &[RoundResult]| format!("{:.0} MiB/s", median_rate(rounds) * FILE_MIB as f64);
    let ratio = duel.ratio();
    let (failed, complaint) = duel.count_failures();
    ReportRow {
        name: format!("playback of {FILE_MIB} MiB, {VIEWERS} viewers, floor: nginx"),
        product: speed(&duel.product),
        floor: speed(&duel.floor),
        ratio: Some(ratio),
        target: Some((format!("ratio ≥ {RATIO}"), ratio >= RATIO)),
        failed,
        failure_example: complaint,
        ..ReportRow::default()
    }
}
