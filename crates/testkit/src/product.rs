//! The product as a black box: the built binary as a process with its own store, used through HTTP
//! and commands, stopped, killed and started again.

pub use crate::calls::{new_request, signed_target, signed_target_with};
use crate::clock::environment_variable;
pub use crate::conformance::http::{ClientConnection, ClientRequest, ClientResponse, exchange};
use crate::stores::{StoreKind, TestStores};
pub use crate::wait::{wait_until, wait_until_within};
use anyhow::{Context, bail, ensure};
use bbb_sim::{Algorithm, BbbServer};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

/// The secret that clients and administrators share with the balancer.
pub const SECRET: &str = "lbsecret-of-the-tests";
/// The path of the BigBlueButton API.
pub const API_PATH: &str = "/bigbluebutton/api";
/// Settings for the folders of recordings, and the names of these within the setup's folder.
pub const RECORDING_DIRS: [(&str, &str); 4] = [
    ("RECORDING_SPOOL_DIR", "spool"),
    ("RECORDING_WORK_DIR", "work"),
    ("RECORDING_PUBLISH_DIR", "published"),
    ("RECORDING_UNPUBLISH_DIR", "unpublished"),
];
/// How long a test waits for an expected event before it fails.
pub const DEADLINE: Duration = Duration::from_secs(30);

/// How to start the product. Processes of one setup share its folder, and therefore its store.
#[derive(Clone, Debug)]
pub struct Setup {
    binary: PathBuf,
    settings: Vec<(String, String)>,
    arguments: Vec<String>,
    folder: Arc<TempDir>,
    log_count: Arc<AtomicU32>,
    stores: TestStores,
}

/// A running `serve`. Dropping this kills the process. The folder is removed with the last value
/// that refers to the setup.
#[derive(Debug)]
pub struct Product {
    // Declared before the setup: the process ends before its folder is removed.
    child: Child,
    setup: Setup,
    log: PathBuf,
    port: u16,
}

impl Setup {
    /// A setup with a new folder.
    ///
    /// # Errors
    /// When the folder cannot be created.
    pub fn new(binary: &str) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("product-").tempdir()?;
        for (_, name) in RECORDING_DIRS {
            std::fs::create_dir(folder.path().join(name))?;
        }
        Ok(Self {
            binary: PathBuf::from(binary),
            settings: Vec::new(),
            arguments: Vec::new(),
            folder: Arc::new(folder),
            log_count: Arc::default(),
            stores: TestStores::embedded(),
        })
    }

    /// Adds a setting. The last one of a name counts.
    #[must_use]
    pub fn with_setting(mut self, name: &str, value: &str) -> Self {
        self.settings.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Sets the stores. Their servers run at least as long as the setup exists.
    #[must_use]
    pub fn with_stores(mut self, stores: &TestStores) -> Self {
        self.stores = stores.clone();
        self
    }

    /// The setup of another replica: the same stores, and, unless the store is a file, a data
    /// folder of its own, as on another machine.
    #[must_use]
    pub fn replica(&self, number: usize) -> Self {
        if self.stores.kind() == StoreKind::Embedded {
            return self.clone();
        }
        let data = self.folder().join(format!("data-{number}"));
        self.clone().with_setting("SCALELITE_DATA_DIR", &data.display().to_string())
    }

    /// The stores.
    #[must_use]
    pub fn stores(&self) -> &TestStores {
        &self.stores
    }

    /// Adds an argument for `serve`.
    #[must_use]
    pub fn with_serve_argument(mut self, argument: &str) -> Self {
        self.arguments.push(argument.to_owned());
        self
    }

    /// The folder of the setup, which is the working directory of its processes. It exists as long
    /// as the setup.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Starts `serve` without waiting for anything. By default it listens on a free port.
    ///
    /// # Errors
    /// When the process cannot be started.
    pub fn spawn(&self) -> anyhow::Result<Product> {
        let number = self.log_count.fetch_add(1, Ordering::Relaxed);
        let log = self.folder().join(format!("log-{number}"));
        let file = std::fs::File::create(&log)?;
        let mut command = self.command();
        command.arg("serve").args(&self.arguments);
        command.stdout(file.try_clone()?).stderr(file);
        let child = command.spawn().with_context(|| self.binary.display().to_string())?;
        Ok(Product { child, setup: self.clone(), log, port: 0 })
    }

    /// Starts `serve` on a free port and waits until it is healthy.
    ///
    /// # Errors
    /// When it ends or does not answer.
    pub async fn start(&self) -> anyhow::Result<Product> {
        let mut product = self.spawn()?;
        let ready = timeout(DEADLINE, product.wait_until_healthy()).await;
        let ready = ready.unwrap_or_else(|_| bail!("no response to health_check"));
        ready.with_context(|| format!("the log: {}", product.log()))?;
        Ok(product)
    }

    /// The program with its environment, without arguments. Dropping the process kills it.
    #[must_use]
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.binary);
        command.env_clear().stdin(Stdio::null()).kill_on_drop(true);
        command.current_dir(self.folder());
        for name in ["PATH", "HOME", "LANG", "RUST_BACKTRACE", "TMPDIR"] {
            command.envs(environment_variable(name).map(|value| (name, value)));
        }
        command.env("SCALELITE_ENV_FILE", "/dev/null"); // The machine may have one of its own.
        command.env("BIND", "tcp://127.0.0.1:0");
        command.env("SCALELITE_DATA_DIR", self.folder().join("data"));
        command.envs(self.stores.environment());
        for (name, folder) in RECORDING_DIRS {
            command.env(name, self.folder().join(folder));
        }
        command.env("LOADBALANCER_SECRET", SECRET);
        command.envs([("RECORDING_MIN_FREE", "0"), ("COMMAND_LOG", "none")]);
        // Servers are polled at the start and on command only.
        command.envs([("POLL_INTERVAL", "3600"), ("HEARTBEAT_INTERVAL", "0")]);
        command.envs(self.settings.iter().map(|(name, value)| (name, value)));
        command
    }
}

impl Product {
    async fn wait_until_healthy(&mut self) -> anyhow::Result<()> {
        self.wait_until_listening().await?;
        while !self.get("/health_check").await.is_ok_and(|response| response.status == 200) {
            self.ensure_running()?;
            sleep(Duration::from_millis(5)).await;
        }
        Ok(())
    }

    /// Waits until the process listens, healthy or not, and its log names the port.
    ///
    /// # Errors
    /// When the process ends instead.
    pub async fn wait_until_listening(&mut self) -> anyhow::Result<()> {
        while self.port == 0 {
            self.ensure_running()?;
            self.port = self.port_in_log().unwrap_or_default();
            sleep(Duration::from_millis(5)).await;
        }
        Ok(())
    }

    fn ensure_running(&mut self) -> anyhow::Result<()> {
        let ended = self.child.try_wait()?;
        ended.map_or(Ok(()), |status| bail!("serve ended: {status}"))
    }

    fn port_in_log(&self) -> Option<u16> {
        let log = self.log();
        let (_, after) = log.split_once("http://127.0.0.1:")?;
        let digits = after.split(|c: char| !c.is_ascii_digit()).next()?;
        // The line may not be complete yet.
        after.contains('\n').then(|| digits.parse().ok()).flatten()
    }

    /// The port on which the process listens.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The setup of the process.
    #[must_use]
    pub fn setup(&self) -> &Setup {
        &self.setup
    }

    /// Everything that the process has logged so far.
    #[must_use]
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// The id of the process.
    pub(crate) fn process_id(&self) -> anyhow::Result<u32> {
        self.child.id().context("the process has ended")
    }

    /// Sends SIGTERM.
    ///
    /// # Errors
    /// When the process has ended.
    pub async fn terminate(&self) -> anyhow::Result<()> {
        self.send_signal("TERM").await
    }

    /// Sends a signal, given by its name without `SIG`.
    ///
    /// # Errors
    /// When the process has ended.
    pub async fn send_signal(&self, name: &str) -> anyhow::Result<()> {
        let id = self.child.id().context("the process has ended")?;
        let kill = format!("kill -{name} {id}");
        let status = Command::new("sh").args(["-c", &kill]).status().await?;
        ensure!(status.success(), "{kill}: {status}");
        Ok(())
    }

    /// Waits until the process ends.
    ///
    /// # Errors
    /// When it does not end in time.
    pub async fn wait_for_exit(&mut self) -> anyhow::Result<ExitStatus> {
        let status = timeout(DEADLINE, self.child.wait()).await;
        Ok(status.context("does not end")??)
    }

    /// Kills the process and waits until it has ended.
    ///
    /// # Errors
    /// When it cannot be killed.
    pub async fn kill(&mut self) -> anyhow::Result<()> {
        Ok(self.child.kill().await?)
    }

    /// Starts a new process on the same data. Kills the old one if it runs.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn restart(&mut self) -> anyhow::Result<()> {
        if self.child.try_wait()?.is_none() {
            self.kill().await?;
        }
        *self = self.setup.start().await?;
        Ok(())
    }

    /// Sends a GET request for this target.
    ///
    /// # Errors
    /// When there is no complete response.
    pub async fn get(&self, target: &str) -> anyhow::Result<ClientResponse> {
        exchange(self.port, &new_request("GET", target)).await
    }

    /// Sends a request.
    ///
    /// # Errors
    /// When there is no complete response.
    pub async fn send(&self, request: &ClientRequest) -> anyhow::Result<ClientResponse> {
        exchange(self.port, request).await
    }

    /// Makes a signed call by GET.
    ///
    /// # Errors
    /// When there is no complete response.
    pub async fn call(&self, name: &str, query: &str) -> anyhow::Result<ClientResponse> {
        self.get(&signed_target(name, query)).await
    }

    /// Makes a call by POST with a checksum over its query.
    ///
    /// # Errors
    /// When there is no complete response.
    pub async fn post(
        &self,
        name: &str,
        query: &str,
        content_type: &str,
        body: &[u8],
    ) -> anyhow::Result<ClientResponse> {
        let mut request = new_request("POST", &signed_target(name, query));
        let header = ("Content-Type".to_owned(), content_type.to_owned());
        request.headers.push(header);
        request.body = Some(body.to_vec());
        exchange(self.port, &request).await
    }

    /// Makes a management call that must succeed: a POST if there is data.
    ///
    /// # Errors
    /// When it fails.
    pub async fn call_management(&self, call: &str, data: Option<Value>) -> anyhow::Result<Value> {
        let checksum = Algorithm::Sha256.hex_digest(&format!("{call}{SECRET}"));
        let target = format!("/scalelite/api/{call}?checksum={checksum}");
        let mut request = new_request("GET", &target);
        if let Some(data) = data {
            "POST".clone_into(&mut request.method);
            let header = ("Content-Type".to_owned(), "application/json".to_owned());
            request.headers.push(header);
            request.body = Some(data.to_string().into_bytes());
        }
        let response = exchange(self.port, &request).await?;
        let (status, text) = (response.status, response.text());
        ensure!(status < 400, "{call}: {status} {text}");
        serde_json::from_str(&text).with_context(|| format!("{call}: {text}"))
    }

    /// Adds a server with this URL and enables it, which polls it. Returns its id.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn add_server(&self, url: &str, secret: &str) -> anyhow::Result<String> {
        let new = json!({ "server": { "url": url, "secret": secret } });
        let added = self.call_management("addServer", Some(new)).await?;
        let id = added.get("id").and_then(Value::as_str);
        let id = id.context("addServer returned no id")?.to_owned();
        let enable = json!({ "id": id, "server": { "state": "enable" } });
        self.call_management("updateServer", Some(enable)).await?;
        Ok(id)
    }

    /// Adds and enables a simulated server. Returns its id.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn add_simulated_server(&self, server: &BbbServer) -> anyhow::Result<String> {
        self.add_server(&server.url(), &server.secret()).await
    }

    /// The URLs and loads of all servers, sorted by URL. The load of an offline server is 0.
    ///
    /// # Errors
    /// When the call fails.
    pub async fn list_loads(&self) -> anyhow::Result<Vec<(String, f64)>> {
        let servers = self.call_management("getServers", None).await?;
        let servers = servers.as_array().context("no list")?.iter();
        let url_and_load = |server: &Value| {
            let load = server["load"].as_f64().unwrap_or_default();
            (server["url"].as_str().unwrap_or_default().to_owned(), load)
        };
        let mut loads: Vec<_> = servers.map(url_and_load).collect();
        loads.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(loads)
    }

    /// Polls all servers once.
    ///
    /// # Errors
    /// When the command fails.
    pub async fn poll_servers(&self) -> anyhow::Result<()> {
        let output = self.setup.run_command(&["poll", "all"]).await?;
        let stderr = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "poll all: {stderr}");
        Ok(())
    }
}
