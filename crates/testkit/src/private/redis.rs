//! A Redis of one test's own.

use super::keeper::Keeper;
use super::resp::{Connection, Reply};
use super::{DEADLINE, LOOK_EVERY, PORTS_TRIED, folder, free_port, in_path, story};
use anyhow::{Context, bail};
use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::Mutex;
use tokio::time::{sleep, timeout};

/// What we call ourselves at servers with a user of the test's.
const OURSELVES: [&str; 2] = ["testkit", "password-of-testkit"];
/// Databases of a server, to be shared out among setups.
const DATABASES: u32 = 256;

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
pub struct Options {
    persistence: Persistence,
    password: Option<String>,
    user: Option<[String; 3]>,
    lines: Vec<String>,
    /// Name and port of the master that it watches, if it is a sentinel.
    watched: Option<(String, u16)>,
}

impl Options {
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
    pub fn line(mut self, line: &str) -> Self {
        self.lines.push(line.to_owned());
        self
    }

    /// As a sentinel, which keeps nothing and says where the master of that name is.
    #[must_use]
    pub fn sentinel(mut self, master: &str, port: u16) -> Self {
        self.watched = Some((master.to_owned(), port));
        self
    }

    /// How we ourselves get in.
    fn ourselves(&self) -> Option<[&str; 2]> {
        let by_password = self.password.as_deref().map(|password| ["default", password]);
        self.user.as_ref().map_or(by_password, |_| Some(OURSELVES))
    }

    /// The part of a URL that says who comes.
    fn credentials(&self) -> String {
        let [user, password] = match (&self.user, &self.password) {
            (Some([name, password, _]), _) => [name.as_str(), password.as_str()],
            (None, Some(password)) => ["", password.as_str()],
            (None, None) => return String::new(),
        };
        format!("{user}:{password}@")
    }

    fn configuration(&self, folder: &str, port: u16) -> String {
        if let Some((master, of_master)) = &self.watched {
            return format!(
                "bind 127.0.0.1\nport {port}\ndir {folder}\n\
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
             databases {DATABASES}\nappendonly {append}\nappendfsync {when}\n"
        );
        if let Some(password) = &self.password {
            let _ = writeln!(text, "requirepass {password}");
        }
        if let Some([name, password, rules]) = &self.user {
            let [us, ours] = OURSELVES;
            let _ = writeln!(text, "user default off\nuser {us} on >{ours} ~* &* +@all");
            let _ = writeln!(text, "user {name} on >{password} {rules}");
        }
        text + &self.lines.join("\n")
    }
}

/// A running `redis-server`. Dropping it kills it and removes its folder.
#[derive(Debug)]
pub struct Redis {
    keeper: Keeper,
    options: Options,
    port: u16,
    /// Commands of our own since it started. Held while we ask, so that we can count.
    asked: Mutex<u64>,
    databases: AtomicU64,
}

impl Redis {
    /// One without persistence or password.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn start() -> anyhow::Result<Self> {
        Self::start_with(Options::default()).await
    }

    /// One of these options.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn start_with(options: Options) -> anyhow::Result<Self> {
        let program = in_path("redis-server");
        let program = program.context("redis-server is missing: bin/test installs it")?;
        let folder = folder("redis-")?;
        let mut command = vec![program.into(), folder.join("redis.conf").into()];
        command.extend(options.watched.is_some().then(|| "--sentinel".into()));
        let keeper = Keeper::new(folder, &command)?;
        let (asked, databases) = (Mutex::default(), AtomicU64::default());
        let mut redis = Self { keeper, options, port: 0, asked, databases };
        for _ in 0..PORTS_TRIED {
            redis.port = free_port()?;
            redis.configure()?;
            if redis.run().await? {
                return Ok(redis);
            }
        }
        bail!("no port is free for long enough")
    }

    fn configure(&self) -> anyhow::Result<()> {
        let folder = self.keeper.folder().display().to_string();
        let text = self.options.configuration(&folder, self.port);
        Ok(std::fs::write(self.keeper.folder().join("redis.conf"), text)?)
    }

    /// Starts the process and waits until it answers; false if somebody took its port.
    async fn run(&self) -> anyhow::Result<bool> {
        *self.asked.lock().await = 0;
        self.keeper.start()?;
        let started = timeout(DEADLINE, async {
            while !self.keeper.is_over() {
                if self.ask(&["PING"]).await.is_ok() {
                    return true;
                }
                sleep(LOOK_EVERY).await;
            }
            false
        });
        let log = self.keeper.log();
        if started.await.with_context(|| format!("Redis does not start; {}", story(&log)))? {
            return Ok(true);
        }
        self.keeper.bury()?;
        let said = story(&log);
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
        self.keeper.folder().join("socket")
    }

    /// Database 0 by TCP, with password.
    #[must_use]
    pub fn url(&self) -> String {
        self.url_of(0)
    }

    /// A database by TCP, with password.
    #[must_use]
    pub fn url_of(&self, database: u32) -> String {
        format!("redis://{}127.0.0.1:{}/{database}", self.options.credentials(), self.port)
    }

    /// Database 0 by the socket, with password.
    #[must_use]
    pub fn unix_url(&self) -> String {
        format!("unix://{}{}", self.options.credentials(), self.socket().display())
    }

    /// A database that nobody was given before.
    ///
    /// # Errors
    /// When all were given away.
    pub fn next_database(&self) -> anyhow::Result<u32> {
        let number = u32::try_from(self.databases.fetch_add(1, Ordering::Relaxed))?;
        (number < DATABASES).then_some(number).context("Redis has no more databases")
    }

    /// Asks something in database 0, e.g. `["HGETALL", "server:1"]`.
    ///
    /// # Errors
    /// When there is no answer, or it is an error.
    pub async fn ask(&self, command: &[&str]) -> anyhow::Result<Reply> {
        self.ask_in(0, command).await
    }

    /// Asks something in a database.
    ///
    /// # Errors
    /// When there is no answer, or it is an error.
    pub async fn ask_in(&self, database: u32, command: &[&str]) -> anyhow::Result<Reply> {
        let mut asked = self.asked.lock().await;
        self.talk(&mut asked, database, command).await
    }

    async fn talk(
        &self,
        asked: &mut u64,
        database: u32,
        command: &[&str],
    ) -> anyhow::Result<Reply> {
        let mut connection = Connection::open(&self.socket()).await?;
        if let Some([user, password]) = self.options.ourselves() {
            connection.ask(&["AUTH", user, password]).await?;
            *asked += 1;
        }
        if database > 0 {
            connection.ask(&["SELECT", &database.to_string()]).await?;
            *asked += 1;
        }
        let reply = connection.ask(command).await?;
        *asked += 1;
        Ok(reply)
    }

    /// Commands that others sent since it was started. Those that a script runs count too; those
    /// refused before they ran do not.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn commands(&self) -> anyhow::Result<u64> {
        let mut asked = self.asked.lock().await;
        let stats = self.talk(&mut asked, 0, &["INFO", "stats"]).await?.text();
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
    pub async fn flush(&self) -> anyhow::Result<()> {
        self.ask(&["FLUSHALL"]).await.map(drop)
    }

    /// Empties one database.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn flush_database(&self, database: u32) -> anyhow::Result<()> {
        self.ask_in(database, &["FLUSHDB"]).await.map(drop)
    }

    /// Stops it in good order, as an administrator would.
    ///
    /// # Errors
    /// When it does not end.
    pub async fn stop(&self) -> anyhow::Result<()> {
        self.keeper.end("TERM", false).await
    }

    /// Kills it at once.
    ///
    /// # Errors
    /// When it does not end.
    pub async fn kill(&self) -> anyhow::Result<()> {
        self.keeper.end("KILL", true).await
    }

    /// Lets it hang: it keeps its connections and answers nothing, until it goes on.
    ///
    /// # Errors
    /// When that cannot be told to it.
    pub async fn pause(&self) -> anyhow::Result<()> {
        self.keeper.pause().await
    }

    /// Lets it go on.
    ///
    /// # Errors
    /// When that cannot be told to it.
    pub fn go_on(&self) -> anyhow::Result<()> {
        self.keeper.go_on()
    }

    /// Starts it again on the same port and data; kills it before if it runs.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn restart(&self) -> anyhow::Result<()> {
        self.kill().await?;
        let restarting = async {
            while !self.run().await? {
                sleep(LOOK_EVERY).await;
            }
            Ok(())
        };
        timeout(DEADLINE, restarting).await.context("its port stays taken")?
    }
}
