//! Shares of private servers: each its own, emptied alone.

use testkit::private::RedisReply;
use testkit::stores::{StoreKind, TestStores};

fn variable_names(stores: &TestStores) -> Vec<&'static str> {
    stores.environment().into_iter().map(|(name, _)| name).collect()
}

#[tokio::test]
async fn products_are_told_where_their_state_is() {
    let table = [
        (StoreKind::Embedded, &[] as &[_]),
        (StoreKind::RedisAndPostgres, &["REDIS_URL", "DATABASE_URL"]),
        (StoreKind::Postgres, &["DATABASE_URL"]),
    ];
    for (kind, expected) in table {
        let stores = TestStores::start(kind).await.unwrap();
        assert_eq!((stores.kind(), variable_names(&stores).as_slice()), (kind, expected));
        let other = stores.new_share().await.unwrap();
        assert_eq!(variable_names(&other), expected);
        let shared = stores.environment().into_iter().zip(other.environment());
        assert!(shared.into_iter().all(|(one, other)| one != other));
        stores.clear().await.unwrap();
    }
}

#[tokio::test]
async fn a_share_is_emptied_alone() {
    let one = TestStores::start(StoreKind::RedisAndPostgres).await.unwrap();
    let two = one.new_share().await.unwrap();
    let (redis, postgres) = (one.redis().unwrap(), one.postgres().unwrap());
    for share in [&one, &two] {
        redis.run_command_in(share.redis_database(), &["SET", "a", "1"]).await.unwrap();
        postgres.psql(share.postgres_database(), "CREATE TABLE t ()").await.unwrap();
    }
    one.clear().await.unwrap();
    for (share, kept) in [(&one, 0), (&two, 1)] {
        let size = redis.run_command_in(share.redis_database(), &["DBSIZE"]).await.unwrap();
        assert_eq!(size, RedisReply::Number(kept));
        let tables = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'";
        let tables = postgres.psql(share.postgres_database(), tables).await.unwrap();
        assert_eq!(tables, kept.to_string());
    }
}
