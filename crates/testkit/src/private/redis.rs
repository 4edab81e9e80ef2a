//! Private Redis servers and sentinels.

use super::resp::{RedisReply, RespConnection};
use super::shared::{ServerAddress, find_or_start};
use super::supervisor::{Lifetime, Supervisor};
use super::{
    CHECK_INTERVAL, DEADLINE, MAX_PORT_TRIES, create_folder, find_program, free_port, log_tail,
};
use anyhow::{Context, bail};
use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::Mutex;
use tokio::time::{sleep, timeout};

/// User and password of this module on servers where a test has defined a user.
const TESTKIT_USER: [&str; 2] = ["testkit", "password-of-testkit"];
/// The number of databases of a server.
const MAX_DATABASES: u32 = 1_024;
/// The key in database 0 of the shared server that counts the databases in use.
const DATABASE_COUNTER: &str = "testkit:databases";

/// Which data survives a restart of the process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Persistence {
    /// Nothing.
    #[default]
    None,
    /// An append-only file, on disk every second.
    EverySecond,
    /// An append-only file, on disk before a write is answered.
    Always,
}

/// How to run a Redis server.
#[derive(Clone, Debug, Default)]
pub struct RedisServerOptions {
    persistence: Persistence,
    password: Option<String>,
    user: Option<[String; 3]>,
    configuration_lines: Vec<String>,
    /// Name and port of the master that a sentinel watches; none for a server.
    watched_master: Option<(String, u16)>,
}

impl RedisServerOptions {
    /// Sets the persistence.
    #[must_use]
    pub fn persistence(mut self, persistence: Persistence) -> Self {
        self.persistence = persistence;
        self
    }

    /// Sets a password for the default user, of letters and digits.
    #[must_use]
    pub fn password(mut self, password: &str) -> Self {
        self.password = Some(password.to_owned());
        self
    }

    /// Defines a user with rules of the access control list, e.g. `~app:* +@all`, and disables the
    /// default user.
    #[must_use]
    pub fn user(mut self, name: &str, password: &str, rules: &str) -> Self {
        self.user = Some([name, password, rules].map(str::to_owned));
        self
    }

    /// Adds a line of the configuration, e.g. `maxmemory 10mb`.
    #[must_use]
    pub fn configuration_line(mut self, line: &str) -> Self {
        self.configuration_lines.push(line.to_owned());
        self
    }

    /// Runs a sentinel that watches a master on this port, under this name. A sentinel stores no
    /// data.
    #[must_use]
    pub fn sentinel(mut self, master: &str, port: u16) -> Self {
        self.watched_master = Some((master.to_owned(), port));
        self
    }

    /// User and password with which this module connects.
    fn testkit_credentials(&self) -> Option<[&str; 2]> {
        let by_password = self.password.as_deref().map(|password| ["default", password]);
        self.user.as_ref().map_or(by_password, |_| Some(TESTKIT_USER))
    }

    /// User and password as a part of a URL.
    fn url_credentials(&self) -> String {
        let [user, password] = match (&self.user, &self.password) {
            (Some([name, password, _]), _) => [name.as_str(), password.as_str()],
            (None, Some(password)) => ["", password.as_str()],
            (None, None) => return String::new(),
        };
        format!("{user}:{password}@")
    }

    fn configuration(&self, folder: &str, port: u16) -> String {
        if let Some((master, master_port)) = &self.watched_master {
            return format!(
                "bind 127.0.0.1\nport {port}\nunixsocket {folder}/socket\ndir {folder}\n\
                 sentinel monitor {master} 127.0.0.1 {master_port} 1\n"
            );
        }
        let (append, when) = match self.persistence {
            Persistence::None => ("no", "no"),
            Persistence::EverySecond => ("yes", "everysec"),
            Persistence::Always => ("yes", "always"),
        };
        let mut text = format!(
            "bind 127.0.0.1\nport {port}\nunixsocket {folder}/socket\ndir {folder}\nsave \"\"\n\
             databases {MAX_DATABASES}\nappendonly {append}\nappendfsync {when}\n"
        );
        if let Some(password) = &self.password {
            let _ = writeln!(text, "requirepass {password}");
        }
        if let Some([name, password, rules]) = &self.user {
            let [testkit_user, testkit_password] = TESTKIT_USER;
            let _ = writeln!(
                text,
                "user default off\nuser {testkit_user} on >{testkit_password} ~* &* +@all"
            );
            let _ = writeln!(text, "user {name} on >{password} {rules}");
        }
        text + &self.configuration_lines.join("\n")
    }
}

/// A running `redis-server`. Dropping this kills the server and removes its folder, unless the
/// server is shared.
#[derive(Debug)]
pub struct Redis {
    supervisor: Supervisor,
    options: RedisServerOptions,
    port: u16,
    /// Commands that this module has sent since the server started. Locked while one is sent, so
    /// that the count is exact.
    own_commands: Mutex<u64>,
    database_count: AtomicU64,
}

impl Redis {
    /// Starts a server without persistence or password.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn start() -> anyhow::Result<Self> {
        Self::start_with(RedisServerOptions::default()).await
    }

    /// Starts a server with these options.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn start_with(options: RedisServerOptions) -> anyhow::Result<Self> {
        Self::start_for(options, &Lifetime::Supervisor).await
    }

    /// Returns the server that all tests of this run share, and starts it if it is not running yet.
    /// It has neither persistence nor password. Use a namespace of your own; the server cannot be
    /// stopped.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn shared() -> anyhow::Result<Self> {
        let address = find_or_start("redis", async |lifetime| {
            let redis = Self::start_for(RedisServerOptions::default(), &lifetime).await?;
            let folder = redis.supervisor.folder().to_owned();
            Ok(ServerAddress { folder, port: redis.port })
        });
        let ServerAddress { folder, port } = address.await?;
        let supervisor = Supervisor::of_another_process(folder);
        Ok(Self { port, ..Self::not_started(supervisor, RedisServerOptions::default()) })
    }

    fn not_started(supervisor: Supervisor, options: RedisServerOptions) -> Self {
        let (own_commands, database_count) = (Mutex::default(), AtomicU64::default());
        Self { supervisor, options, port: 0, own_commands, database_count }
    }

    async fn start_for(options: RedisServerOptions, lifetime: &Lifetime) -> anyhow::Result<Self> {
        let program = find_program("redis-server");
        let program = program.context("redis-server is missing: bin/test installs it")?;
        let folder = create_folder("redis-")?;
        let mut command = vec![program.into(), folder.join("redis.conf").into()];
        command.extend(options.watched_master.is_some().then(|| "--sentinel".into()));
        let supervisor = Supervisor::new(folder, &command, lifetime)?;
        let mut redis = Self::not_started(supervisor, options);
        for _ in 0..MAX_PORT_TRIES {
            redis.port = free_port()?;
            redis.write_configuration()?;
            if redis.try_start().await? {
                return Ok(redis);
            }
        }
        bail!("each port was taken before the server had started")
    }

    fn write_configuration(&self) -> anyhow::Result<()> {
        let folder = self.supervisor.folder().display().to_string();
        let text = self.options.configuration(&folder, self.port);
        Ok(std::fs::write(self.supervisor.folder().join("redis.conf"), text)?)
    }

    /// Starts the process and waits until it answers. Returns false if another program took its
    /// port.
    async fn try_start(&self) -> anyhow::Result<bool> {
        *self.own_commands.lock().await = 0;
        self.supervisor.start()?;
        let started = timeout(DEADLINE, async {
            while !self.supervisor.is_stopped() {
                if self.run_command(&["PING"]).await.is_ok() {
                    return true;
                }
                sleep(CHECK_INTERVAL).await;
            }
            false
        });
        let log = self.supervisor.log_path();
        if started.await.with_context(|| format!("Redis does not start; {}", log_tail(&log)))? {
            return Ok(true);
        }
        self.supervisor.reap()?;
        let tail = log_tail(&log);
        if tail.contains("in use") {
            std::fs::write(&log, "")?;
            return Ok(false);
        }
        bail!("Redis does not start; {tail}")
    }

    /// The server's port on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The path of the server's Unix socket.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.supervisor.folder().join("socket")
    }

    /// The URL of database 0 by TCP, with the password.
    #[must_use]
    pub fn url(&self) -> String {
        self.database_url(0)
    }

    /// The URL of a database by TCP, with the password.
    #[must_use]
    pub fn database_url(&self, database: u32) -> String {
        format!("redis://{}127.0.0.1:{}/{database}", self.options.url_credentials(), self.port)
    }

    /// The URL of database 0 by the Unix socket, with the password.
    #[must_use]
    pub fn unix_url(&self) -> String {
        format!("unix://{}{}", self.options.url_credentials(), self.socket().display())
    }

    /// Returns the number of a database that no earlier call has returned. On the shared server
    /// that holds for all tests of the run, and database 0 is left to stores with namespaces.
    ///
    /// # Errors
    /// When all databases are in use.
    pub async fn next_database(&self) -> anyhow::Result<u32> {
        let number = if self.supervisor.is_of_another_process() {
            self.run_command(&["INCR", DATABASE_COUNTER]).await?.text().parse()?
        } else {
            u32::try_from(self.database_count.fetch_add(1, Ordering::Relaxed))?
        };
        (number < MAX_DATABASES).then_some(number).context("Redis has no more databases")
    }

    /// Runs a command in database 0, e.g. `["HGETALL", "server:1"]`.
    ///
    /// # Errors
    /// When there is no reply, or it is an error.
    pub async fn run_command(&self, command: &[&str]) -> anyhow::Result<RedisReply> {
        self.run_command_in(0, command).await
    }

    /// Runs a command in a database.
    ///
    /// # Errors
    /// When there is no reply, or it is an error.
    pub async fn run_command_in(
        &self,
        database: u32,
        command: &[&str],
    ) -> anyhow::Result<RedisReply> {
        let mut own_commands = self.own_commands.lock().await;
        self.run_counted(&mut own_commands, database, command).await
    }

    async fn run_counted(
        &self,
        own_commands: &mut u64,
        database: u32,
        command: &[&str],
    ) -> anyhow::Result<RedisReply> {
        let mut connection = RespConnection::open(&self.socket()).await?;
        if let Some([user, password]) = self.options.testkit_credentials() {
            connection.send_command(&["AUTH", user, password]).await?;
            *own_commands += 1;
        }
        if database > 0 {
            connection.send_command(&["SELECT", &database.to_string()]).await?;
            *own_commands += 1;
        }
        let reply = connection.send_command(command).await?;
        *own_commands += 1;
        Ok(reply)
    }

    /// Counts the commands that other clients have sent since the server started. Commands that a
    /// script runs count as well; commands that were refused before they ran do not.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn count_commands(&self) -> anyhow::Result<u64> {
        let mut own_commands = self.own_commands.lock().await;
        let stats = self.run_counted(&mut own_commands, 0, &["INFO", "stats"]).await?.text();
        // Redis counts a command when it ends: INFO does not count itself.
        let own = own_commands.saturating_sub(1);
        let total = stats.lines().find_map(|line| line.strip_prefix("total_commands_processed:"));
        let total: u64 = total.context("INFO without a count")?.trim().parse()?;
        Ok(total.saturating_sub(own))
    }

    /// Empties all databases.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn flush_all(&self) -> anyhow::Result<()> {
        self.run_command(&["FLUSHALL"]).await.map(drop)
    }

    /// Empties one database.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn flush_database(&self, database: u32) -> anyhow::Result<()> {
        self.run_command_in(database, &["FLUSHDB"]).await.map(drop)
    }

    /// Shuts the server down in order, as an administrator does.
    ///
    /// # Errors
    /// When it does not end.
    pub async fn stop(&self) -> anyhow::Result<()> {
        self.supervisor.stop("TERM", false).await
    }

    /// Kills the server.
    ///
    /// # Errors
    /// When it does not end.
    pub async fn kill(&self) -> anyhow::Result<()> {
        self.supervisor.stop("KILL", true).await
    }

    /// Suspends the server: it keeps its connections and answers nothing until [`Redis::resume`].
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
