//! A Redis of one test's own.

use super::resp::{RedisReply, RespConnection};
use super::supervisor::Supervisor;
use super::{
    CHECK_INTERVAL, DEADLINE, MAX_PORT_TRIES, create_folder, find_program, free_port, log_tail,
};
use anyhow::{Context, bail};
use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::Mutex;
use tokio::time::{sleep, timeout};

/// What we call ourselves at servers with a user of the test's.
const TESTKIT_USER: [&str; 2] = ["testkit", "password-of-testkit"];
/// Databases of a server, to be shared out among setups.
const MAX_DATABASES: u32 = 256;

/// What outlives the process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Persistence {
    /// Nothing.
    #[default]
    None,
    /// An append-only file, on disk every second.
    EverySecond,
    /// An append-only file, on disk before anything is answered.
    Always,
}

/// How to run it.
#[derive(Clone, Debug, Default)]
pub struct RedisServerOptions {
    persistence: Persistence,
    password: Option<String>,
    user: Option<[String; 3]>,
    configuration_lines: Vec<String>,
    /// Name and port of the master that it watches, if it is a sentinel.
    watched_master: Option<(String, u16)>,
}

impl RedisServerOptions {
    /// With this persistence.
    #[must_use]
    pub fn persistence(mut self, persistence: Persistence) -> Self {
        self.persistence = persistence;
        self
    }

    /// With a password for everybody, of letters and digits.
    #[must_use]
    pub fn password(mut self, password: &str) -> Self {
        self.password = Some(password.to_owned());
        self
    }

    /// With a user whom rules of the access control list allow something, e.g. `~app:* +@all`;
    /// nobody else gets in.
    #[must_use]
    pub fn user(mut self, name: &str, password: &str, rules: &str) -> Self {
        self.user = Some([name, password, rules].map(str::to_owned));
        self
    }

    /// With a line more of its configuration, e.g. `maxmemory 10mb`.
    #[must_use]
    pub fn configuration_line(mut self, line: &str) -> Self {
        self.configuration_lines.push(line.to_owned());
        self
    }

    /// As a sentinel, which keeps nothing and says where the master of that name is.
    #[must_use]
    pub fn sentinel(mut self, master: &str, port: u16) -> Self {
        self.watched_master = Some((master.to_owned(), port));
        self
    }

    /// How we ourselves get in.
    fn testkit_credentials(&self) -> Option<[&str; 2]> {
        let by_password = self.password.as_deref().map(|password| ["default", password]);
        self.user.as_ref().map_or(by_password, |_| Some(TESTKIT_USER))
    }

    /// The part of a URL that says who comes.
    fn url_credentials(&self) -> String {
        let [user, password] = match (&self.user, &self.password) {
            (Some([name, password, _]), _) => [name.as_str(), password.as_str()],
            (None, Some(password)) => ["", password.as_str()],
            (None, None) => return String::new(),
        };
        format!("{user}:{password}@")
    }

    fn configuration(&self, folder: &str, port: u16) -> String {
        if let Some((master, of_master)) = &self.watched_master {
            return format!(
                "bind 127.0.0.1\nport {port}\nunixsocket {folder}/socket\ndir {folder}\n\
                 sentinel monitor {master} 127.0.0.1 {of_master} 1\n"
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
            let [us, ours] = TESTKIT_USER;
            let _ = writeln!(text, "user default off\nuser {us} on >{ours} ~* &* +@all");
            let _ = writeln!(text, "user {name} on >{password} {rules}");
        }
        text + &self.configuration_lines.join("\n")
    }
}

/// A running `redis-server`. Dropping it kills it and removes its folder.
#[derive(Debug)]
pub struct Redis {
    supervisor: Supervisor,
    options: RedisServerOptions,
    port: u16,
    /// Commands of our own since it started. Held while we ask, so that we can count.
    own_commands: Mutex<u64>,
    database_count: AtomicU64,
}

impl Redis {
    /// One without persistence or password.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn start() -> anyhow::Result<Self> {
        Self::start_with(RedisServerOptions::default()).await
    }

    /// One of these options.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn start_with(options: RedisServerOptions) -> anyhow::Result<Self> {
        let program = find_program("redis-server");
        let program = program.context("redis-server is missing: bin/test installs it")?;
        let folder = create_folder("redis-")?;
        let mut command = vec![program.into(), folder.join("redis.conf").into()];
        command.extend(options.watched_master.is_some().then(|| "--sentinel".into()));
        let keeper = Supervisor::new(folder, &command)?;
        let (asked, databases) = (Mutex::default(), AtomicU64::default());
        let mut redis = Self {
            supervisor: keeper,
            options,
            port: 0,
            own_commands: asked,
            database_count: databases,
        };
        for _ in 0..MAX_PORT_TRIES {
            redis.port = free_port()?;
            redis.write_configuration()?;
            if redis.try_start().await? {
                return Ok(redis);
            }
        }
        bail!("no port is free for long enough")
    }

    fn write_configuration(&self) -> anyhow::Result<()> {
        let folder = self.supervisor.folder().display().to_string();
        let text = self.options.configuration(&folder, self.port);
        Ok(std::fs::write(self.supervisor.folder().join("redis.conf"), text)?)
    }

    /// Starts the process and waits until it answers; false if somebody took its port.
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
        let said = log_tail(&log);
        if said.contains("in use") {
            std::fs::write(&log, "")?;
            return Ok(false);
        }
        bail!("Redis does not start; {said}")
    }

    /// Its port on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its socket.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.supervisor.folder().join("socket")
    }

    /// Database 0 by TCP, with password.
    #[must_use]
    pub fn url(&self) -> String {
        self.database_url(0)
    }

    /// A database by TCP, with password.
    #[must_use]
    pub fn database_url(&self, database: u32) -> String {
        format!("redis://{}127.0.0.1:{}/{database}", self.options.url_credentials(), self.port)
    }

    /// Database 0 by the socket, with password.
    #[must_use]
    pub fn unix_url(&self) -> String {
        format!("unix://{}{}", self.options.url_credentials(), self.socket().display())
    }

    /// A database that nobody was given before.
    ///
    /// # Errors
    /// When all were given away.
    pub fn next_database(&self) -> anyhow::Result<u32> {
        let number = u32::try_from(self.database_count.fetch_add(1, Ordering::Relaxed))?;
        (number < MAX_DATABASES).then_some(number).context("Redis has no more databases")
    }

    /// Asks something in database 0, e.g. `["HGETALL", "server:1"]`.
    ///
    /// # Errors
    /// When there is no answer, or it is an error.
    pub async fn run_command(&self, command: &[&str]) -> anyhow::Result<RedisReply> {
        self.run_command_in(0, command).await
    }

    /// Asks something in a database.
    ///
    /// # Errors
    /// When there is no answer, or it is an error.
    pub async fn run_command_in(
        &self,
        database: u32,
        command: &[&str],
    ) -> anyhow::Result<RedisReply> {
        let mut asked = self.own_commands.lock().await;
        self.run_counted(&mut asked, database, command).await
    }

    async fn run_counted(
        &self,
        asked: &mut u64,
        database: u32,
        command: &[&str],
    ) -> anyhow::Result<RedisReply> {
        let mut connection = RespConnection::open(&self.socket()).await?;
        if let Some([user, password]) = self.options.testkit_credentials() {
            connection.send_command(&["AUTH", user, password]).await?;
            *asked += 1;
        }
        if database > 0 {
            connection.send_command(&["SELECT", &database.to_string()]).await?;
            *asked += 1;
        }
        let reply = connection.send_command(command).await?;
        *asked += 1;
        Ok(reply)
    }

    /// Commands that others sent since it was started. Those that a script runs count too; those
    /// refused before they ran do not.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn count_commands(&self) -> anyhow::Result<u64> {
        let mut asked = self.own_commands.lock().await;
        let stats = self.run_counted(&mut asked, 0, &["INFO", "stats"]).await?.text();
        // It counts a command when it is over: this one is not among those it tells of.
        let ours = asked.saturating_sub(1);
        let total = stats.lines().find_map(|line| line.strip_prefix("total_commands_processed:"));
        let total: u64 = total.context("INFO without a count")?.trim().parse()?;
        Ok(total.saturating_sub(ours))
    }

    /// Empties all databases.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn flush_all(&self) -> anyhow::Result<()> {
        self.run_command(&["FLUSHALL"]).await.map(drop)
    }

    /// Empties one database.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn flush_database(&self, database: u32) -> anyhow::Result<()> {
        self.run_command_in(database, &["FLUSHDB"]).await.map(drop)
    }

    /// Stops it in good order, as an administrator would.
    ///
    /// # Errors
    /// When it does not end.
    pub async fn stop(&self) -> anyhow::Result<()> {
        self.supervisor.stop("TERM", false).await
    }

    /// Kills it at once.
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
