//! Simulated servers in a process of their own, so that neither their work nor that of the clients delays the other in this process.

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, ensure};
use bbb_sim::{BbbPool, PoolOptions};
use clap::Args;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

const START_DEADLINE: Duration = Duration::from_secs(60);
/// Time after which new meetings have users.
const JOIN_INTERVAL: Duration = Duration::from_millis(500);

#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Number of servers.
    #[arg(long)]
    servers: usize,
    /// Users in every meeting.
    #[arg(long)]
    users: u32,
}

/// Serves until the process is killed. Standard output gets a line for each server, with its URL and its secret.
pub(crate) async fn serve(options: Options) -> anyhow::Result<()> {
    let pool =
        BbbPool::start(PoolOptions { servers: options.servers, ..PoolOptions::default() }).await?;
    for server in pool.servers() {
        server.set_logging(false);
        println!("{} {}", server.url(), server.secret());
    }
    loop {
        tokio::time::sleep(JOIN_INTERVAL).await;
        for server in pool.servers() {
            for meeting in server.meetings() {
                server.set_users(&meeting.id, options.users, 1);
            }
        }
    }
}

/// The running process. Dropping it kills it.
#[derive(Debug)]
pub(crate) struct PoolProcess {
    _child: Child,
    /// URLs and secrets of the servers.
    pub(crate) servers: Vec<(String, String)>,
}

impl PoolProcess {
    /// Starts this program as the servers.
    pub(crate) async fn start(servers: usize, users: u32) -> anyhow::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.env_clear().stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true);
        command.arg("pool").args(["--servers", &servers.to_string()]);
        let mut child = command.args(["--users", &users.to_string()]).spawn()?;
        let output = child.stdout.take().context("no standard output")?;
        let mut lines = BufReader::new(output).lines();
        let mut found = Vec::new();
        while found.len() < servers {
            let line = timeout(START_DEADLINE, lines.next_line()).await.context("servers")??;
            let line = line.context("the process of the servers has ended")?;
            let (url, secret) = line.split_once(' ').context("a line without a secret")?;
            found.push((url.to_owned(), secret.to_owned()));
        }
        ensure!(!found.is_empty(), "no servers");
        Ok(Self { _child: child, servers: found })
    }
}
