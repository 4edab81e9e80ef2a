//! The binary under test: started with the settings of a profile, polled, emptied, and killed in
//! the end.

use super::http::{ClientRequest, ClientResponse, exchange};
use super::normalizer::digest;
use super::request::HOST;
use crate::clock;
use crate::stores::TestStores;
use anyhow::{Context, bail, ensure};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

const START_DEADLINE: Duration = Duration::from_secs(20);
const COMMAND_DEADLINE: Duration = Duration::from_secs(120);
const FOLDERS: [(&str, &str); 5] = [
    ("SCALELITE_DATA_DIR", "data"),
    ("RECORDING_SPOOL_DIR", "spool"),
    ("RECORDING_WORK_DIR", "work"),
    ("RECORDING_PUBLISH_DIR", "published"),
    ("RECORDING_UNPUBLISH_DIR", "unpublished"),
];

/// A running `serve` with an empty store of its own. Dropping this kills the process and removes
/// the store.
#[derive(Debug)]
pub(super) struct Target {
    binary: PathBuf,
    settings: Vec<(String, String)>,
    port: u16,
    process: Option<Child>,
    stores: TestStores,
    root: TempDir,
}

impl Target {
    pub(super) async fn start(
        binary: &Path,
        stores: TestStores,
        settings: Vec<(String, String)>,
    ) -> anyhow::Result<Target> {
        let root = tempfile::Builder::new().prefix("conformance-").tempdir()?;
        let binary = binary.to_owned();
        let mut target = Target { binary, settings, port: 0, process: None, stores, root };
        target.restart().await?;
        Ok(target)
    }

    pub(super) fn folder(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    /// Starts a new process with empty folders and stores.
    pub(super) async fn restart(&mut self) -> anyhow::Result<()> {
        if let Some(mut server) = self.process.take() {
            server.kill().await?;
        }
        self.stores.clear().await?;
        for (_, folder) in FOLDERS {
            let folder = self.folder(folder);
            if folder.exists() {
                std::fs::remove_dir_all(&folder)?;
            }
            std::fs::create_dir_all(&folder)?;
        }
        self.port = crate::private::free_port()?;
        let log = std::fs::File::options().create(true).append(true).open(self.log_path())?;
        let server = self
            .command()
            .arg("serve")
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| self.binary.display().to_string())?;
        self.process = Some(server);
        let started = timeout(START_DEADLINE, self.wait_until_healthy()).await;
        started
            .unwrap_or_else(|_| bail!("no response to health_check"))
            .with_context(|| self.log_tail())
    }

    async fn wait_until_healthy(&mut self) -> anyhow::Result<()> {
        loop {
            if let Some(server) = &mut self.process
                && let Some(status) = server.try_wait()?
            {
                bail!("serve ended: {status}");
            }
            let response =
                self.send(&management_request("GET", "/health_check".to_owned(), None)).await;
            if response.is_ok_and(|response| response.status == 200) {
                return Ok(());
            }
            sleep(Duration::from_millis(10)).await;
        }
    }

    fn log_path(&self) -> PathBuf {
        self.root.path().join("serve.log")
    }

    /// The end of the server's log, for error messages.
    fn log_tail(&self) -> String {
        let log = std::fs::read(self.log_path()).unwrap_or_default();
        let tail = &log[log.len().saturating_sub(2000)..];
        format!("the log ends with: {}", String::from_utf8_lossy(tail).trim())
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.binary);
        command.env_clear().stdin(Stdio::null()).kill_on_drop(true);
        for name in ["PATH", "HOME", "LANG", "RUST_BACKTRACE", "TMPDIR"] {
            command.envs(clock::environment_variable(name).map(|value| (name, value)));
        }
        command.env("PORT", self.port.to_string());
        command.env("BIND", format!("tcp://127.0.0.1:{}", self.port));
        for (name, folder) in FOLDERS {
            command.env(name, self.folder(folder));
        }
        command.envs(self.stores.environment());
        command.env("RECORDING_IMPORT_POLL_INTERVAL", "0.2").env("POLL_INTERVAL", "3600");
        // Requests that no step of a case makes must not be among those that are compared.
        command.env("HEARTBEAT_INTERVAL", "0");
        command.env("CALLBACK_ALLOW", "127.0.0.0/8");
        // Like the original, which lets a web server send its files.
        command.env("PLAYBACK_X_ACCEL", "true");
        // The recorded responses depend on the loads of servers. A forecast depends on the time as
        // well.
        command.env("PLACEMENT_POLICY", "reserve");
        command.envs(self.settings.iter().map(|(name, value)| (name, value)));
        command.env("SECRET_KEY_BASE", "0".repeat(128));
        command
    }

    /// Polls all servers once, by the command.
    pub(super) async fn poll_servers(&self) -> anyhow::Result<()> {
        let mut command = self.command();
        let output = timeout(COMMAND_DEADLINE, command.args(["poll", "all"]).output()).await??;
        let stderr = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "poll all: {}: {}", output.status, stderr.trim());
        Ok(())
    }

    /// The imports that the program has recorded; none if it does not import recordings.
    pub(super) async fn list_imports(&self) -> anyhow::Result<Option<Vec<Value>>> {
        let mut command = self.command();
        command.args(["recordings", "imports", "--json"]);
        let output = timeout(COMMAND_DEADLINE, command.output()).await??;
        if !output.status.success() {
            return Ok(None);
        }
        Ok(Some(serde_json::from_slice(&output.stdout)?))
    }

    pub(super) async fn send(&self, request: &ClientRequest) -> anyhow::Result<ClientResponse> {
        exchange(self.port, request).await
    }

    /// Makes a management call that must succeed.
    pub(super) async fn call_management(
        &self,
        call: &str,
        data: Option<&Value>,
    ) -> anyhow::Result<Value> {
        let response = self.send_management_call(call, data).await?;
        let text = String::from_utf8_lossy(&response.body);
        ensure!(response.status < 400, "{call}: {} {text}", response.status);
        serde_json::from_str(&text).with_context(|| format!("{call}: {text}"))
    }

    async fn send_management_call(
        &self,
        call: &str,
        data: Option<&Value>,
    ) -> anyhow::Result<ClientResponse> {
        let checksum = digest("sha256", format!("{call}lbsecret").as_bytes())?;
        let target = format!("/scalelite/api/{call}?checksum={checksum}");
        let method = if data.is_some() { "POST" } else { "GET" };
        self.send(&management_request(method, target, data)).await
    }

    /// All servers. The status is 404 if there are none.
    async fn list_servers(&self) -> anyhow::Result<Vec<Value>> {
        let response = self.send_management_call("getServers", None).await?;
        match response.status {
            404 => Ok(Vec::new()),
            200 => Ok(serde_json::from_slice(&response.body)?),
            status => bail!("getServers: {status} {}", String::from_utf8_lossy(&response.body)),
        }
    }

    /// Removes all servers, and with them their meetings, through the management API.
    pub(super) async fn remove_servers(&self) -> anyhow::Result<()> {
        for server in self.list_servers().await? {
            self.call_management("deleteServer", Some(&serde_json::json!({ "id": server["id"] })))
                .await?;
        }
        ensure!(self.list_servers().await?.is_empty(), "servers are left after deleting them all");
        Ok(())
    }
}

fn management_request(method: &str, target: String, data: Option<&Value>) -> ClientRequest {
    let mut headers = vec![("Host".to_owned(), HOST.to_owned())];
    if data.is_some() {
        headers.push(("Content-Type".to_owned(), "application/json".to_owned()));
    }
    let body = data.map(|data| data.to_string().into_bytes());
    ClientRequest { method: method.to_owned(), target, headers, body }
}
