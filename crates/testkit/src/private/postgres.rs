//! A PostgreSQL of one test's own.

use super::cluster_template::PostgresPrograms;
use super::supervisor::Supervisor;
use super::{CHECK_INTERVAL, DEADLINE, MAX_PORT_TRIES, create_folder, free_port, log_tail};
use anyhow::{Context, bail};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use tokio::time::{sleep, timeout};

/// What every server is told: small, quiet, and without chores of its own.
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
/// Fast, since nobody pulls a plug here.
const NON_DURABLE_SETTINGS: &str =
    "fsync = off\nsynchronous_commit = off\nfull_page_writes = off\n";

/// How to run it.
#[derive(Clone, Debug, Default)]
pub struct PostgresServerOptions {
    durable: bool,
    settings: Vec<(String, String)>,
}

impl PostgresServerOptions {
    /// With everything on disk before it is confirmed.
    #[must_use]
    pub fn durable(mut self, durable: bool) -> Self {
        self.durable = durable;
        self
    }

    /// With another setting of `postgresql.conf`.
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

/// A running `postgres` with a cluster of its own, whose superuser `postgres` gets in without a
/// password. Dropping it kills it and removes its folder.
#[derive(Debug)]
pub struct Postgres {
    pub(super) programs: PostgresPrograms,
    supervisor: Supervisor,
    options: PostgresServerOptions,
    port: u16,
    database_count: AtomicU32,
}

impl Postgres {
    /// One that forgets everything in a crash of the machine.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn start() -> anyhow::Result<Self> {
        Self::start_with(PostgresServerOptions::default()).await
    }

    /// One of these options.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn start_with(options: PostgresServerOptions) -> anyhow::Result<Self> {
        let (programs, keeper) = tokio::task::spawn_blocking(prepare_cluster).await??;
        let databases = AtomicU32::default();
        let mut postgres =
            Self { programs, supervisor: keeper, options, port: 0, database_count: databases };
        for _ in 0..MAX_PORT_TRIES {
            postgres.port = free_port()?;
            postgres.write_configuration()?;
            if postgres.try_start().await? {
                return Ok(postgres);
            }
        }
        bail!("no port is free for long enough")
    }

    fn data_dir(&self) -> PathBuf {
        data_dir_in(self.supervisor.folder())
    }

    fn write_configuration(&self) -> anyhow::Result<()> {
        let folder = self.supervisor.folder().display().to_string();
        let text = self.options.configuration(&folder, self.port);
        // The file is there, and stays its owner's.
        Ok(std::fs::write(self.data_dir().join("postgresql.conf"), text)?)
    }

    /// Starts the process and waits until it takes connections; false if somebody took its port.
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
        let said = log_tail(&log);
        if said.contains("already in use") {
            std::fs::write(&log, "")?;
            return Ok(false);
        }
        bail!("PostgreSQL does not start; {said}")
    }

    /// Its port on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The folder of its socket.
    #[must_use]
    pub fn socket_folder(&self) -> &Path {
        self.supervisor.folder()
    }

    /// A database by TCP.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        format!("postgresql://postgres@127.0.0.1:{}/{database}", self.port)
    }

    /// A database by the socket.
    #[must_use]
    pub fn socket_url(&self, database: &str) -> String {
        let (folder, port) = (self.socket_folder().display(), self.port);
        format!("postgresql://postgres@/{database}?host={folder}&port={port}")
    }

    /// A new empty database whose name nobody was given before.
    ///
    /// # Errors
    /// When it cannot be created.
    pub async fn next_database(&self) -> anyhow::Result<String> {
        let name = format!("test_{}", self.database_count.fetch_add(1, Ordering::Relaxed));
        self.create_database(&name).await?;
        Ok(name)
    }

    /// Stops it at once and in good order: whoever is connected is thrown out.
    ///
    /// # Errors
    /// When it does not end.
    pub async fn stop(&self) -> anyhow::Result<()> {
        self.supervisor.stop("INT", false).await
    }

    /// Kills it with all its processes.
    ///
    /// # Errors
    /// When it does not end.
    pub async fn kill(&self) -> anyhow::Result<()> {
        self.supervisor.stop("KILL", true).await
    }

    /// Lets it hang: it keeps its connections and answers nothing, until it goes on.
    ///
    /// # Errors
    /// When that cannot be told to it.
    pub async fn pause(&self) -> anyhow::Result<()> {
        self.supervisor.pause().await
    }

    /// Lets it go on.
    ///
    /// # Errors
    /// When that cannot be told to it.
    pub fn resume(&self) -> anyhow::Result<()> {
        self.supervisor.resume()
    }

    /// Starts it again on the same port and data; kills it before if it runs.
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
        timeout(DEADLINE, restarting).await.context("its port stays taken")?
    }
}

/// Everything that comes before the first start.
fn prepare_cluster() -> anyhow::Result<(PostgresPrograms, Supervisor)> {
    let programs = PostgresPrograms::find()?;
    let folder = create_folder("postgres-")?;
    let mut command = programs.command("postgres");
    command.extend(["-D".into(), data_dir_in(&folder).into()]);
    // From here on the folder goes whatever happens.
    let keeper = Supervisor::new(folder, &command)?;
    programs.set_owner(keeper.folder())?;
    programs.create_cluster(&data_dir_in(keeper.folder()))?;
    Ok((programs, keeper))
}

fn data_dir_in(folder: &Path) -> PathBuf {
    folder.join("data")
}

/// Whether the process of that id says in its file that it takes connections.
fn is_ready(data: &Path, id: u32) -> bool {
    let file = std::fs::read_to_string(data.join("postmaster.pid")).unwrap_or_default();
    let mut lines = file.lines().map(str::trim);
    lines.next() == Some(id.to_string().as_str()) && lines.next_back() == Some("ready")
}
