//! The database goes away, hangs, comes back: callers learn of it in time, and nothing is repeated
//! or lost of what they were told.

mod common;

use std::future::Future;
use std::time::Duration;

use adapters::postgres::PgStore;
use app::ports::{PoolStore, StoreError};
use domain::{Server, ServerId};
use testkit::private::Postgres;
use tokio::time::{Instant, sleep};

/// No call takes longer, whatever happens.
const MAX_CALL: Duration = Duration::from_millis(4_500);

async fn run_timed<T>(call: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    let begun = Instant::now();
    let outcome = call.await;
    let took = begun.elapsed();
    assert!(took < MAX_CALL, "it took {took:?}");
    outcome
}

/// Calls until one succeeds; at most so long.
async fn wait_until_back(store: &PgStore, most: Duration) {
    let begun = Instant::now();
    while let Err(error) = run_timed(store.check_store()).await {
        assert!(begun.elapsed() < most, "it does not come back: {error}");
        sleep(Duration::from_millis(50)).await;
    }
}

fn new_server(id: &str) -> Server {
    Server::new(ServerId(id.into()), "http://a/api".into(), "s".into())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_is_survived() {
    let postgres = Postgres::start().await.expect("a server");
    postgres.create_database("d").await.unwrap();
    let store = common::store(&postgres, "d");
    assert!(store.add_server(new_server("a")).await.unwrap());
    postgres.stop().await.unwrap();
    for _ in 0..3 {
        assert!(matches!(run_timed(store.list_servers()).await, Err(StoreError::Unavailable(_))));
        assert!(matches!(
            run_timed(store.add_server(new_server("b"))).await,
            Err(StoreError::Unavailable(_))
        ));
    }
    let begun = Instant::now();
    for _ in 0..100 {
        run_timed(store.list_servers()).await.unwrap_err();
        run_timed(store.check_store()).await.unwrap_err();
    }
    assert!(begun.elapsed() < Duration::from_secs(1), "what is known is told at once");
    postgres.restart().await.unwrap();
    wait_until_back(&store, Duration::from_secs(3)).await;
    let ids: Vec<String> =
        store.list_servers().await.unwrap().into_iter().map(|one| one.id.0).collect();
    assert_eq!(ids, ["a"], "who was told of a failure finds nothing done");

    // While nobody calls, a restart goes unnoticed.
    postgres.restart().await.unwrap();
    assert!(run_timed(store.add_server(new_server("c"))).await.unwrap());
    assert_eq!(run_timed(store.list_servers()).await.unwrap().len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_hangs_holds_nobody_up() {
    let postgres = Postgres::start().await.expect("a server");
    postgres.create_database("d").await.unwrap();
    let store = common::store(&postgres, "d");
    assert!(store.add_server(new_server("a")).await.unwrap());
    postgres.pause().await.unwrap();
    let (read, written) =
        tokio::join!(run_timed(store.list_servers()), run_timed(store.check_store()));
    assert!(read.is_err() && written.is_err());
    let begun = Instant::now();
    for _ in 0..10 {
        run_timed(store.list_servers()).await.unwrap_err();
    }
    assert!(begun.elapsed() < MAX_CALL, "once it is known it is told at once, mostly");
    postgres.resume().unwrap();
    wait_until_back(&store, Duration::from_secs(8)).await;
    assert_eq!(store.list_servers().await.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wrong_is_said_without_secrets() {
    let postgres = Postgres::start().await.expect("a server");
    let missing = common::store(&postgres, "nowhere");
    let said = missing.check_store().await.unwrap_err().to_string();
    assert!(said.contains("\"nowhere\" does not exist") && said.contains("createdb"), "{said}");

    let mut config = common::config(&postgres, "d");
    config.password("hunter2");
    let options = common::options(config);
    assert!(!format!("{options:?}").contains("hunter2"));
    let said = PgStore::new(options).unwrap().check_store().await.unwrap_err().to_string();
    assert!(!said.contains("hunter2"), "{said}");

    let mut nobody = tokio_postgres::Config::new();
    nobody.host("127.0.0.1").port(1).user("u").password("hunter2").dbname("d");
    let store = PgStore::new(common::options(nobody)).unwrap();
    let said = run_timed(store.list_servers()).await.unwrap_err().to_string();
    assert!(said.contains("refused") && !said.contains("hunter2"), "{said}");
    assert_eq!(run_timed(store.list_servers()).await.unwrap_err().to_string(), said);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_waits_for_another_writer_is_told_what_for() {
    let postgres = Postgres::start().await.expect("a server");
    postgres.create_database("d").await.unwrap();
    let store = common::store(&postgres, "d");
    store.check_store().await.unwrap();
    let mut config = tokio_postgres::Config::new();
    config.user("postgres").dbname("d").port(postgres.port()).host_path(postgres.socket_folder());
    let (other, connection) = config.connect(tokio_postgres::NoTls).await.expect("a connection");
    tokio::spawn(connection);
    other.batch_execute("BEGIN; SELECT pg_advisory_xact_lock(7235433001)").await.unwrap();
    let said = run_timed(store.add_server(new_server("a"))).await.unwrap_err().to_string();
    assert!(said.contains("lock timeout"), "{said}");
    assert_eq!(run_timed(store.list_servers()).await.unwrap(), [], "readers need no lock");
    other.batch_execute("ROLLBACK").await.unwrap();
    assert!(run_timed(store.add_server(new_server("a"))).await.unwrap());
}
