//! A deployment of the original on this machine: its stores with recorded data, its directories, and the files that
//! configure it; and the commands that an administrator runs there.

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use bbb_sim::BbbPool;
use tempfile::TempDir;
use testkit::private::{Persistence, Postgres, Redis, RedisOptions};
use testkit::product::{exchange, new_request, signed_target_with, wait_until};
use tokio::process::{Child, Command};

use crate::keyspace::Keyspace;
use crate::{BINARY, read_fixture, start_environment};

const DUMP: &str = include_str!("../../../testkit/data/fixtures/postgres.sql");
/// A secret that a shell would cut and replace.
pub(crate) const SECRET: &str = "lb & secret?with=$HOME #blanks";
/// The formats in the database of the fixtures, with their directories.
pub(crate) const FORMATS: [(&str, &str, &str); 5] = [
    ("published", "presentation", "d301d51c73d7f117bbbab5bd5c0faf217eed3c09-1700000000123"),
    ("published", "video", "d301d51c73d7f117bbbab5bd5c0faf217eed3c09-1700000000123"),
    ("unpublished", "presentation", "d301d51c73d7f117bbbab5bd5c0faf217eed3c09-1700600000456"),
    ("published", "notes", "bccb6e8ee166c825c607f79da2d369e0c5193185-1700700000789"),
    ("published", "podcast", "bccb6e8ee166c825c607f79da2d369e0c5193185-1700700000789"),
];

/// A deployment of the original: its stores, its directories, and the files that configure it.
pub(crate) struct Original {
    pub(crate) root: TempDir,
    pub(crate) redis: Redis,
    pub(crate) postgres: Postgres,
    pub(crate) database: String,
    _pool: BbbPool,
    pub(crate) before: Keyspace,
    pub(crate) port: u16,
    /// The process that `systemctl start scalelite` has started.
    balancer: Option<Child>,
}

impl Original {
    pub(crate) async fn start() -> Self {
        let root = tempfile::Builder::new().prefix("original-").tempdir().unwrap();
        let options = RedisOptions::default().persistence(Persistence::EverySecond);
        let redis = Redis::start_with(options).await.unwrap();
        let postgres = Postgres::start().await.unwrap();
        let database = postgres.next_database().await.unwrap();
        postgres.psql(&database, DUMP).await.unwrap();
        let (_, pool, _) = start_environment(&[]).await;
        let before = Keyspace::from_recording(
            &read_fixture("redis-transitions.json")[20]["keys"],
            pool.server(1).port(),
        );
        before.write_to(&redis).await;
        // Free now, and outside of what other tests take.
        let port = testkit::private::free_port().unwrap();
        let original =
            Self { root, redis, postgres, database, _pool: pool, before, port, balancer: None };
        original.write_files();
        original
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    pub(crate) fn recordings(&self) -> PathBuf {
        self.path("mnt/var/bigbluebutton")
    }

    pub(crate) fn variables(&self) -> Vec<(&'static str, String)> {
        vec![
            ("URL_HOST", String::new()),
            ("SECRET_KEY_BASE", "0123456789abcdef".repeat(8)),
            ("LOADBALANCER_SECRET", SECRET.to_owned()),
            ("DATABASE_URL", format!("{}?pool=5", self.postgres.url(&self.database))),
            ("REDIS_URL", self.redis.url()),
            ("SCALELITE_TAG", "v1.5-stable-bionic240".to_owned()),
            ("SCALELITE_RECORDING_DIR", self.recordings().display().to_string()),
            ("NGINX_SSL", "true".to_owned()),
            ("RAILS_ENV", "production".to_owned()),
            ("PORT", self.port.to_string()),
            ("POLL_INTERVAL", "3600".to_owned()),
            ("MEETING_GRACE", "0".to_owned()),
        ]
    }

    pub(crate) fn write_env(&self, name: &str, variables: &[(&str, String)]) -> PathBuf {
        let lines = variables.iter().map(|(name, value)| format!("{name}={value}\n"));
        let path = self.path(name);
        std::fs::write(&path, format!("# Scalelite\n{}", lines.collect::<String>())).unwrap();
        path
    }

    pub(crate) fn write_files(&self) {
        std::fs::create_dir_all(self.path("etc/scalelite")).unwrap();
        self.write_env("default", &self.variables());
        std::fs::write(self.path("fstab"), "# none\n").unwrap();
        let unit = format!(
            "[Service]\nEnvironmentFile={}\nExecStart=/usr/bin/docker run --name scalelite-api --env-file {} \\\n  \
             --mount type=bind,source=${{SCALELITE_RECORDING_DIR}},target=/var/bigbluebutton image:${{SCALELITE_TAG}}\n",
            self.path("default").display(),
            self.path("default").display()
        );
        std::fs::write(self.path("scalelite-api.service"), unit).unwrap();
        let compose = "services:\n  api:\n    image: x\n    env_file: default\n    volumes:\n      \
                       - ${SCALELITE_RECORDING_DIR}:/var/bigbluebutton\n  redis:\n    image: redis\n";
        std::fs::write(self.path("docker-compose.yml"), compose).unwrap();
        for dir in ["spool", "recording/scalelite", "published", "unpublished"] {
            std::fs::create_dir_all(self.recordings().join(dir)).unwrap();
        }
        for (visibility, format, id) in FORMATS {
            let dir = self.recordings().join(visibility).join(format).join(id);
            std::fs::create_dir_all(&dir).unwrap();
            std::fs::write(dir.join("metadata.xml"), "<recording/>").unwrap();
            std::fs::write(dir.join("index.html"), "the recording").unwrap();
        }
    }

    /// The program with an empty environment, as after a login.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env_clear().current_dir(self.root.path()).stdin(Stdio::null()).kill_on_drop(true);
        command.env("PATH", "/usr/local/bin:/usr/bin:/bin");
        command.env("SCALELITE_DATA_DIR", self.path("data"));
        command.env("SCALELITE_ENV_FILE", self.path("etc/scalelite/scalelite.env"));
        for (name, value) in self.variables() {
            if ["DATABASE_URL", "REDIS_URL"].contains(&name) && program == "sh" {
                command.env(name, value.replace("?pool=5", ""));
            }
        }
        command
    }

    pub(crate) async fn scalelite(&self, arguments: &[&str]) -> Output {
        let mut command = self.command(BINARY);
        if arguments.first() == Some(&"migrate") {
            command.env("SCALELITE_ENV_FILE", "/dev/null").args(arguments);
            command.args(["--fstab", &self.path("fstab").display().to_string()]);
            if !arguments.contains(&"--user") {
                // Somebody else may be the default, if this is root and the package is installed.
                let user = Command::new("id").arg("-un").output().await.unwrap().stdout;
                command.args(["--user", String::from_utf8(user).unwrap().trim()]);
            }
        } else {
            command.args(arguments);
        }
        command.output().await.unwrap()
    }

    /// Runs a command of the guide. Returns what it has printed.
    pub(crate) async fn run_line(&mut self, line: &str) -> String {
        let line = [
            ("/etc/default/scalelite", "default"),
            ("/etc/scalelite/scalelite.env", "etc/scalelite/scalelite.env"),
            ("/etc/systemd/system/scalelite-api.service", "scalelite-api.service"),
        ]
        .into_iter()
        .fold(line.to_owned(), |line, (usual, here)| {
            line.replace(usual, &self.path(here).display().to_string())
        });
        let words: Vec<&str> = line.split_whitespace().collect();
        let output = match words.as_slice() {
            ["scalelite", arguments @ ..] => self.scalelite(arguments).await,
            ["systemctl", "start", "scalelite"] => {
                self.start_balancer().await;
                return String::new();
            }
            ["systemctl", "stop", "scalelite"] => {
                self.stop_balancer().await;
                return String::new();
            }
            // The original does not run here.
            ["systemctl", "stop" | "start", "scalelite.target"] => return String::new(),
            ["pg_dump" | "redis-cli" | "install", ..] => {
                self.command("sh").args(["-c", &line]).output().await.unwrap()
            }
            _ => panic!("the test does not know how to try `{line}`"),
        };
        assert!(output.status.success(), "{line}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    pub(crate) async fn start_balancer(&mut self) {
        let log = std::fs::File::create(self.path("log")).unwrap();
        let mut command = self.command(BINARY);
        command.arg("serve").stdout(log.try_clone().unwrap()).stderr(log);
        self.balancer = Some(command.spawn().unwrap());
        let is_healthy = async || {
            let health = exchange(self.port, &new_request("GET", "/health_check")).await;
            health.is_ok_and(|response| response.status == 200)
        };
        let healthy = wait_until("the balancer is healthy", is_healthy).await;
        healthy.unwrap_or_else(|error| panic!("{error}: {}", self.log()));
    }

    pub(crate) async fn stop_balancer(&mut self) {
        let mut child = self.balancer.take().unwrap();
        let kill = format!("kill -TERM {}", child.id().unwrap());
        assert!(Command::new("sh").args(["-c", &kill]).status().await.unwrap().success());
        assert!(child.wait().await.unwrap().success(), "{}", self.log());
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    pub(crate) async fn call(&self, name: &str, query: &str) -> String {
        let target = signed_target_with(SECRET, name, query);
        exchange(self.port, &new_request("GET", &target)).await.unwrap().text()
    }

    /// Checks an environment file, with these further arguments; returns the exit code and the table.
    pub(crate) async fn check(&self, file: &Path, arguments: &[&str]) -> (i32, String) {
        let file = file.display().to_string();
        let output = self.scalelite(&[&["migrate", "check", &file], arguments].concat()).await;
        assert_eq!(String::from_utf8_lossy(&output.stderr), "");
        (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap())
    }

    /// Checks the environment with some variables changed, which must name what would be lost.
    pub(crate) async fn expect_loss(
        &self,
        changes: &[(&'static str, &str)],
        arguments: &[&str],
        texts: &[&str],
    ) {
        let mut variables = self.variables();
        for (name, value) in changes {
            variables.retain(|(known, _)| known != name);
            variables.extend((!value.is_empty()).then(|| (*name, (*value).to_owned())));
        }
        let (code, table) = self.check(&self.write_env("changed", &variables), arguments).await;
        assert_eq!(code, 1, "{changes:?} {arguments:?}: {table}");
        let losses: Vec<&str> = table.lines().filter(|line| line.contains("DO THIS")).collect();
        for text in texts {
            assert!(losses.iter().any(|line| line.contains(text)), "{text}: {table}");
        }
        assert!(table.contains("would be lost: do what the table says"), "{table}");
        assert!(!table.contains(SECRET) && !table.contains("0123456789abcdef"), "{table}");
    }
}
