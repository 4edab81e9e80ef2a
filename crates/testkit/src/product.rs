//! The product as a black box: the built binary as a process with a store of its own, spoken to
//! over HTTP and by its commands, stopped, killed and started again.

pub use crate::calls::{new_request, signed_target, signed_target_with};
use crate::clock::environment_variable;
pub use crate::conformance::http::{ClientConnection, ClientRequest, ClientResponse, exchange};
use crate::stores::{StoreKind, TestStores};
use anyhow::{Context, bail, ensure};
use bbb_sim::{Algorithm, BbbServer};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

/// The secret that front-ends and administrators share with the balancer.
pub const SECRET: &str = "lbsecret-of-the-tests";
/// Where the balancer answers BigBlueButton's calls.
pub const API_PATH: &str = "/bigbluebutton/api";
/// Folders of recordings, within the setup's.
pub const RECORDING_DIRS: [(&str, &str); 4] = [
    ("RECORDING_SPOOL_DIR", "spool"),
    ("RECORDING_WORK_DIR", "work"),
    ("RECORDING_PUBLISH_DIR", "published"),
    ("RECORDING_UNPUBLISH_DIR", "unpublished"),
];
/// How long anything that should happen may take.
pub const DEADLINE: Duration = Duration::from_secs(30);

/// How to start the product. Processes of one setup share its folder and so its store.
#[derive(Clone, Debug)]
pub struct Setup {
    binary: PathBuf,
    settings: Vec<(String, String)>,
    arguments: Vec<String>,
    folder: Arc<TempDir>,
    log_count: Arc<AtomicU32>,
    stores: TestStores,
}

/// A running `serve`. Dropping it kills the process; its folder goes with the last of its setup.
#[derive(Debug)]
pub struct Product {
    // Before the setup, so that its folder goes when nobody writes to it any more.
    child: Child,
    setup: Setup,
    log: PathBuf,
    port: u16,
}

impl Setup {
    /// A setup with a folder of its own.
    ///
    /// # Errors
    /// When there can be no temporary folder.
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

    /// The same with a setting more; the last one of a name counts.
    #[must_use]
    pub fn with_setting(mut self, name: &str, value: &str) -> Self {
        self.settings.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The same with its state on these servers, which run as long as the setup is there.
    #[must_use]
    pub fn with_stores(mut self, stores: &TestStores) -> Self {
        self.stores = stores.clone();
        self
    }

    /// A replica of that number: the same state, and a data folder of its own where state is on
    /// servers, as on another machine.
    #[must_use]
    pub fn replica(&self, number: usize) -> Self {
        if self.stores.kind() == StoreKind::Embedded {
            return self.clone();
        }
        let data = self.folder().join(format!("data-{number}"));
        self.clone().with_setting("SCALELITE_DATA_DIR", &data.display().to_string())
    }

    /// Where it keeps its state.
    #[must_use]
    pub fn stores(&self) -> &TestStores {
        &self.stores
    }

    /// The same with an argument more for `serve`.
    #[must_use]
    pub fn with_serve_argument(mut self, argument: &str) -> Self {
        self.arguments.push(argument.to_owned());
        self
    }

    /// A folder that is there as long as the setup; the working directory of its processes.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Starts `serve` without waiting for anything; it listens where its settings say, by default
    /// on a free port.
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
        let ready = ready.unwrap_or_else(|_| bail!("no answer to health_check"));
        ready.with_context(|| format!("the log says: {}", product.log()))?;
        Ok(product)
    }

    /// The program with its environment, yet without arguments; it is killed when its process is
    /// dropped.
    #[must_use]
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.binary);
        command.env_clear().stdin(Stdio::null()).kill_on_drop(true);
        command.current_dir(self.folder());
        for name in ["PATH", "HOME", "LANG", "RUST_BACKTRACE", "TMPDIR"] {
            command.envs(environment_variable(name).map(|value| (name, value)));
        }
        command.env("BIND", "tcp://127.0.0.1:0");
        command.env("SCALELITE_DATA_DIR", self.folder().join("data"));
        command.envs(self.stores.environment());
        for (name, folder) in RECORDING_DIRS {
            command.env(name, self.folder().join(folder));
        }
        command.env("LOADBALANCER_SECRET", SECRET);
        // Polls when it starts and when it is told to.
        command.env("POLL_INTERVAL", "3600");
        command.envs(self.settings.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Runs another command of the product with the same environment.
    ///
    /// # Errors
    /// When it cannot be started or does not end.
    pub async fn run_command(&self, arguments: &[&str]) -> anyhow::Result<Output> {
        let output = self.command().args(arguments).output();
        Ok(timeout(DEADLINE, output).await.context("does not end")??)
    }
}

impl Product {
    async fn wait_until_healthy(&mut self) -> anyhow::Result<()> {
        self.wait_until_listening().await?;
        while !self.get("/health_check").await.is_ok_and(|answer| answer.status == 200) {
            self.ensure_running()?;
            sleep(Duration::from_millis(5)).await;
        }
        Ok(())
    }

    /// Waits until it says at which port it listens, healthy or not.
    ///
    /// # Errors
    /// When it ends instead.
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
        // The line may still be on its way.
        after.contains('\n').then(|| digits.parse().ok()).flatten()
    }

    /// The port it listens on.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// How it was started.
    #[must_use]
    pub fn setup(&self) -> &Setup {
        &self.setup
    }

    /// All it has said so far.
    #[must_use]
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// A number of `/proc/PID/status` in KiB, e.g. `VmHWM`.
    ///
    /// # Errors
    /// When the process is gone.
    pub fn memory_kib(&self, name: &str) -> anyhow::Result<u64> {
        let id = self.child.id().context("the process has ended")?;
        let status = std::fs::read_to_string(format!("/proc/{id}/status"))?;
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let digits = line.with_context(|| format!("no {name}"))?;
        let digits: String = digits.chars().filter(char::is_ascii_digit).collect();
        Ok(digits.parse()?)
    }

    /// Sends SIGTERM.
    ///
    /// # Errors
    /// When the process is gone.
    pub async fn terminate(&self) -> anyhow::Result<()> {
        let id = self.child.id().context("the process has ended")?;
        let kill = format!("kill -TERM {id}");
        let status = Command::new("sh").args(["-c", &kill]).status().await?;
        ensure!(status.success(), "{kill}: {status}");
        Ok(())
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// When it does not end.
    pub async fn wait_for_exit(&mut self) -> anyhow::Result<ExitStatus> {
        let status = timeout(DEADLINE, self.child.wait()).await;
        Ok(status.context("does not end")??)
    }

    /// Kills it at once and waits for its end.
    ///
    /// # Errors
    /// When it cannot be killed.
    pub async fn kill(&mut self) -> anyhow::Result<()> {
        Ok(self.child.kill().await?)
    }

    /// Starts again what was stopped or killed, on the same data.
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

    /// GET of a target as it is.
    ///
    /// # Errors
    /// When there is no complete answer.
    pub async fn get(&self, target: &str) -> anyhow::Result<ClientResponse> {
        exchange(self.port, &new_request("GET", target)).await
    }

    /// Any request.
    ///
    /// # Errors
    /// When there is no complete answer.
    pub async fn send(&self, request: &ClientRequest) -> anyhow::Result<ClientResponse> {
        exchange(self.port, request).await
    }

    /// A signed call by GET.
    ///
    /// # Errors
    /// When there is no complete answer.
    pub async fn call(&self, name: &str, query: &str) -> anyhow::Result<ClientResponse> {
        self.get(&signed_target(name, query)).await
    }

    /// A call by POST, signed over its query.
    ///
    /// # Errors
    /// When there is no complete answer.
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

    /// A management call that has to succeed; a POST if there is data.
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
        let answer = exchange(self.port, &request).await?;
        let (status, text) = (answer.status, answer.text());
        ensure!(status < 400, "{call}: {status} {text}");
        serde_json::from_str(&text).with_context(|| format!("{call}: {text}"))
    }

    /// Adds a server under this URL and enables it, which polls it; returns its id.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn add_server(&self, url: &str, secret: &str) -> anyhow::Result<String> {
        let new = json!({ "server": { "url": url, "secret": secret } });
        let added = self.call_management("addServer", Some(new)).await?;
        let id = added.get("id").and_then(Value::as_str);
        let id = id.context("addServer answers without an id")?.to_owned();
        let enable = json!({ "id": id, "server": { "state": "enable" } });
        self.call_management("updateServer", Some(enable)).await?;
        Ok(id)
    }

    /// Adds a simulated server; returns its id.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn add_simulated_server(&self, server: &BbbServer) -> anyhow::Result<String> {
        self.add_server(&server.url(), &server.secret()).await
    }

    /// The loads of all servers in order of their URLs; offline ones count 0.
    ///
    /// # Errors
    /// When the call fails.
    pub async fn list_loads(&self) -> anyhow::Result<Vec<(String, f64)>> {
        let servers = self.call_management("getServers", None).await?;
        let servers = servers.as_array().context("no list")?.iter();
        let of = |server: &Value| {
            let load = server["load"].as_f64().unwrap_or_default();
            (server["url"].as_str().unwrap_or_default().to_owned(), load)
        };
        let mut loads: Vec<_> = servers.map(of).collect();
        loads.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(loads)
    }

    /// One poll of all servers.
    ///
    /// # Errors
    /// When the command fails.
    pub async fn poll_servers(&self) -> anyhow::Result<()> {
        let output = self.setup.run_command(&["poll", "all"]).await?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "poll all: {said}");
        Ok(())
    }
}

/// Waits until something is so.
///
/// # Errors
/// When it does not become so.
pub async fn wait_until(what: &str, mut is_so: impl AsyncFnMut() -> bool) -> anyhow::Result<()> {
    let waiting = async {
        while !is_so().await {
            sleep(Duration::from_millis(10)).await;
        }
    };
    let waited = timeout(DEADLINE, waiting).await;
    waited.with_context(|| format!("never {what}"))
}
