//! docs/migration.md, tried word for word: its commands are run on a deployment of the original, with paths and ports of this
//! machine in place of the usual ones; and what would be lost of a deployment is named by `migrate check`.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use bbb_sim::BbbPool;
use tempfile::TempDir;
use testkit::private::{Persistence, Postgres, Redis, RedisOptions};
use testkit::product::{exchange, new_request, signed_target_with, wait_until};
use tokio::process::{Child, Command};

use crate::keyspace::Keyspace;
use crate::{BINARY, read_fixture, start_environment};

const GUIDE: &str = include_str!("../../../../docs/migration.md");
const DUMP: &str = include_str!("../../../testkit/data/fixtures/postgres.sql");
/// A secret that a shell would cut and replace.
const SECRET: &str = "lb & secret?with=$HOME #blanks";
/// The formats in the database of the fixtures, with their directories.
const FORMATS: [(&str, &str, &str); 5] = [
    ("published", "presentation", "d301d51c73d7f117bbbab5bd5c0faf217eed3c09-1700000000123"),
    ("published", "video", "d301d51c73d7f117bbbab5bd5c0faf217eed3c09-1700000000123"),
    ("unpublished", "presentation", "d301d51c73d7f117bbbab5bd5c0faf217eed3c09-1700600000456"),
    ("published", "notes", "bccb6e8ee166c825c607f79da2d369e0c5193185-1700700000789"),
    ("published", "podcast", "bccb6e8ee166c825c607f79da2d369e0c5193185-1700700000789"),
];

/// A deployment of the original: its stores, its directories, and the files that configure it.
struct Original {
    root: TempDir,
    redis: Redis,
    postgres: Postgres,
    database: String,
    _pool: BbbPool,
    before: Keyspace,
    port: u16,
    /// The process that `systemctl start scalelite` has started.
    balancer: Option<Child>,
}

impl Original {
    async fn start() -> Self {
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
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let original =
            Self { root, redis, postgres, database, _pool: pool, before, port, balancer: None };
        original.write_files();
        original
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    fn recordings(&self) -> PathBuf {
        self.path("mnt/var/bigbluebutton")
    }

    fn variables(&self) -> Vec<(&'static str, String)> {
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

    fn write_env(&self, name: &str, variables: &[(&str, String)]) -> PathBuf {
        let lines = variables.iter().map(|(name, value)| format!("{name}={value}\n"));
        let path = self.path(name);
        std::fs::write(&path, format!("# Scalelite\n{}", lines.collect::<String>())).unwrap();
        path
    }

    fn write_files(&self) {
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
    fn command(&self, program: &str) -> Command {
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

    async fn scalelite(&self, arguments: &[&str]) -> Output {
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
    async fn run_line(&mut self, line: &str) -> String {
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

    async fn start_balancer(&mut self) {
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

    async fn stop_balancer(&mut self) {
        let mut child = self.balancer.take().unwrap();
        let kill = format!("kill -TERM {}", child.id().unwrap());
        assert!(Command::new("sh").args(["-c", &kill]).status().await.unwrap().success());
        assert!(child.wait().await.unwrap().success(), "{}", self.log());
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    async fn call(&self, name: &str, query: &str) -> String {
        let target = signed_target_with(SECRET, name, query);
        exchange(self.port, &new_request("GET", &target)).await.unwrap().text()
    }

    /// Checks an environment file, with these further arguments; returns the exit code and the table.
    async fn check(&self, file: &Path, arguments: &[&str]) -> (i32, String) {
        let file = file.display().to_string();
        let output = self.scalelite(&[&["migrate", "check", &file], arguments].concat()).await;
        assert_eq!(String::from_utf8_lossy(&output.stderr), "");
        (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap())
    }

    /// Checks the environment with some variables changed, which must name what would be lost.
    async fn expect_loss(
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

/// The commands in the code blocks of a section of the guide.
fn commands_of(section: &str) -> Vec<&'static str> {
    let section = GUIDE.split("\n### ").find(|text| text.starts_with(section)).unwrap();
    let blocks = section.split("```").skip(1).step_by(2);
    let lines = blocks.flat_map(|block| block.lines().skip(1));
    lines.map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_guide_works_word_for_word() {
    let mut original = Original::start().await;
    let rows = async |original: &Original| {
        let dump = original
            .postgres
            .dump(&original.database, &["--inserts", "--schema=public"])
            .await
            .unwrap();
        dump.lines()
            .filter(|line| line.starts_with("INSERT"))
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let before = rows(&original).await;
    let checks = commands_of("1. Check");
    assert_eq!(checks.len(), 3);
    for line in checks {
        let table = original.run_line(line).await;
        assert!(table.contains("Nothing would be lost."), "{line}: {table}");
        assert!(
            table.contains("3 servers, 3 meetings, 0 tenants")
                && table.contains("3 recordings, adopted when"),
            "{table}"
        );
        assert!(table.contains("where playback looks"), "{table}");
        assert!(!table.contains(SECRET), "{table}");
    }
    for line in commands_of("2. Back up") {
        let printed = original.run_line(line).await;
        if line == "scalelite config" {
            let spool = original.recordings().join("spool").display().to_string();
            assert!(printed.contains(&spool), "{printed}");
        }
    }
    assert!(std::fs::metadata(original.path("before.sql")).unwrap().size() > 1000);
    assert!(std::fs::metadata(original.path("before.rdb")).unwrap().size() > 100);
    assert_eq!(rows(&original).await, before);
    let after = Keyspace::read_from(&original.redis).await;
    assert!(after.list_differences(&original.before).is_empty(), "checks change nothing");
    for line in commands_of("3. Switch") {
        let printed = original.run_line(line).await;
        match line {
            "scalelite status" => assert_eq!(printed.matches("enabled").count(), 3, "{printed}"),
            "scalelite meetings list" => {
                assert!(["M1", "M2", "M3"].iter().all(|id| printed.contains(id)), "{printed}");
            }
            "scalelite recordings list" => assert!(printed.contains("1700000000123"), "{printed}"),
            _ => {}
        }
    }
    let list = original.call("getRecordings", "").await;
    assert_eq!(list.matches("<recordID>").count(), 3, "{list}");
    let video = format!("/video/{}/index.html", FORMATS[1].2);
    let played = exchange(original.port, &new_request("GET", &video)).await.unwrap();
    assert_eq!((played.status, played.text().as_str()), (200, "the recording"));
    let hidden = format!("/presentation/{}/index.html", FORMATS[2].2);
    assert_eq!(exchange(original.port, &new_request("GET", &hidden)).await.unwrap().status, 404);
    assert!(
        original.call("create", "meetingID=new").await.contains("SUCCESS"),
        "{}",
        original.log()
    );
    assert!(original.call("create", "meetingID=M1").await.contains("SUCCESS"));
    for line in commands_of("Back") {
        original.run_line(line).await;
    }
    assert_eq!(rows(&original).await, before, "no row of the original has changed");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_planted_loss_is_named() {
    let original = Original::start().await;
    let (root, recordings) = (original.root.path().display().to_string(), original.recordings());
    let (code, table) = original.check(&original.path("default"), &[]).await;
    assert_eq!(code, 0, "{table}");
    assert!(table.contains("NGINX_SSL") && table.contains("SCALELITE_TAG"), "{table}");

    // Settings.
    original.expect_loss(&[("LOADBALANCER_SECRET", "")], &[], &["front-ends could not call"]).await;
    original
        .expect_loss(&[("SECRET_KEY_BASE", "")], &[], &["cookies of protected recordings"])
        .await;
    original.expect_loss(&[("FSAPI_PASSWORD", "x")], &[], &["dial-in is not implemented"]).await;
    let port = [("BIND", "nonsense://")];
    original.expect_loss(&port, &[], &["BIND: `nonsense://` is not allowed"]).await;
    let compose = original.path("other.yml");
    let service = "services:\n  api:\n    environment: [MAX_MEETING_DURATION=90]\n    volumes:\n      - spool:/var/bigbluebutton/spool\n  redis: {}\n";
    std::fs::write(&compose, service).unwrap();
    let arguments = ["--compose", compose.to_str().unwrap()];
    let texts = ["write MAX_MEETING_DURATION into the file", "it is in the volume spool"];
    original.expect_loss(&[], &arguments, &texts).await;

    // Hosts that only containers can resolve.
    let redis = [("REDIS_URL", "redis://redis:6379")];
    original.expect_loss(&redis, &arguments, &["redis is a service of the compose file"]).await;
    original
        .expect_loss(&[("REDIS_URL", "")], &[], &["write REDIS_URL=redis://127.0.0.1:6379"])
        .await;
    original.expect_loss(&[("DATABASE_URL", "")], &[], &["the original's DATABASE_URL"]).await;

    // Directories.
    let elsewhere = format!("{root}/elsewhere");
    let unit = original.path("other.service");
    let text = format!(
        "[Service]\nExecStart=docker run -v {}:/var/bigbluebutton x\n",
        recordings.display()
    );
    std::fs::write(&unit, text).unwrap();
    let arguments = ["--unit", unit.to_str().unwrap()];
    let spool = format!("write RECORDING_SPOOL_DIR={}/spool into the file", recordings.display());
    let changed = [("SCALELITE_RECORDING_DIR", elsewhere.as_str())];
    original.expect_loss(&changed, &arguments, &[&spool, "have no files there"]).await;
    original.expect_loss(&changed, &[], &["it does not exist"]).await;
    let inside = [("RECORDING_SPOOL_DIR", "/var/bigbluebutton/spool")];
    original.expect_loss(&inside, &[], &[&spool]).await;
    let mount = format!("host:/export {} nfs defaults 0 0\n", recordings.display());
    std::fs::write(original.path("fstab"), mount).unwrap();
    original.expect_loss(&[], &[], &["nothing is mounted at"]).await;
    std::fs::write(original.path("fstab"), "").unwrap();

    // Files.
    let dir = |at: usize| recordings.join(FORMATS[at].0).join(FORMATS[at].1).join(FORMATS[at].2);
    let file = dir(1).join("index.html");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0)).unwrap();
    original.expect_loss(&[], &[], &["cannot be read by", file.to_str().unwrap()]).await;
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    std::fs::rename(dir(0), original.path("kept")).unwrap();
    original.expect_loss(&[], &[], &["have no files there", dir(0).to_str().unwrap()]).await;
    let wrong = recordings.join("unpublished/presentation").join(FORMATS[0].2);
    std::fs::rename(original.path("kept"), &wrong).unwrap();
    original.expect_loss(&[], &[], &["are in the other directory"]).await;
    std::fs::rename(&wrong, dir(0)).unwrap();
    if std::fs::metadata(&root).unwrap().uid() == 0 {
        let arguments = ["--user", "nobody"];
        let texts = [
            "nobody may not write there: chmod g+rwx",
            "usermod -aG root nobody",
            "cannot be read by nobody",
        ];
        original.expect_loss(&[], &arguments, &texts).await;
    }

    // Stores.
    let empty = original.postgres.next_database().await.unwrap();
    let other = [("DATABASE_URL", original.postgres.url(&empty))];
    original
        .expect_loss(&[("DATABASE_URL", &other[0].1)], &[], &["has no tables of the original"])
        .await;
    original.postgres.stop().await.unwrap();
    original.expect_loss(&[], &[], &["the database cannot be used from here"]).await;
    original.redis.kill().await.unwrap();
    original.expect_loss(&[], &[], &["Redis cannot be used from here"]).await;
}
