//! How fast a large file is played back, compared with nginx on the same file.

use super::{Plan, import};
use crate::child::{Served, free_port};
use crate::report::Row;
use crate::round::Round;
use crate::stats::{Duel, rate};
use crate::watch::now;
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
const HEAD_MAX: usize = 16 * 1024;

pub(super) async fn run(plan: &Plan) -> anyhow::Result<Vec<Row>> {
    let root = tempfile::Builder::new().prefix("load-playback-").tempdir()?;
    let product = import::with_folders(&plan.program, root.path()).start().await?;
    let sample = import::bring_in(&product, root.path()).await?;
    let path = format!("/video/{}/video-0.m4v", sample.record_id);
    let file = root.path().join("published").join(path.trim_start_matches('/'));
    // As long as a lecture; from memory, so that it is not the disk that is compared.
    fs::write(&file, vec![b'v'; usize::try_from(FILE_MIB * MIB)?])?;
    let mut nginx = nginx(root.path()).await?;
    let duel = duel(plan, product.port(), nginx.port(), &path).await;
    // Its workers live on if it is killed.
    nginx_command(root.path()).args(["-s", "stop"]).status().await?;
    nginx.ended().await?;
    product.stop().await?;
    Ok(vec![row(&duel?)])
}

/// nginx as the original has it: files are sent by the kernel.
async fn nginx(root: &Path) -> anyhow::Result<Served> {
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
    Served::start(nginx_command(root), port)
        .await
        .context("nginx is needed for its side of the comparison")
}

fn nginx_command(root: &Path) -> Command {
    let mut command = Command::new("nginx");
    command.arg("-p").arg(root.join("nginx")).args(["-c", "nginx.conf", "-e", "stderr"]);
    command
}

async fn duel(plan: &Plan, product: u16, nginx: u16, path: &str) -> anyhow::Result<Duel> {
    let mut duel = Duel::default();
    for port in [nginx, product] {
        duel.warm_up.push(round(port, path, plan.round / 4).await?);
    }
    for _ in 0..plan.rounds {
        duel.floor.push(round(nginx, path, plan.round).await?);
        duel.product.push(round(product, path, plan.round).await?);
    }
    Ok(duel)
}

async fn round(port: u16, path: &str, length: Duration) -> anyhow::Result<Round> {
    let started = now();
    let mut viewers = JoinSet::new();
    for _ in 0..VIEWERS {
        viewers.spawn(view(port, path.to_owned(), started + length));
    }
    let mut round = Round::default();
    while let Some(part) = viewers.join_next().await {
        round.add(part?);
    }
    round.elapsed = now() - started;
    Ok(round)
}

/// Loads the file again and again.
async fn view(port: u16, path: String, deadline: Instant) -> Round {
    let mut round = Round::default();
    while now() < deadline && round.failed == 0 {
        let asked = now();
        match load(port, &path).await {
            Ok(()) => round.latencies.push(now() - asked),
            Err(error) => round.complain(&error),
        }
    }
    round
}

/// Loads the file once, and forgets it.
async fn load(port: u16, path: &str) -> anyhow::Result<()> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut buffer = vec![0; 256 * 1024];
    let mut head = Vec::new();
    let body = loop {
        let count = stream.read(&mut buffer).await?;
        ensure!(count > 0 && head.len() < HEAD_MAX, "no whole answer");
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

fn row(duel: &Duel) -> Row {
    let speed = |rounds: &[Round]| format!("{:.0} MiB/s", rate(rounds) * FILE_MIB as f64);
    let ratio = duel.ratio();
    let (failed, complaint) = duel.failures();
    Row {
        what: format!("playback of {FILE_MIB} MiB, {VIEWERS} viewers, floor: nginx"),
        product: speed(&duel.product),
        floor: speed(&duel.floor),
        ratio: Some(ratio),
        target: Some((format!("ratio ≥ {RATIO}"), ratio >= RATIO)),
        failed,
        complaint,
        ..Row::default()
    }
}
