//! Checks of Redis for `scalelite doctor`.

use std::collections::HashMap;

use app::ports::{Clock as _, Finding, Inspect, StoreError};
use async_trait::async_trait;
use redis::aio::MultiplexedConnection;

use super::RedisStore;
use super::connection::to_store_error;
use crate::clock_skew::check_clock_skew;
use crate::entropy::SystemClock;

/// The fields of `INFO`.
type RedisInfo = HashMap<String, String>;

#[async_trait]
impl Inspect for RedisStore {
    async fn inspect(&self) -> Vec<Finding> {
        let mut connection = match self.connect_and_ping().await {
            Ok(connection) => connection,
            Err(error) => {
                let advice = "check that Redis runs, and REDIS_URL";
                return vec![Finding::fail("redis: reachable", error.to_string(), advice)];
            }
        };
        let info = read_info(&mut connection).await;
        let mut findings = vec![
            Finding::ok("redis: reachable", "it responds"),
            check_version(&info),
            check_mode(&info),
            check_role(&info),
            check_persistence(&mut connection, &info).await,
            check_eviction(&mut connection, &info).await,
            check_clock(&mut connection).await,
        ];
        findings.push(self.check_scripts().await);
        findings.push(self.check_data(&mut connection).await);
        findings
    }
}

impl RedisStore {
    /// Returns a connection after a successful PING.
    async fn connect_and_ping(&self) -> Result<MultiplexedConnection, StoreError> {
        let (number, mut connection) = self.client.connection.get().await?;
        let pong: Result<(), _> = redis::cmd("PING").query_async(&mut connection).await;
        pong.map_err(|error| {
            self.client.connection.drop_broken(number);
            to_store_error(&error)
        })?;
        Ok(connection)
    }

    async fn check_scripts(&self) -> Finding {
        let check = "redis: scripts";
        match app::ports::PoolStore::check_store(self).await {
            Ok(()) => Finding::ok(check, "they can read and write"),
            Err(StoreError::Incompatible(reason)) => Finding::fail(
                check,
                reason,
                "run the newest scalelite, or choose another REDIS_NAMESPACE",
            ),
            Err(error) => Finding::fail(
                check,
                error.to_string(),
                "the user of REDIS_URL must be allowed EVALSHA, SCRIPT LOAD and all commands on the \
                 keys of the namespace",
            ),
        }
    }

    async fn check_data(&self, connection: &mut MultiplexedConnection) -> Finding {
        let check = "redis: data";
        let mut command = redis::cmd("SCARD");
        command.arg(format!("{}servers", self.client.prefix));
        match command.query_async::<u64>(connection).await {
            Ok(0) => Finding::warn(
                check,
                format!(
                    "no servers under the namespace {}",
                    self.client.prefix.trim_end_matches(':')
                ),
                "if there should be some, check REDIS_NAMESPACE and the database in REDIS_URL",
            ),
            Ok(count) => Finding::ok(check, format!("{count} servers")),
            Err(error) => Finding::fail(
                check,
                to_store_error(&error).to_string(),
                "another program uses this namespace: choose another REDIS_NAMESPACE",
            ),
        }
    }
}

async fn read_info(connection: &mut MultiplexedConnection) -> RedisInfo {
    let text: String = redis::cmd("INFO").query_async(connection).await.unwrap_or_default();
    let pairs = text.lines().filter_map(|line| line.split_once(':'));
    pairs.map(|(name, value)| (name.to_owned(), value.trim().to_owned())).collect()
}

fn check_version(info: &RedisInfo) -> Finding {
    let check = "redis: version";
    let Some(version) = info.get("redis_version") else {
        return Finding::skipped(check, "INFO is not allowed");
    };
    let major: u32 = version.split('.').next().and_then(|part| part.parse().ok()).unwrap_or(0);
    if major >= 5 {
        return Finding::ok(check, version);
    }
    Finding::fail(check, version, "Redis 5 or newer is needed: scripts read the time and write")
}

fn check_mode(info: &RedisInfo) -> Finding {
    let check = "redis: mode";
    match info.get("redis_mode").map(String::as_str) {
        Some("cluster") => {
            let advice = "use a Redis with replicas, with or without Sentinel, or PostgreSQL";
            Finding::fail(check, "a Redis Cluster, which cannot be used", advice)
        }
        Some(mode) => Finding::ok(check, mode),
        None => Finding::skipped(check, "INFO is not allowed"),
    }
}

fn check_role(info: &RedisInfo) -> Finding {
    let check = "redis: role";
    match info.get("role").map(String::as_str) {
        Some("master") => Finding::ok(check, "master"),
        Some(role) => {
            let advice = "point REDIS_URL at the master, or use redis+sentinel://";
            Finding::fail(check, role, advice)
        }
        None => Finding::skipped(check, "INFO is not allowed"),
    }
}

/// Reads a setting, if CONFIG GET is allowed.
async fn read_setting(connection: &mut MultiplexedConnection, name: &str) -> Option<String> {
    let mut command = redis::cmd("CONFIG");
    let pair: Vec<String> = command.arg("GET").arg(name).query_async(connection).await.ok()?;
    pair.into_iter().nth(1)
}

async fn check_persistence(connection: &mut MultiplexedConnection, info: &RedisInfo) -> Finding {
    let check = "redis: persistence";
    let has_log = info.get("aof_enabled").is_some_and(|enabled| enabled == "1");
    if info.get("rdb_last_bgsave_status").is_some_and(|status| status != "ok") {
        let advice = "see the log of Redis: the disk may be full";
        return Finding::fail(check, "the last snapshot failed", advice);
    }
    if has_log {
        return Finding::ok(check, "appendonly");
    }
    match read_setting(connection, "save").await {
        Some(save) if save.trim().is_empty() => Finding::fail(
            check,
            "off: a restart of Redis loses all servers and meetings",
            "set `appendonly yes` in redis.conf",
        ),
        Some(save) => Finding::warn(
            check,
            format!("snapshots only ({save}): a crash loses the last minutes"),
            "set `appendonly yes` in redis.conf",
        ),
        None => Finding::skipped(check, "no appendonly, and CONFIG GET is not allowed"),
    }
}

async fn check_eviction(connection: &mut MultiplexedConnection, info: &RedisInfo) -> Finding {
    let check = "redis: eviction";
    let policy = match info.get("maxmemory_policy") {
        Some(policy) => Some(policy.clone()),
        None => read_setting(connection, "maxmemory-policy").await,
    };
    let is_unlimited = info.get("maxmemory").is_some_and(|limit| limit == "0");
    match policy.as_deref() {
        Some("noeviction") => Finding::ok(check, "noeviction"),
        Some(policy) if is_unlimited => Finding::ok(check, format!("{policy}, without a limit")),
        Some(policy) => Finding::warn(
            check,
            format!("{policy}: when the memory limit is reached, Redis deletes meetings"),
            "set `maxmemory-policy noeviction` in redis.conf",
        ),
        None => Finding::skipped(check, "INFO and CONFIG GET are not allowed"),
    }
}

async fn check_clock(connection: &mut MultiplexedConnection) -> Finding {
    let check = "redis: clock";
    let before = SystemClock.now();
    let time: Result<(i64, i64), _> = redis::cmd("TIME").query_async(connection).await;
    let Ok((seconds, micros)) = time else {
        return Finding::skipped(check, "TIME is not allowed");
    };
    let store_time = seconds.saturating_mul(1000).saturating_add(micros / 1000);
    check_clock_skew(check, store_time, before.0, SystemClock.now().0)
}
