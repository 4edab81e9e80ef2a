//! Shares of private servers: each its own, emptied alone.

use testkit::private::Reply;
use testkit::stores::{Kind, Stores};

fn names(stores: &Stores) -> Vec<&'static str> {
    stores.environment().into_iter().map(|(name, _)| name).collect()
}

#[tokio::test]
async fn products_are_told_where_their_state_is() {
    let table = [
        (Kind::Embedded, &[] as &[_]),
        (Kind::RedisAndPostgres, &["REDIS_URL", "DATABASE_URL"]),
        (Kind::Postgres, &["DATABASE_URL"]),
    ];
    for (kind, expected) in table {
        let stores = Stores::start(kind).await.unwrap();
        assert_eq!((stores.kind(), names(&stores).as_slice()), (kind, expected));
        let other = stores.another().await.unwrap();
        assert_eq!(names(&other), expected);
        let shared = stores.environment().into_iter().zip(other.environment());
        assert!(shared.into_iter().all(|(one, other)| one != other));
        stores.empty().await.unwrap();
    }
}

#[tokio::test]
async fn a_share_is_emptied_alone() {
    let one = Stores::start(Kind::RedisAndPostgres).await.unwrap();
    let two = one.another().await.unwrap();
    let (redis, postgres) = (one.redis().unwrap(), one.postgres().unwrap());
    for share in [&one, &two] {
        redis.ask_in(share.redis_database(), &["SET", "a", "1"]).await.unwrap();
        postgres.psql(share.postgres_database(), "CREATE TABLE t ()").await.unwrap();
    }
    one.empty().await.unwrap();
    for (share, kept) in [(&one, 0), (&two, 1)] {
        let size = redis.ask_in(share.redis_database(), &["DBSIZE"]).await.unwrap();
        assert_eq!(size, Reply::Number(kept));
        let tables = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'";
        let tables = postgres.psql(share.postgres_database(), tables).await.unwrap();
        assert_eq!(tables, kept.to_string());
    }
}
