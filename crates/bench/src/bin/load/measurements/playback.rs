//! The download of a large file of a recording, compared with nginx on the same file.

use super::{MeasurementPlan, import};
use crate::clock::now;
use crate::report::ReportRow;
use crate::round::RoundResult;
use crate::server_process::{ServerProcess, free_port};
use crate::stats::{Comparison, median_rate};
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
/// Number of downloads at the same time.
const VIEWERS: usize = 4;
/// Target, as a share of nginx's speed.
const MIN_RATIO: f64 = 0.7;
/// Longest accepted response head.
const MAX_HEAD_BYTES: usize = 16 * 1024;

pub(super) async fn run(plan: &MeasurementPlan) -> anyhow::Result<Vec<ReportRow>> {
    let root = tempfile::Builder::new().prefix("load-playback-").tempdir()?;
    let product = import::with_recording_dirs(&plan.program, root.path()).start().await?;
    let sample = import::import_sample(&product, root.path()).await?;
    let path = format!("/video/{}/video-0.m4v", sample.record_id);
    let file = root.path().join("published").join(path.trim_start_matches('/'));
    // As large as the video of a lecture. The file stays in memory, so the disk is not measured.
    fs::write(&file, vec![b'v'; usize::try_from(FILE_MIB * MIB)?])?;
    let mut nginx = start_nginx(root.path()).await?;
    let comparison = compare(plan, product.port(), nginx.port(), &path).await;
    // If the master process is killed, its workers keep running.
    nginx_command(root.path()).args(["-s", "stop"]).status().await?;
    nginx.wait_for_end().await?;
    product.stop().await?;
    Ok(vec![to_row(&comparison?)])
}

/// Starts nginx as the original Scalelite configures it: the kernel sends the files (`sendfile`).
async fn start_nginx(root: &Path) -> anyhow::Result<ServerProcess> {
    let port = free_port()?;
    let directory = root.join("nginx");
    fs::create_dir_all(&directory)?;
    // By default workers run as another user, who may not read the files.
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
    fs::write(directory.join("nginx.conf"), conf)?;
    ServerProcess::start(nginx_command(root), port).await.context("this measurement needs nginx")
}

fn nginx_command(root: &Path) -> Command {
    let mut command = Command::new("nginx");
    command.arg("-p").arg(root.join("nginx")).args(["-c", "nginx.conf", "-e", "stderr"]);
    command
}

async fn compare(
    plan: &MeasurementPlan,
    product: u16,
    nginx: u16,
    path: &str,
) -> anyhow::Result<Comparison> {
    let mut comparison = Comparison::default();
    for port in [nginx, product] {
        comparison.warm_up.push(run_round(port, path, plan.round_duration / 4).await?);
    }
    for _ in 0..plan.rounds {
        comparison.baseline.push(run_round(nginx, path, plan.round_duration).await?);
        comparison.product.push(run_round(product, path, plan.round_duration).await?);
    }
    Ok(comparison)
}

async fn run_round(port: u16, path: &str, duration: Duration) -> anyhow::Result<RoundResult> {
    let started = now();
    let mut viewers = JoinSet::new();
    for _ in 0..VIEWERS {
        viewers.spawn(download_repeatedly(port, path.to_owned(), started + duration));
    }
    let mut round = RoundResult::default();
    while let Some(part) = viewers.join_next().await {
        round.merge(part?);
    }
    round.elapsed = now() - started;
    Ok(round)
}

/// Downloads the file until the deadline.
async fn download_repeatedly(port: u16, path: String, deadline: Instant) -> RoundResult {
    let mut round = RoundResult::default();
    while now() < deadline && round.failed == 0 {
        let started = now();
        match download_file(port, &path).await {
            Ok(()) => round.latencies.push(now() - started),
            Err(error) => round.record_failure(&error),
        }
    }
    round
}

/// Downloads the file once, without keeping it.
async fn download_file(port: u16, path: &str) -> anyhow::Result<()> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut buffer = vec![0; 256 * 1024];
    let mut head = Vec::new();
    let body = loop {
        let count = stream.read(&mut buffer).await?;
        ensure!(count > 0 && head.len() < MAX_HEAD_BYTES, "the response head is incomplete");
        head.extend_from_slice(&buffer[..count]);
        if let Some(end) = head.windows(4).position(|four| four == b"\r\n\r\n") {
            break head.len() - end - 4;
        }
    };
    ensure!(head.starts_with(b"HTTP/1.1 200 "), "{}", String::from_utf8_lossy(&head[..20]));
    let mut received = body as u64;
    while received < FILE_MIB * MIB {
        let count = stream.read(&mut buffer).await?;
        ensure!(count > 0, "the response ends after {received} bytes");
        received += count as u64;
    }
    Ok(())
}

fn to_row(comparison: &Comparison) -> ReportRow {
    let speed =
        |rounds: &[RoundResult]| format!("{:.0} MiB/s", median_rate(rounds) * FILE_MIB as f64);
    let ratio = comparison.ratio();
    let (failed, failure_example) = comparison.count_failures();
    ReportRow {
        name: format!("playback of {FILE_MIB} MiB, {VIEWERS} viewers, baseline: nginx"),
        product: speed(&comparison.product),
        baseline: speed(&comparison.baseline),
        ratio: Some(ratio),
        target: Some((format!("ratio ≥ {MIN_RATIO}"), ratio >= MIN_RATIO)),
        failed,
        failure_example,
        ..ReportRow::default()
    }
}
