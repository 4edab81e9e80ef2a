//! The version of our own keys in Redis: unknown versions are refused, and new keys get the current one.

use adapters::redis::RedisStore;
use app::ports::{Inspect as _, PoolStore as _, StoreError};
use testkit::private::Redis;

use crate::common::pool::enabled_server;
use crate::common::redis::store_options;

async fn run_command(redis: &Redis, command: &[&str]) -> Vec<String> {
    redis.run_command(command).await.expect("a response").texts()
}

#[tokio::test]
async fn an_unknown_schema_is_refused_and_not_changed() {
    for (key, value, reason) in [
        ("mark", "some-id", "older, unreleased scalelite"),
        ("schema_version", "2", "use a newer scalelite"),
        ("schema_version", "0", "unknown schema"),
        ("schema_version", "x", "unknown schema"),
    ] {
        let redis = Redis::start().await.expect("a Redis");
        run_command(&redis, &["SET", &format!("scalelite:own:{key}"), value]).await;
        run_command(&redis, &["SADD", "scalelite:own:on:a", "M"]).await;
        run_command(&redis, &["HSET", "scalelite:meeting:M", "server_id", "a"]).await;
        let store = RedisStore::new(store_options(&redis.unix_url()));
        let refused = [
            store.check_store().await.unwrap_err(),
            store.list_servers().await.unwrap_err(),
            store.add_server(enabled_server("a")).await.unwrap_err(),
            store.claim_store_id("new-id").await.unwrap_err(),
            store.list_meetings(None).await.unwrap_err(),
        ];
        for error in refused {
            let StoreError::Incompatible(text) = &error else { panic!("{error:?}") };
            assert!(text.contains(reason), "{text}");
        }
        let mut keys = run_command(&redis, &["KEYS", "*"]).await;
        keys.sort();
        let own = format!("scalelite:own:{key}");
        let mut expected = [own.as_str(), "scalelite:own:on:a", "scalelite:meeting:M"];
        expected.sort_unstable();
        assert_eq!(keys, expected);
        assert_eq!(run_command(&redis, &["MGET", &own]).await, [value]);
        let findings = store.inspect().await;
        let finding = findings.iter().find(|finding| finding.check == "redis: scripts").unwrap();
        assert!(finding.detail.contains(reason), "{finding:?}");
    }
}

#[tokio::test]
async fn the_schema_version_is_written_with_the_first_server_and_with_the_store_id() {
    let version = ["MGET", "scalelite:own:schema_version"];
    let redis = Redis::start().await.expect("a Redis");
    let store = RedisStore::new(store_options(&redis.unix_url()));
    assert!(store.add_server(enabled_server("a")).await.unwrap());
    assert_eq!(run_command(&redis, &version).await, ["1"]);
    run_command(&redis, &["FLUSHALL"]).await;
    assert_eq!(store.claim_store_id("some-id").await.unwrap(), "some-id");
    assert_eq!(run_command(&redis, &version).await, ["1"]);
}
