//! Private servers: they answer, persist what they should, and never outlive their test.

#![expect(clippy::unwrap_used, reason = "a test that cannot ask its server must fail")]

use std::net::TcpStream;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use testkit::clock::environment_variable;
use testkit::private::{Persistence, Postgres, PostgresOptions, Redis, RedisOptions, RedisReply};
use testkit::product::wait_until;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Command;

/// A server that has not answered after this time is taken for hanging.
const HANG_TIMEOUT: Duration = Duration::from_millis(50);

fn is_listening(port: u16) -> bool {
    TcpStream::connect(("127.0.0.1", port)).is_ok()
}

fn text_reply(text: &str) -> RedisReply {
    RedisReply::Text(text.as_bytes().to_vec())
}

async fn write_value(redis: &Redis) {
    assert_eq!(redis.run_command(&["SET", "key", "value"]).await.unwrap(), text_reply("OK"));
}

async fn read_value(redis: &Redis) -> RedisReply {
    redis.run_command(&["GET", "key"]).await.unwrap()
}

#[tokio::test]
async fn redis_persists_as_configured() {
    let table = [
        (Persistence::None, false, RedisReply::Nil),
        (Persistence::EverySecond, false, text_reply("value")),
        (Persistence::Always, true, text_reply("value")),
    ];
    for (persistence, killed, expected) in table {
        let options = RedisOptions::default().persistence(persistence);
        let redis = Redis::start_with(options).await.unwrap();
        write_value(&redis).await;
        assert_eq!(read_value(&redis).await, text_reply("value"));
        let port = redis.port();
        assert!(is_listening(port));
        if killed {
            redis.kill().await.unwrap();
        } else {
            redis.stop().await.unwrap();
        }
        assert!(!is_listening(port));
        redis.restart().await.unwrap();
        assert_eq!(redis.port(), port);
        assert!(is_listening(port));
        assert_eq!(read_value(&redis).await, expected, "{persistence:?}");
        redis.flush_all().await.unwrap();
        assert_eq!(read_value(&redis).await, RedisReply::Nil);
    }
}

#[tokio::test]
async fn redis_counts_commands_of_others() {
    let redis = Redis::start().await.unwrap();
    assert_eq!(redis.count_commands().await.unwrap(), 0);
    for _ in 0..5 {
        write_value(&redis).await;
        redis.run_command_in(3, &["PING"]).await.unwrap();
    }
    assert_eq!(redis.count_commands().await.unwrap(), 0, "our own do not count");
    let mut cli = Command::new("redis-cli");
    let status = cli.args(["-u", &redis.url(), "GET", "key"]).stdout(Stdio::null());
    assert!(status.status().await.unwrap().success());
    let before = redis.count_commands().await.unwrap();
    assert!((1..=3).contains(&before), "{before}");
    redis.restart().await.unwrap();
    assert_eq!(redis.count_commands().await.unwrap(), 0);
}

#[tokio::test]
async fn redis_checks_credentials() {
    let with_password = RedisOptions::default().password("secret1");
    let rules = "~app:* +@all";
    let with_user = RedisOptions::default().user("app", "secret2", rules);
    for (options, credentials) in [(with_password, ":secret1@"), (with_user, "app:secret2@")] {
        let redis = Redis::start_with(options).await.unwrap();
        let port = redis.port();
        assert_eq!(redis.url(), format!("redis://{credentials}127.0.0.1:{port}/0"));
        write_value(&redis).await;
        assert_eq!(redis.count_commands().await.unwrap(), 0);
        // redis-cli 7 needs a user name in the URL.
        let valid_url = redis.url().replace("//:", "//default:");
        for (url, expected) in [(valid_url, "OK"), (format!("redis://127.0.0.1:{port}"), "NOAUTH")]
        {
            let mut cli = Command::new("redis-cli");
            cli.args(["-u", &url, "--no-auth-warning", "SET", "app:key", "1"]);
            let output = cli.output().await.unwrap();
            let stdout = String::from_utf8(output.stdout).unwrap();
            assert!(stdout.contains(expected), "{url}: {stdout}");
        }
    }
}

#[tokio::test]
async fn redis_hangs_on_command() {
    let redis = Redis::start().await.unwrap();
    redis.pause().await.unwrap();
    assert!(tokio::time::timeout(HANG_TIMEOUT, redis.run_command(&["PING"])).await.is_err());
    redis.resume().unwrap();
    write_value(&redis).await;
    redis.pause().await.unwrap();
    redis.kill().await.unwrap();
    assert!(!is_listening(redis.port()));
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
        assert!(!is_listening(port));
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
    let query = || postgres.psql("postgres", "SELECT 1");
    assert_eq!(query().await.unwrap(), "1");
    postgres.pause().await.unwrap();
    assert!(tokio::time::timeout(HANG_TIMEOUT, query()).await.is_err());
    postgres.resume().unwrap();
    assert_eq!(query().await.unwrap(), "1");
    postgres.pause().await.unwrap();
    postgres.restart().await.unwrap();
    assert_eq!(query().await.unwrap(), "1");
}

#[tokio::test]
async fn servers_run_side_by_side_and_end_when_they_are_dropped() {
    let redises = futures_util::future::try_join_all((0..4).map(|_| Redis::start()));
    let postgreses = futures_util::future::try_join_all((0..3).map(|_| Postgres::start()));
    let (redises, postgreses) = tokio::try_join!(redises, postgreses).unwrap();
    let ports = redises.iter().map(Redis::port).chain(postgreses.iter().map(Postgres::port));
    let ports: std::collections::BTreeSet<_> = ports.collect();
    assert_eq!(ports.len(), 7);
    let sockets = redises.iter().map(|redis| redis.socket().parent().unwrap().to_owned());
    let folders = postgreses.iter().map(|postgres| postgres.socket_folder().to_owned());
    let folders: Vec<_> = sockets.chain(folders).collect();
    assert!(folders.iter().all(|folder| folder.is_dir()));
    drop((redises, postgreses));
    assert!(!ports.into_iter().any(is_listening));
    assert!(!folders.iter().any(|folder| folder.exists()));
}

/// Makes [`waits_to_be_killed`] start servers and wait.
const WAIT_VARIABLE: &str = "TESTKIT_TO_BE_KILLED";

/// Prints where its servers are, and waits. Does nothing unless the test below runs it.
#[tokio::test]
async fn waits_to_be_killed() {
    if environment_variable(WAIT_VARIABLE).is_none() {
        return;
    }
    let (redis, postgres) = tokio::try_join!(Redis::start(), Postgres::start()).unwrap();
    let (redis_port, postgres_port) = (redis.port(), postgres.port());
    let (socket, folder) = (redis.socket(), postgres.socket_folder());
    println!("\nkill {redis_port} {postgres_port} {} {}", socket.display(), folder.display());
    std::future::pending::<()>().await;
}

#[tokio::test]
async fn nothing_outlives_a_test_that_is_killed() {
    let mut test = Command::new(std::env::current_exe().unwrap());
    test.args(["--exact", "waits_to_be_killed", "--nocapture"]).env(WAIT_VARIABLE, "1");
    let mut test = test.stdout(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
    let mut lines = BufReader::new(test.stdout.take().unwrap()).lines();
    let line = loop {
        let line = lines.next_line().await.unwrap().expect("a line with the servers");
        if let Some(rest) = line.strip_prefix("kill ") {
            break rest.to_owned();
        }
    };
    let words: Vec<_> = line.split(' ').collect();
    let [redis_port, postgres_port, socket, folder] = words[..] else { panic!("{line}") };
    let ports = [redis_port, postgres_port].map(|port| port.parse::<u16>().unwrap());
    assert!(ports.into_iter().all(is_listening));
    test.kill().await.unwrap();
    let folders = [Path::new(socket).parent().unwrap(), Path::new(folder)];
    let are_removed = async || {
        !ports.into_iter().any(is_listening) && !folders.iter().any(|folder| folder.exists())
    };
    wait_until("removed", are_removed).await.unwrap();
}
