//! Outages of PostgreSQL: calls fail in time, and an operation is executed if and only if its call
//! succeeded.

use std::future::Future;
use std::time::Duration;

use adapters::postgres::PgStore;
use app::ports::{PoolStore, StoreError};
use domain::{Server, ServerId};
use testkit::private::Postgres;
use tokio::time::{Instant, sleep};

use crate::common::postgres::{connection_config, open_store, store_options};

/// The time limit of a call.
const MAX_CALL: Duration = Duration::from_millis(4_500);

async fn run_timed<T>(call: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    let started_at = Instant::now();
    let result = call.await;
    let elapsed = started_at.elapsed();
    assert!(elapsed < MAX_CALL, "the call took {elapsed:?}");
    result
}

/// Calls until a call succeeds, for this time at most.
async fn wait_until_back(store: &PgStore, limit: Duration) {
    let started_at = Instant::now();
    while let Err(error) = run_timed(store.check_store()).await {
        assert!(started_at.elapsed() < limit, "PostgreSQL is not available again: {error}");
        sleep(Duration::from_millis(50)).await;
    }
}

fn new_server(id: &str) -> Server {
    Server::new(ServerId(id.into()), "http://a/api".into(), "s".into())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_succeed_again_after_a_restart() {
    let postgres = Postgres::start().await.expect("a server");
    postgres.create_database("d").await.unwrap();
    let store = open_store(&postgres, "d");
    assert!(store.add_server(new_server("a")).await.unwrap());
    postgres.stop().await.unwrap();
    for _ in 0..3 {
        assert!(matches!(run_timed(store.list_servers()).await, Err(StoreError::Unavailable(_))));
        assert!(matches!(
            run_timed(store.add_server(new_server("b"))).await,
            Err(StoreError::Unavailable(_))
        ));
    }
    let started_at = Instant::now();
    for _ in 0..100 {
        run_timed(store.list_servers()).await.unwrap_err();
        run_timed(store.check_store()).await.unwrap_err();
    }
    assert!(started_at.elapsed() < Duration::from_secs(1), "calls fail at once");
    postgres.restart().await.unwrap();
    wait_until_back(&store, Duration::from_secs(3)).await;
    let ids: Vec<String> =
        store.list_servers().await.unwrap().into_iter().map(|server| server.id.0).collect();
    assert_eq!(ids, ["a"], "failed calls were not executed");

    // A restart between two calls makes none fail.
    postgres.restart().await.unwrap();
    assert!(run_timed(store.add_server(new_server("c"))).await.unwrap());
    assert_eq!(run_timed(store.list_servers()).await.unwrap().len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_call_waits_long_for_a_server_that_hangs() {
    let postgres = Postgres::start().await.expect("a server");
    postgres.create_database("d").await.unwrap();
    let store = open_store(&postgres, "d");
    assert!(store.add_server(new_server("a")).await.unwrap());
    postgres.pause().await.unwrap();
    let (read, written) =
        tokio::join!(run_timed(store.list_servers()), run_timed(store.check_store()));
    assert!(read.is_err() && written.is_err());
    let started_at = Instant::now();
    for _ in 0..10 {
        run_timed(store.list_servers()).await.unwrap_err();
    }
    assert!(started_at.elapsed() < MAX_CALL, "calls fail at once, except for attempts to connect");
    postgres.resume().unwrap();
    wait_until_back(&store, Duration::from_secs(8)).await;
    assert_eq!(store.list_servers().await.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn errors_contain_no_secrets() {
    let postgres = Postgres::start().await.expect("a server");
    let missing = open_store(&postgres, "nowhere");
    let error = missing.check_store().await.unwrap_err().to_string();
    assert!(error.contains("\"nowhere\" does not exist"), "{error}");
    assert!(error.contains("createdb"), "{error}");

    let mut config = connection_config(&postgres, "d");
    config.password("hunter2");
    let options = store_options(config);
    assert!(!format!("{options:?}").contains("hunter2"));
    let error = PgStore::new(options).unwrap().check_store().await.unwrap_err().to_string();
    assert!(!error.contains("hunter2"), "{error}");

    let mut config = tokio_postgres::Config::new();
    config.host("127.0.0.1").port(1).user("u").password("hunter2").dbname("d");
    let store = PgStore::new(store_options(config)).unwrap();
    let error = run_timed(store.list_servers()).await.unwrap_err().to_string();
    assert!(error.contains("refused") && !error.contains("hunter2"), "{error}");
    assert_eq!(run_timed(store.list_servers()).await.unwrap_err().to_string(), error);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_error_names_the_lock_that_a_writer_waited_for() {
    let postgres = Postgres::start().await.expect("a server");
    postgres.create_database("d").await.unwrap();
    let store = open_store(&postgres, "d");
    store.check_store().await.unwrap();
    let config = connection_config(&postgres, "d");
    let (other, connection) = config.connect(tokio_postgres::NoTls).await.expect("a connection");
    tokio::spawn(connection);
    other.batch_execute("BEGIN; SELECT pg_advisory_xact_lock(7235433001)").await.unwrap();
    let error = run_timed(store.add_server(new_server("a"))).await.unwrap_err().to_string();
    assert!(error.contains("lock timeout"), "{error}");
    assert_eq!(run_timed(store.list_servers()).await.unwrap(), [], "readers need no lock");
    other.batch_execute("ROLLBACK").await.unwrap();
    assert!(run_timed(store.add_server(new_server("a"))).await.unwrap());
}
