//! What the measuring programs share: options for the balancer under test, and the end of a program
//! on a signal.

use std::future::Future;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::ValueEnum;
use testkit::stores::StoreKind;
use tokio::signal::unix::{SignalKind, signal};

/// The store in which the balancer keeps its state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Store {
    /// SQLite in a file.
    Embedded,
    /// Redis with an append-only file that is synchronised every second, recordings in PostgreSQL.
    Redis,
    /// PostgreSQL with fsync.
    Postgres,
}

impl Store {
    /// Returns the kind of stores to start for the balancer.
    #[must_use]
    pub fn kind(self) -> StoreKind {
        match self {
            Self::Embedded => StoreKind::Embedded,
            Self::Redis => StoreKind::RedisAndPostgres,
            Self::Postgres => StoreKind::Postgres,
        }
    }
}

/// Parses the value of an option `NAME=VALUE`.
///
/// # Errors
/// If there is no equals sign.
pub fn parse_setting(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("expected NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

/// Returns the path of the balancer's binary; by default `scalelite` in the directory of this
/// program.
///
/// # Errors
/// If the file does not exist.
pub fn find_binary(option: Option<PathBuf>) -> anyhow::Result<PathBuf> {
    let binary = match option {
        Some(binary) => binary,
        None => std::env::current_exe()?.with_file_name("scalelite"),
    };
    binary.canonicalize().with_context(|| binary.display().to_string())
}

/// Runs a future until it is ready, or until SIGINT or SIGTERM. A signal drops the future, and with
/// it all child processes and temporary directories.
///
/// # Errors
/// The error of the future, or one that names the signal.
pub async fn run_until_signal<T>(
    future: impl Future<Output = anyhow::Result<T>>,
) -> anyhow::Result<T> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        result = future => result,
        _ = interrupt.recv() => anyhow::bail!("interrupted"),
        _ = terminate.recv() => anyhow::bail!("terminated"),
    }
}
