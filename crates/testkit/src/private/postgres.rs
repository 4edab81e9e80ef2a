//! Private PostgreSQL servers.

use super::cluster_template::PostgresPrograms;
use super::shared::{ServerAddress, find_or_start, unique_name};
use super::supervisor::{Lifetime, Supervisor};
use super::{CHECK_INTERVAL, DEADLINE, MAX_PORT_TRIES, create_folder, free_port, log_tail};
use anyhow::{Context, bail};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use tokio::time::{sleep, timeout};

/// Settings of every server: little memory, and no background jobs.
const SETTINGS: &str = "\
listen_addresses = '127.0.0.1'
shared_buffers = 16MB
max_connections = 100
wal_level = minimal
max_wal_senders = 0
autovacuum = off
timezone = 'UTC'
log_timezone = 'UTC'
recovery_init_sync_method = syncfs
";
/// Settings for speed. The data need not survive a crash of the machine.
const NON_DURABLE_SETTINGS: &str =
    "fsync = off\nsynchronous_commit = off\nfull_page_writes = off\n";
/// Connections of the shared server: a store opens several, and tests run at the same time.
const MAX_SHARED_CONNECTIONS: &str = "500";

/// How to run a PostgreSQL server.
#[derive(Clone, Debug, Default)]
pub struct PostgresServerOptions {
    durable: bool,
    settings: Vec<(String, String)>,
}

impl PostgresServerOptions {
    /// Sets whether every transaction is on disk before it is confirmed.
    #[must_use]
    pub fn durable(mut self, durable: bool) -> Self {
        self.durable = durable;
        self
    }

    /// Adds a setting of `postgresql.conf`.
    #[must_use]
    pub fn setting(mut self, name: &str, value: &str) -> Self {
        self.settings.push((name.to_owned(), value.to_owned()));
        self
    }

    fn configuration(&self, folder: &str, port: u16) -> String {
        let mut text = format!("port = {port}\nunix_socket_directories = '{folder}'\n{SETTINGS}");
        text.push_str(if self.durable { "" } else { NON_DURABLE_SETTINGS });
        for (name, value) in &self.settings {
            let _ = writeln!(text, "{name} = '{}'", value.replace('\'', "''"));
        }
        text
    }
}

/// A running `postgres` with a cluster of its own. Its superuser `postgres` connects without a
/// password. Dropping this kills the server and removes its folder, unless the server is shared.
#[derive(Debug)]
pub struct Postgres {
    pub(super) programs: PostgresPrograms,
    supervisor: Supervisor,
    options: PostgresServerOptions,
    port: u16,
    /// The beginning of the names that [`Postgres::next_database`] gives.
    database_prefix: String,
    database_count: AtomicU32,
}

impl Postgres {
    /// Starts a server that may lose data in a crash of the machine.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn start() -> anyhow::Result<Self> {
        Self::start_with(PostgresServerOptions::default()).await
    }

    /// Starts a server with these options.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn start_with(options: PostgresServerOptions) -> anyhow::Result<Self> {
        Self::start_for(options, Lifetime::Supervisor).await
    }

    /// Returns the server that all tests of this run share, and starts it if it is not running yet.
    /// Use databases of your own; the server cannot be stopped.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn shared() -> anyhow::Result<Self> {
        let address = find_or_start("postgres", async |lifetime| {
            let options = PostgresServerOptions::default();
            let options = options.setting("max_connections", MAX_SHARED_CONNECTIONS);
            let postgres = Self::start_for(options, lifetime).await?;
            let folder = postgres.supervisor.folder().to_owned();
            Ok(ServerAddress { folder, port: postgres.port })
        });
        let ServerAddress { folder, port } = address.await?;
        Ok(Self {
            programs: tokio::task::spawn_blocking(PostgresPrograms::find).await??,
            supervisor: Supervisor::of_another_process(folder),
            options: PostgresServerOptions::default(),
            port,
            database_prefix: format!("test_{}", unique_name()),
            database_count: AtomicU32::default(),
        })
    }

    async fn start_for(options: PostgresServerOptions, lifetime: Lifetime) -> anyhow::Result<Self> {
        let prepared = tokio::task::spawn_blocking(move || prepare_cluster(&lifetime));
        let (programs, supervisor) = prepared.await??;
        let mut postgres = Self {
            programs,
            supervisor,
            options,
            port: 0,
            database_prefix: "test".to_owned(),
            database_count: AtomicU32::default(),
        };
        for _ in 0..MAX_PORT_TRIES {
            postgres.port = free_port()?;
            postgres.write_configuration()?;
            if postgres.try_start().await? {
                return Ok(postgres);
            }
        }
        bail!("each port was taken before the server had started")
    }

    fn data_dir(&self) -> PathBuf {
        data_dir_in(self.supervisor.folder())
    }

    fn write_configuration(&self) -> anyhow::Result<()> {
        let folder = self.supervisor.folder().display().to_string();
        let text = self.options.configuration(&folder, self.port);
        // Writing into the existing file keeps its owner.
        Ok(std::fs::write(self.data_dir().join("postgresql.conf"), text)?)
    }

    /// Starts the process and waits until it accepts connections. Returns false if another program
    /// took its port.
    async fn try_start(&self) -> anyhow::Result<bool> {
        let id = self.supervisor.start()?;
        let started = timeout(DEADLINE, async {
            while !self.supervisor.is_stopped() {
                if is_ready(&self.data_dir(), id) {
                    return true;
                }
                sleep(CHECK_INTERVAL).await;
            }
            false
        });
        let log = self.supervisor.log_path();
        let started = started.await;
        if started.with_context(|| format!("PostgreSQL does not start; {}", log_tail(&log)))? {
            return Ok(true);
        }
        self.supervisor.reap()?;
        let tail = log_tail(&log);
        if tail.contains("already in use") {
            std::fs::write(&log, "")?;
            return Ok(false);
        }
        bail!("PostgreSQL does not start; {tail}")
    }

    /// The server's port on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The folder of the server's Unix socket.
    #[must_use]
    pub fn socket_folder(&self) -> &Path {
        self.supervisor.folder()
    }

    /// The URL of a database by TCP.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        format!("postgresql://postgres@127.0.0.1:{}/{database}", self.port)
    }

    /// The URL of a database by the Unix socket.
    #[must_use]
    pub fn socket_url(&self, database: &str) -> String {
        let (folder, port) = (self.socket_folder().display(), self.port);
        format!("postgresql://postgres@/{database}?host={folder}&port={port}")
    }

    /// Creates an empty database and returns its name, a new one each time.
    ///
    /// # Errors
    /// When it cannot be created.
    pub async fn next_database(&self) -> anyhow::Result<String> {
        let number = self.database_count.fetch_add(1, Ordering::Relaxed);
        let name = format!("{}_{number}", self.database_prefix);
        self.create_database(&name).await?;
        Ok(name)
    }

    /// Shuts the server down in order but without waiting for clients: their connections are
    /// closed.
    ///
    /// # Errors
    /// When it does not end.
    pub async fn stop(&self) -> anyhow::Result<()> {
        self.supervisor.stop("INT", false).await
    }

    /// Kills the server with all its processes.
    ///
    /// # Errors
    /// When it does not end.
    pub async fn kill(&self) -> anyhow::Result<()> {
        self.supervisor.stop("KILL", true).await
    }

    /// Suspends the server: it keeps its connections and answers nothing until
    /// [`Postgres::resume`].
    ///
    /// # Errors
    /// When its processes cannot be signalled.
    pub async fn pause(&self) -> anyhow::Result<()> {
        self.supervisor.pause().await
    }

    /// Lets a suspended server continue.
    ///
    /// # Errors
    /// When its processes cannot be signalled.
    pub fn resume(&self) -> anyhow::Result<()> {
        self.supervisor.resume()
    }

    /// Starts the server again on the same port and data. Kills it first if it runs.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn restart(&self) -> anyhow::Result<()> {
        self.kill().await?;
        let restarting = async {
            while !self.try_start().await? {
                sleep(CHECK_INTERVAL).await;
            }
            Ok(())
        };
        timeout(DEADLINE, restarting).await.context("another program keeps its port")?
    }
}

/// Does everything that comes before the first start.
fn prepare_cluster(lifetime: &Lifetime) -> anyhow::Result<(PostgresPrograms, Supervisor)> {
    let programs = PostgresPrograms::find()?;
    let folder = create_folder("postgres-")?;
    let mut command = programs.command("postgres");
    command.extend(["-D".into(), data_dir_in(&folder).into()]);
    // From now on the folder is removed in any case.
    let supervisor = Supervisor::new(folder, &command, lifetime)?;
    programs.set_owner(supervisor.folder())?;
    programs.create_cluster(&data_dir_in(supervisor.folder()))?;
    Ok((programs, supervisor))
}

fn data_dir_in(folder: &Path) -> PathBuf {
    folder.join("data")
}

/// Whether `postmaster.pid` says that the process with this id accepts connections.
fn is_ready(data: &Path, id: u32) -> bool {
    let file = std::fs::read_to_string(data.join("postmaster.pid")).unwrap_or_default();
    let mut lines = file.lines().map(str::trim);
    lines.next() == Some(id.to_string().as_str()) && lines.next_back() == Some("ready")
}
