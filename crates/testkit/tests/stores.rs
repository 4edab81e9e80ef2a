//! Databases of setups on private servers: each setup has its own.

#![expect(clippy::unwrap_used, reason = "helpers of tests outside of test functions")]

use testkit::private::RedisReply;
use testkit::stores::{StoreKind, TestStores};

fn variable_names(stores: &TestStores) -> Vec<&'static str> {
    stores.environment().into_iter().map(|(name, _)| name).collect()
}

#[tokio::test]
async fn settings_name_the_databases() {
    let table = [
        (StoreKind::Embedded, &[] as &[_]),
        (StoreKind::RedisAndPostgres, &["REDIS_URL", "DATABASE_URL"]),
        (StoreKind::Postgres, &["DATABASE_URL"]),
    ];
    for (kind, expected) in table {
        let stores = TestStores::start(kind).await.unwrap();
        assert_eq!((stores.kind(), variable_names(&stores).as_slice()), (kind, expected));
        let other = stores.with_new_databases().await.unwrap();
        assert_eq!(variable_names(&other), expected);
        let shared = TestStores::shared(kind).await.unwrap();
        assert_eq!(variable_names(&shared), expected);
        for (first, second) in [(&stores, &other), (&stores, &shared), (&other, &shared)] {
            let pairs = first.environment().into_iter().zip(second.environment());
            assert!(pairs.into_iter().all(|(first, second)| first != second));
        }
        stores.clear().await.unwrap();
        shared.clear().await.unwrap();
    }
}

#[tokio::test]
async fn databases_on_one_server_are_emptied_separately() {
    let first = TestStores::start(StoreKind::RedisAndPostgres).await.unwrap();
    assert_emptied_separately(&first).await;
    let first = TestStores::shared(StoreKind::RedisAndPostgres).await.unwrap();
    assert_emptied_separately(&first).await;
}

async fn assert_emptied_separately(first: &TestStores) {
    let second = first.with_new_databases().await.unwrap();
    let (redis, postgres) = (first.redis().unwrap(), first.postgres().unwrap());
    for stores in [first, &second] {
        redis.run_command_in(stores.redis_database(), &["SET", "a", "1"]).await.unwrap();
        postgres.psql(stores.postgres_database(), "CREATE TABLE t ()").await.unwrap();
    }
    first.clear().await.unwrap();
    for (stores, count) in [(first, 0), (&second, 1)] {
        let size = redis.run_command_in(stores.redis_database(), &["DBSIZE"]).await.unwrap();
        assert_eq!(size, RedisReply::Number(count));
        let tables = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'";
        let tables = postgres.psql(stores.postgres_database(), tables).await.unwrap();
        assert_eq!(tables, count.to_string());
    }
}

#[tokio::test]
async fn shared_servers_are_the_same_for_all_tests_and_are_not_stopped_by_one() {
    let first = TestStores::shared(StoreKind::RedisAndPostgres).await.unwrap();
    let second = TestStores::shared(StoreKind::RedisAndPostgres).await.unwrap();
    let ports =
        |stores: &TestStores| (stores.redis().unwrap().port(), stores.postgres().unwrap().port());
    assert_eq!(ports(&first), ports(&second));
    assert!(first.redis().unwrap().stop().await.is_err());
    assert!(first.postgres().unwrap().pause().await.is_err());
    drop(first);
    second.clear().await.unwrap();
}
