//! Private servers: that they answer, keep or lose what they should, and never outlive their test.

#![expect(clippy::unwrap_used, reason = "a test that cannot ask its server must fail")]

use std::net::TcpStream;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use testkit::clock::inherited;
use testkit::private::{Persistence, Postgres, PostgresOptions, Redis, RedisOptions, Reply};
use testkit::product::until;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Command;

/// What has not answered by then is taken for hanging.
const HANGS: Duration = Duration::from_millis(50);

fn listens(port: u16) -> bool {
    TcpStream::connect(("127.0.0.1", port)).is_ok()
}

fn text(text: &str) -> Reply {
    Reply::Text(text.as_bytes().to_vec())
}

async fn keep(redis: &Redis) {
    assert_eq!(redis.ask(&["SET", "key", "value"]).await.unwrap(), text("OK"));
}

async fn kept(redis: &Redis) -> Reply {
    redis.ask(&["GET", "key"]).await.unwrap()
}

#[tokio::test]
async fn redis_keeps_what_it_is_to_keep() {
    let table = [
        (Persistence::None, false, Reply::Nil),
        (Persistence::EverySecond, false, text("value")),
        (Persistence::Always, true, text("value")),
    ];
    for (persistence, killed, expected) in table {
        let options = RedisOptions::default().persistence(persistence);
        let redis = Redis::start_with(options).await.unwrap();
        keep(&redis).await;
        assert_eq!(kept(&redis).await, text("value"));
        let port = redis.port();
        assert!(listens(port));
        if killed {
            redis.kill().await.unwrap();
        } else {
            redis.stop().await.unwrap();
        }
        assert!(!listens(port));
        redis.restart().await.unwrap();
        assert_eq!(redis.port(), port);
        assert!(listens(port));
        assert_eq!(kept(&redis).await, expected, "{persistence:?}");
        redis.flush().await.unwrap();
        assert_eq!(kept(&redis).await, Reply::Nil);
    }
}

#[tokio::test]
async fn redis_counts_what_others_ask() {
    let redis = Redis::start().await.unwrap();
    assert_eq!(redis.commands().await.unwrap(), 0);
    for _ in 0..5 {
        keep(&redis).await;
        redis.ask_in(3, &["PING"]).await.unwrap();
    }
    assert_eq!(redis.commands().await.unwrap(), 0, "our own do not count");
    let mut cli = Command::new("redis-cli");
    let status = cli.args(["-u", &redis.url(), "GET", "key"]).stdout(Stdio::null());
    assert!(status.status().await.unwrap().success());
    let before = redis.commands().await.unwrap();
    assert!((1..=3).contains(&before), "{before}");
    redis.restart().await.unwrap();
    assert_eq!(redis.commands().await.unwrap(), 0);
}

#[tokio::test]
async fn redis_lets_in_whom_it_should() {
    let plain = RedisOptions::default().password("secret1");
    let rules = "~app:* +@all";
    let of_users = RedisOptions::default().user("app", "secret2", rules);
    for (options, who) in [(plain, ":secret1@"), (of_users, "app:secret2@")] {
        let redis = Redis::start_with(options).await.unwrap();
        let port = redis.port();
        assert_eq!(redis.url(), format!("redis://{who}127.0.0.1:{port}/0"));
        keep(&redis).await;
        assert_eq!(redis.commands().await.unwrap(), 0);
        // redis-cli of version 7 wants a name in it.
        let known = redis.url().replace("//:", "//default:");
        for (url, expected) in [(known, "OK"), (format!("redis://127.0.0.1:{port}"), "NOAUTH")] {
            let mut cli = Command::new("redis-cli");
            cli.args(["-u", &url, "--no-auth-warning", "SET", "app:key", "1"]);
            let output = cli.output().await.unwrap();
            let said = String::from_utf8(output.stdout).unwrap();
            assert!(said.contains(expected), "{url}: {said}");
        }
    }
}

#[tokio::test]
async fn redis_hangs_on_command() {
    let redis = Redis::start().await.unwrap();
    redis.pause().await.unwrap();
    assert!(tokio::time::timeout(HANGS, redis.ask(&["PING"])).await.is_err());
    redis.go_on().unwrap();
    keep(&redis).await;
    redis.pause().await.unwrap();
    redis.kill().await.unwrap();
    assert!(!listens(redis.port()));
}

#[tokio::test]
async fn postgres_has_databases_statements_and_dumps() {
    let postgres = Postgres::start().await.unwrap();
    postgres.create_database("one").await.unwrap();
    postgres
        .psql("one", "CREATE TABLE t (v text); INSERT INTO t VALUES ('a'), ('B')")
        .await
        .unwrap();
    postgres.create_database_from("it's \"two\"", "one").await.unwrap();
    let sorted = postgres.psql("one", "SELECT v, 1 FROM t ORDER BY v").await.unwrap();
    assert_eq!(sorted, "a|1\nB|1", "by language");
    let sorted = postgres.psql("one", "SELECT v FROM t ORDER BY v COLLATE \"C\"");
    assert_eq!(sorted.await.unwrap(), "B\na");
    let dump = postgres.dump("one", &["--schema-only"]).await.unwrap();
    assert!(dump.contains("CREATE TABLE public.t"), "{dump}");
    let error = postgres.psql("one", "SELECT nothing").await.unwrap_err().to_string();
    assert!(error.contains("nothing"), "{error}");
    postgres.drop_database("one").await.unwrap();
    postgres.drop_database("one").await.unwrap();
    assert!(postgres.psql("one", "SELECT 1").await.is_err());
    for url in [postgres.url("postgres"), postgres.socket_url("postgres")] {
        let psql = Command::new("psql").args([&url, "-XAtc", "SELECT 1"]).output().await.unwrap();
        assert_eq!(String::from_utf8(psql.stdout).unwrap(), "1\n", "{url}");
    }
}

#[tokio::test]
async fn postgres_comes_back() {
    let postgres = Postgres::start_with(PostgresOptions::default().durable(true)).await.unwrap();
    let name = postgres.next_database().await.unwrap();
    postgres.psql(&name, "CREATE TABLE t (v text)").await.unwrap();
    let port = postgres.port();
    for (round, killed) in [(1, true), (2, false), (3, true)] {
        postgres.psql(&name, "INSERT INTO t VALUES ('x')").await.unwrap();
        if killed {
            postgres.kill().await.unwrap();
        } else {
            postgres.stop().await.unwrap();
        }
        assert!(!listens(port));
        postgres.restart().await.unwrap();
        assert_eq!(postgres.port(), port);
        let count = postgres.psql(&name, "SELECT count(*) FROM t").await.unwrap();
        assert_eq!(count, round.to_string());
    }
    let setting =
        async |name: &str| postgres.psql("postgres", &format!("SHOW {name}")).await.unwrap();
    assert_eq!([setting("fsync").await, setting("max_connections").await], ["on", "100"]);
}

#[tokio::test]
async fn postgres_hangs_on_command() {
    let postgres = Postgres::start().await.unwrap();
    let ask = || postgres.psql("postgres", "SELECT 1");
    assert_eq!(ask().await.unwrap(), "1");
    postgres.pause().await.unwrap();
    assert!(tokio::time::timeout(HANGS, ask()).await.is_err());
    postgres.go_on().unwrap();
    assert_eq!(ask().await.unwrap(), "1");
    postgres.pause().await.unwrap();
    postgres.restart().await.unwrap();
    assert_eq!(ask().await.unwrap(), "1");
}

#[tokio::test]
async fn many_run_side_by_side_and_go_when_they_are_dropped() {
    let redises = futures_util::future::try_join_all((0..4).map(|_| Redis::start()));
    let postgreses = futures_util::future::try_join_all((0..3).map(|_| Postgres::start()));
    let (redises, postgreses) = tokio::try_join!(redises, postgreses).unwrap();
    let ports = redises.iter().map(Redis::port).chain(postgreses.iter().map(Postgres::port));
    let ports: std::collections::BTreeSet<_> = ports.collect();
    assert_eq!(ports.len(), 7);
    let sockets = redises.iter().map(|one| one.socket().parent().unwrap().to_owned());
    let folders = postgreses.iter().map(|one| one.socket_folder().to_owned());
    let folders: Vec<_> = sockets.chain(folders).collect();
    assert!(folders.iter().all(|folder| folder.is_dir()));
    drop((redises, postgreses));
    assert!(!ports.into_iter().any(listens));
    assert!(!folders.iter().any(|folder| folder.exists()));
}

/// Set for [`waits_to_be_killed`] when it is to wait.
const TO_BE_KILLED: &str = "TESTKIT_TO_BE_KILLED";

/// Says what it started, and waits; nothing unless the test below runs it.
#[tokio::test]
async fn waits_to_be_killed() {
    if inherited(TO_BE_KILLED).is_none() {
        return;
    }
    let (redis, postgres) = tokio::try_join!(Redis::start(), Postgres::start()).unwrap();
    let [one, two] = [redis.port(), postgres.port()];
    let socket = redis.socket();
    println!("\nkill {one} {two} {} {}", socket.display(), postgres.socket_folder().display());
    std::future::pending::<()>().await;
}

#[tokio::test]
async fn nothing_outlives_a_test_that_is_killed() {
    let mut test = Command::new(std::env::current_exe().unwrap());
    test.args(["--exact", "waits_to_be_killed", "--nocapture"]).env(TO_BE_KILLED, "1");
    let mut test = test.stdout(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
    let mut lines = BufReader::new(test.stdout.take().unwrap()).lines();
    let line = loop {
        let line = lines.next_line().await.unwrap().expect("it says what it started");
        if let Some(rest) = line.strip_prefix("kill ") {
            break rest.to_owned();
        }
    };
    let words: Vec<_> = line.split(' ').collect();
    let [one, two, socket, folder] = words[..] else { panic!("{line}") };
    let ports = [one, two].map(|port| port.parse::<u16>().unwrap());
    assert!(ports.into_iter().all(listens));
    test.kill().await.unwrap();
    let folders = [Path::new(socket).parent().unwrap(), Path::new(folder)];
    let gone =
        async || !ports.into_iter().any(listens) && !folders.iter().any(|folder| folder.exists());
    until("gone", gone).await.unwrap();
}
