//! The balancer under test: a child process with stores of its own, and its command line.

use crate::client::Connection;
use crate::clock::now;
use crate::server_process::{ServerProcess, free_port};
use crate::signing::{MANAGEMENT_PATH, SECRET, sign_target};
use anyhow::{Context, ensure};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tempfile::TempDir;
use testkit::clock::environment_variable;
use testkit::stores::{StoreKind, TestStores};
use tokio::process::Command;
use tokio::time::timeout;

/// How long a command may take.
const COMMAND_DEADLINE: Duration = Duration::from_secs(120);

/// The balancer's binary, its additional settings, and its stores.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    pub(crate) binary: PathBuf,
    pub(crate) settings: Vec<(String, String)>,
    /// The stores; every started balancer gets an empty part of its own.
    pub(crate) stores: TestStores,
}

/// A running balancer. Dropping it kills the process and removes its directory.
#[derive(Debug)]
pub(crate) struct Product {
    process: ServerProcess,
    program: Program,
    directory: TempDir,
}

/// Another process on the stores of a balancer; to be dropped before the balancer.
#[derive(Debug)]
pub(crate) struct Replica {
    process: ServerProcess,
}

impl Program {
    /// Starts the balancer and removes all servers from its pool.
    pub(crate) async fn start(&self) -> anyhow::Result<Product> {
        let program = Self { stores: self.stores.with_new_databases().await?, ..self.clone() };
        let directory = tempfile::Builder::new().prefix("load-").tempdir()?;
        let process = program.start_process(directory.path(), "data").await?;
        let product = Product { process, program, directory };
        product.remove_servers().await?;
        Ok(product)
    }

    async fn start_process(&self, directory: &Path, data: &str) -> anyhow::Result<ServerProcess> {
        let port = free_port()?;
        let mut command = self.build_command(port, directory, data)?;
        command.arg("serve");
        let process = ServerProcess::start(command, port).await;
        process.with_context(|| log_tail(directory))
    }

    fn build_command(&self, port: u16, directory: &Path, data: &str) -> anyhow::Result<Command> {
        let data = directory.join(data);
        std::fs::create_dir_all(&data)?;
        let log = std::fs::File::options().create(true).append(true).open(log_path(directory))?;
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

    /// Returns a directory that is removed together with the balancer.
    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Starts another process on the same stores; on an embedded store in the same data directory,
    /// otherwise in one of its own.
    pub(crate) async fn start_replica(&self) -> anyhow::Result<Replica> {
        let embedded = self.program.stores.kind() == StoreKind::Embedded;
        let data = if embedded { "data" } else { "data-of-replica" };
        Ok(Replica { process: self.program.start_process(self.directory(), data).await? })
    }

    /// Polls all servers by the command line; returns how long the command took.
    pub(crate) async fn poll_servers(&self) -> anyhow::Result<Duration> {
        self.run_command(&["poll", "all"]).await
    }

    /// Runs a command that must succeed; returns how long it took.
    pub(crate) async fn run_command(&self, arguments: &[&str]) -> anyhow::Result<Duration> {
        let name = arguments.join(" ");
        let mut command = self.program.build_command(self.port(), self.directory(), "data")?;
        let started = now();
        let result = timeout(COMMAND_DEADLINE, command.args(arguments).status()).await;
        let elapsed = now() - started;
        let status = result.with_context(|| format!("{name}: timeout"))??;
        ensure!(status.success(), "{name}: {status}; {}", log_tail(self.directory()));
        Ok(elapsed)
    }

    /// Runs a command that must succeed; returns what it prints.
    pub(crate) async fn command_output(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let mut command = self.program.build_command(self.port(), self.directory(), "data")?;
        let output = command.args(arguments).stdout(Stdio::piped()).output();
        let output = timeout(COMMAND_DEADLINE, output).await.context("a command that hangs")??;
        ensure!(output.status.success(), "{}; {}", output.status, log_tail(self.directory()));
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Adds the servers to the pool and enables them; the balancer polls each server when it is
    /// enabled.
    pub(crate) async fn add_servers(
        &self,
        servers: impl IntoIterator<Item = (String, String)>,
    ) -> anyhow::Result<()> {
        let mut connection = Connection::open(self.port()).await?;
        for (url, secret) in servers {
            let data = json!({ "server": { "url": url, "secret": secret } });
            let added = call_management(&mut connection, "addServer", &data).await?;
            let id = added.get("id").context("the response of addServer has no id")?;
            let data = json!({ "id": id, "server": { "state": "enable" } });
            call_management(&mut connection, "updateServer", &data).await?;
        }
        Ok(())
    }

    async fn remove_servers(&self) -> anyhow::Result<()> {
        let mut connection = Connection::open(self.port()).await?;
        let target = sign_target(MANAGEMENT_PATH, "getServers", "", SECRET)?;
        let response = connection.get(target).await?;
        // Without any server the response has the status 404.
        let servers: Vec<Value> = match response.status.as_u16() {
            404 => Vec::new(),
            _ => serde_json::from_slice(&response.body).with_context(|| response.excerpt())?,
        };
        for server in servers {
            let data = json!({ "id": server.get("id") });
            call_management(&mut connection, "deleteServer", &data).await?;
        }
        Ok(())
    }

    /// Kills the process and removes its directory.
    pub(crate) async fn stop(mut self) -> anyhow::Result<()> {
        self.process.stop().await?;
        Ok(self.directory.close()?)
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

/// Sends a management call that must succeed.
async fn call_management(
    connection: &mut Connection,
    call: &str,
    data: &Value,
) -> anyhow::Result<Value> {
    let target = sign_target(MANAGEMENT_PATH, call, "", SECRET)?;
    let response = connection.post_json(target, data.to_string()).await?;
    let (status, text) = (response.status, response.excerpt());
    ensure!(status.is_success(), "{call}: {status} {text}");
    serde_json::from_slice(&response.body).with_context(|| format!("{call}: {text}"))
}

fn log_path(directory: &Path) -> PathBuf {
    directory.join("log")
}

/// Returns the end of the balancer's log, for messages.
fn log_tail(directory: &Path) -> String {
    let log = std::fs::read(log_path(directory)).unwrap_or_default();
    let tail = log.get(log.len().saturating_sub(2000)..).unwrap_or(&log);
    format!("its log ends with: {}", String::from_utf8_lossy(tail).trim())
}
