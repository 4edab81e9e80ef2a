//! Stores in a private Redis, for the tests that need one.

#![expect(clippy::expect_used, reason = "a test that cannot set up its store must fail")]

use adapters::redis::address::{RedisAddress, RedisOptions};
use testkit::private::Redis;

#[path = "pool.rs"]
pub(crate) mod pool;

pub(crate) use pool::{NOW, enabled_server, place_request};

/// How to get there.
pub(crate) fn options(url: &str) -> RedisOptions {
    let address = RedisAddress::parse(url).expect("a URL");
    let namespace = "scalelite".to_owned();
    RedisOptions { address, namespace, max_connections: 2, meeting_ttl_ms: 86_400_000 }
}

/// How often a command was called since Redis was started or its statistics were reset. What a
/// script does inside Redis is counted, too.
pub(crate) async fn count_calls(redis: &Redis, name: &str) -> u64 {
    let stats = redis.run_command(&["INFO", "commandstats"]).await.expect("INFO").text();
    let start = format!("cmdstat_{name}:calls=");
    let count = stats.lines().find_map(|line| line.strip_prefix(&start));
    count.and_then(|count| count.split(',').next()?.parse().ok()).unwrap_or(0)
}
