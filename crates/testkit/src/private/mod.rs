//! Private servers for tests: a Redis, a PostgreSQL, a pgbouncer and an S3 server, each with a folder of its
//! own.
//!
//! No server has a fixed port, so any number of tests run at the same time. Nothing is left behind,
//! not even by a test that is killed (see `supervisor`). A test that stops, breaks or counts starts
//! a server of its own (`start`); the others use the server that the whole run shares (`shared`),
//! each with a database, namespace or bucket of its own.

mod cluster_template;
mod pgbouncer;
mod postgres;
mod postgres_tools;
mod redis;
mod resp;
mod s3;
mod shared;
mod supervisor;

pub use pgbouncer::PgBouncer;
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
/// The interval between two checks whether a server has started or stopped.
const CHECK_INTERVAL: Duration = Duration::from_millis(2);
/// The number of ports to try before giving up.
const MAX_PORT_TRIES: usize = 50;

/// Ports below those that systems assign to outgoing connections, so that no connection takes the
/// port of a server that is stopped for a moment.
const PORT_RANGE: std::ops::Range<u16> = 12_000..32_000;

/// Returns a port on which nothing listens at the moment.
///
/// # Errors
/// When there is none.
pub fn free_port() -> anyhow::Result<u16> {
    let random = RandomState::new();
    let draws =
        (0..1_000_u64).map(|n| random.hash_one(n) % u64::from(PORT_RANGE.end - PORT_RANGE.start));
    let mut ports =
        draws.filter_map(|draw| u16::try_from(draw).ok()).map(|draw| PORT_RANGE.start + draw);
    let free = ports.find(|port| std::net::TcpListener::bind(("127.0.0.1", *port)).is_ok());
    free.context("no free port")
}

/// Creates a folder in the system's directory for temporary files. A `Supervisor` removes it.
fn create_folder(prefix: &str) -> anyhow::Result<PathBuf> {
    Ok(tempfile::Builder::new().prefix(prefix).tempdir()?.keep())
}

/// Finds a program in the search path.
fn find_program(name: &str) -> Option<PathBuf> {
    let path = environment_variable("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file())
}

/// The last 2,000 bytes of a server's log, for error messages.
fn log_tail(log: &Path) -> String {
    let log = std::fs::read(log).unwrap_or_default();
    let tail = log.get(log.len().saturating_sub(2_000)..).unwrap_or(&log);
    format!("the log ends with: {}", String::from_utf8_lossy(tail).trim())
}
