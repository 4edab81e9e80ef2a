//! A private pgbouncer in front of a private PostgreSQL server.

use super::postgres::Postgres;
use super::supervisor::{Lifetime, Supervisor};
use super::{
    CHECK_INTERVAL, DEADLINE, MAX_PORT_TRIES, create_folder, find_program, free_port, log_tail,
};
use anyhow::{Context, bail};
use std::ffi::OsString;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

/// A running pgbouncer. Dropping this kills it and removes its folder.
#[derive(Debug)]
pub struct PgBouncer {
    supervisor: Supervisor,
    port: u16,
}

impl PgBouncer {
    /// Starts a pgbouncer that gives connections `pool_size` sessions of the server, by this `pool_mode`.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn start(
        postgres: &Postgres,
        pool_mode: &str,
        pool_size: u16,
    ) -> anyhow::Result<Self> {
        let program = find_program("pgbouncer").or_else(|| {
            let path = std::path::PathBuf::from("/usr/sbin/pgbouncer");
            path.is_file().then_some(path)
        });
        let program = program.context("pgbouncer is missing: bin/test installs it")?;
        for _ in 0..MAX_PORT_TRIES {
            let (folder, port) = (create_folder("pgbouncer-")?, free_port()?);
            let file = folder.join("pgbouncer.ini");
            let server_port = postgres.port();
            let configuration = format!(
                "[databases]\n* = host=127.0.0.1 port={server_port} user=postgres\n[pgbouncer]\nlisten_addr = 127.0.0.1\n\
                 listen_port = {port}\nunix_socket_dir =\nauth_type = any\npool_mode = {pool_mode}\n\
                 default_pool_size = {pool_size}\nignore_startup_parameters = extra_float_digits\n"
            );
            std::fs::write(&file, configuration)?;
            postgres.programs.set_owner(&folder)?;
            let mut command: Vec<OsString> = postgres.programs.run_unprivileged();
            command.extend([program.clone().into(), file.into()]);
            let supervisor = Supervisor::new(folder, &command, &Lifetime::Supervisor)?;
            let pgbouncer = Self { supervisor, port };
            if pgbouncer.try_start().await? {
                return Ok(pgbouncer);
            }
        }
        bail!("each port was taken before pgbouncer had started")
    }

    /// The URL of a database of the server.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        format!("postgresql://postgres@127.0.0.1:{}/{database}", self.port)
    }

    /// Starts the process and waits until it accepts connections. Returns false if another program took its port.
    async fn try_start(&self) -> anyhow::Result<bool> {
        self.supervisor.start()?;
        let started = timeout(DEADLINE, async {
            while !self.supervisor.is_stopped() {
                if TcpStream::connect(("127.0.0.1", self.port)).await.is_ok() {
                    return true;
                }
                sleep(CHECK_INTERVAL).await;
            }
            false
        });
        let tail = || log_tail(&self.supervisor.log_path());
        if started.await.with_context(|| format!("pgbouncer does not start; {}", tail()))? {
            return Ok(true);
        }
        self.supervisor.reap()?;
        let tail = tail();
        if tail.contains("in use") { Ok(false) } else { bail!("pgbouncer does not start; {tail}") }
    }
}
