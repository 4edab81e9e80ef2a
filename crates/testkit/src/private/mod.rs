//! Private servers for tests: a Redis, a PostgreSQL and an S3 of one test's own, each with a folder that
//! goes with it. Nothing has a fixed port, so any number of tests run side by side; and nothing is
//! left behind, not even by a test that is killed (see `keeper`).

mod cluster_template;
mod postgres;
mod postgres_tools;
mod redis;
mod resp;
mod s3;
mod supervisor;

pub use postgres::{Postgres, PostgresServerOptions as PostgresOptions};
pub use redis::{Persistence, Redis, RedisServerOptions as RedisOptions};
pub use resp::RedisReply;
pub use s3::S3;

use anyhow::Context;
use std::hash::{BuildHasher as _, RandomState};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::clock::environment_variable;

/// How long a server may take to start or stop.
const DEADLINE: Duration = Duration::from_secs(30);
/// How often somebody who waits for one looks.
const CHECK_INTERVAL: Duration = Duration::from_millis(2);
/// Ports to try before giving up.
const MAX_PORT_TRIES: usize = 50;

/// Below the ports that systems give to connections by themselves: nobody takes one of these by
/// chance while its server is down.
const PORT_RANGE: std::ops::Range<u16> = 12_000..32_000;

/// A port that nobody listens on now.
fn free_port() -> anyhow::Result<u16> {
    let chance = RandomState::new();
    let draws =
        (0..1_000_u64).map(|n| chance.hash_one(n) % u64::from(PORT_RANGE.end - PORT_RANGE.start));
    let mut ports =
        draws.filter_map(|draw| u16::try_from(draw).ok()).map(|draw| PORT_RANGE.start + draw);
    let free = ports.find(|port| std::net::TcpListener::bind(("127.0.0.1", *port)).is_ok());
    free.context("no free port")
}

/// A new folder, which is its keeper's to remove.
fn create_folder(prefix: &str) -> anyhow::Result<PathBuf> {
    Ok(tempfile::Builder::new().prefix(prefix).tempdir()?.keep())
}

/// The program of that name in the search path.
fn find_program(name: &str) -> Option<PathBuf> {
    let path = environment_variable("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file())
}

/// The last of what a server said, for messages.
fn log_tail(log: &Path) -> String {
    let log = std::fs::read(log).unwrap_or_default();
    let tail = log.get(log.len().saturating_sub(2_000)..).unwrap_or(&log);
    format!("it said: {}", String::from_utf8_lossy(tail).trim())
}
