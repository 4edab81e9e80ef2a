//! Stores in a private Redis.

use adapters::redis::address::{RedisAddress, RedisOptions};
use testkit::private::Redis;

/// Returns the options of a store at this URL.
pub(crate) fn store_options(url: &str) -> RedisOptions {
    let address = RedisAddress::parse(url).expect("a URL");
    let namespace = "scalelite".to_owned();
    RedisOptions { address, namespace, max_connections: 2, meeting_ttl_ms: 86_400_000 }
}

/// Returns how often a command was called since Redis was started or its statistics were reset.
/// Calls within scripts are counted, too.
pub(crate) async fn count_calls(redis: &Redis, name: &str) -> u64 {
    let stats = redis.run_command(&["INFO", "commandstats"]).await.expect("INFO").text();
    let prefix = format!("cmdstat_{name}:calls=");
    let count = stats.lines().find_map(|line| line.strip_prefix(&prefix));
    count.and_then(|count| count.split(',').next()?.parse().ok()).unwrap_or(0)
}
