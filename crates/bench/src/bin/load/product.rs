//! The balancer under test: a child process with stores of its own, and its commands.

use crate::child::{ServerProcess, free_port};
use crate::client::Connection;
use crate::signing::{MANAGEMENT_PATH, SECRET, sign_target};
use crate::stopwatch::now;
use anyhow::{Context, ensure};
use bbb_sim::BbbServer;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tempfile::TempDir;
use testkit::clock::environment_variable;
use testkit::stores::{StoreKind, TestStores};
use tokio::process::Command;
use tokio::time::timeout;

const COMMAND_DEADLINE: Duration = Duration::from_secs(120);

/// The program and what it is told besides the necessary.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    pub(crate) binary: PathBuf,
    pub(crate) settings: Vec<(String, String)>,
    /// Servers of which every start gets a new share.
    pub(crate) stores: TestStores,
}

/// A running balancer. Dropping it kills the process and removes its folder.
#[derive(Debug)]
pub(crate) struct Product {
    process: ServerProcess,
    program: Program,
    folder: TempDir,
}

/// Another process on the state of a balancer; to be dropped before it.
#[derive(Debug)]
pub(crate) struct Replica {
    process: ServerProcess,
}

impl Program {
    /// Starts the balancer without any server. A store that is not its own is emptied of them.
    pub(crate) async fn start(&self) -> anyhow::Result<Product> {
        let program = Self { stores: self.stores.with_new_databases().await?, ..self.clone() };
        let folder = tempfile::Builder::new().prefix("load-").tempdir()?;
        let served = program.start_process(folder.path(), "data").await?;
        let product = Product { process: served, program, folder };
        product.forget_servers().await?;
        Ok(product)
    }

    async fn start_process(&self, folder: &Path, data: &str) -> anyhow::Result<ServerProcess> {
        let port = free_port()?;
        let mut command = self.build_command(port, folder, data)?;
        command.arg("serve");
        let served = ServerProcess::start(command, port).await;
        served.with_context(|| log_tail(folder))
    }

    fn build_command(&self, port: u16, folder: &Path, data: &str) -> anyhow::Result<Command> {
        let data = folder.join(data);
        std::fs::create_dir_all(&data)?;
        let log = std::fs::File::options().create(true).append(true).open(log_path(folder))?;
        let mut command = Command::new(&self.binary);
        command.env_clear().stdin(Stdio::null()).kill_on_drop(true);
        command.stdout(log.try_clone()?).stderr(log);
        for name in ["PATH", "HOME"] {
            command.envs(environment_variable(name).map(|value| (name, value)));
        }
        command.env("PORT", port.to_string());
        command.env("BIND", format!("tcp://127.0.0.1:{port}"));
        command.env("SCALELITE_DATA_DIR", data);
        command.envs(self.stores.environment());
        command.env("LOADBALANCER_SECRET", SECRET);
        command.env("POLL_INTERVAL", "3600");
        let settings = self.settings.iter();
        command.envs(settings.map(|(name, value)| (name, value)));
        Ok(command)
    }
}

impl Product {
    pub(crate) fn port(&self) -> u16 {
        self.process.port()
    }

    pub(crate) fn process(&self) -> &ServerProcess {
        &self.process
    }

    /// A folder that is gone when the balancer is.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Starts another process on the same state; where that is on servers, with a data folder of
    /// its own.
    pub(crate) async fn start_replica(&self) -> anyhow::Result<Replica> {
        let embedded = self.program.stores.kind() == StoreKind::Embedded;
        let data = if embedded { "data" } else { "data-of-replica" };
        Ok(Replica { process: self.program.start_process(self.folder(), data).await? })
    }

    /// Polls all servers by the command; returns how long the command took.
    pub(crate) async fn poll_servers(&self) -> anyhow::Result<Duration> {
        self.run_command(&["poll", "all"]).await
    }

    /// Runs a command that has to succeed; returns how long it took.
    pub(crate) async fn run_command(&self, arguments: &[&str]) -> anyhow::Result<Duration> {
        let what = arguments.join(" ");
        let mut command = self.program.build_command(self.port(), self.folder(), "data")?;
        let started = now();
        let ended = timeout(COMMAND_DEADLINE, command.args(arguments).status()).await;
        let took = now() - started;
        let status = ended.with_context(|| format!("{what} takes too long"))??;
        ensure!(status.success(), "{what}: {status}; {}", log_tail(self.folder()));
        Ok(took)
    }

    /// Adds the servers and enables them, which makes the balancer poll each.
    pub(crate) async fn add_servers(&self, servers: &[BbbServer]) -> anyhow::Result<()> {
        let mut connection = Connection::open(self.port()).await?;
        for server in servers {
            let data = json!({ "server": { "url": server.url(), "secret": server.secret() } });
            let added = call_management(&mut connection, "addServer", &data).await?;
            let id = added.get("id").context("addServer answers without an id")?;
            let data = json!({ "id": id, "server": { "state": "enable" } });
            call_management(&mut connection, "updateServer", &data).await?;
        }
        Ok(())
    }

    async fn forget_servers(&self) -> anyhow::Result<()> {
        let mut connection = Connection::open(self.port()).await?;
        let target = sign_target(MANAGEMENT_PATH, "getServers", "", SECRET)?;
        let answer = connection.get(target).await?;
        // No server at all is an answer of 404.
        let servers: Vec<Value> = match answer.status.as_u16() {
            404 => Vec::new(),
            _ => serde_json::from_slice(&answer.body).with_context(|| answer.excerpt())?,
        };
        for server in servers {
            let data = json!({ "id": server.get("id") });
            call_management(&mut connection, "deleteServer", &data).await?;
        }
        Ok(())
    }

    /// Kills the process, so that its folder can go too.
    pub(crate) async fn stop(mut self) -> anyhow::Result<()> {
        self.process.stop().await?;
        Ok(self.folder.close()?)
    }
}

impl Replica {
    pub(crate) fn port(&self) -> u16 {
        self.process.port()
    }

    pub(crate) async fn stop(mut self) -> anyhow::Result<()> {
        self.process.stop().await
    }
}

/// A management call that has to succeed.
async fn call_management(
    connection: &mut Connection,
    call: &str,
    data: &Value,
) -> anyhow::Result<Value> {
    let target = sign_target(MANAGEMENT_PATH, call, "", SECRET)?;
    let answer = connection.post_json(target, data.to_string()).await?;
    let (status, text) = (answer.status, answer.excerpt());
    ensure!(status.is_success(), "{call}: {status} {text}");
    serde_json::from_slice(&answer.body).with_context(|| format!("{call}: {text}"))
}

fn log_path(folder: &Path) -> PathBuf {
    folder.join("log")
}

/// The last of what the balancer said, for messages.
fn log_tail(folder: &Path) -> String {
    let log = std::fs::read(log_path(folder)).unwrap_or_default();
    let tail = log.get(log.len().saturating_sub(2000)..).unwrap_or(&log);
    format!("it said: {}", String::from_utf8_lossy(tail).trim())
}
