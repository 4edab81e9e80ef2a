//! Connections to Redis: calls while it is unavailable, hangs, restarts, refuses connections or is
//! read-only, and work that concurrent calls share.

use std::sync::Arc;
use std::time::Duration;

use adapters::redis::RedisStore;
use adapters::redis::address::RedisOptions;
use app::ports::{OneTimeTokens as _, PlaceOutcome, PoolStore, StoreError};
use domain::ServerId;
use futures_util::future::join_all;
use testkit::private::{Persistence, Redis, RedisOptions as PrivateOptions};
use tokio::time::Instant;

use crate::common::polls::{POLL_POLICY, empty_observation};
use crate::common::pool::{NOW, enabled_server, place_request};
use crate::common::redis::{count_calls, store_options};

/// The time limit of a call while Redis hangs.
const MAX_CALL: Duration = Duration::from_secs(4);

fn store_at(url: &str) -> RedisStore {
    RedisStore::new(store_options(url))
}

fn store_with_five_connections(url: &str) -> RedisStore {
    RedisStore::new(RedisOptions { max_connections: 5, ..store_options(url) })
}

async fn run_timed<T>(call: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    let started_at = Instant::now();
    let result = call.await;
    assert!(started_at.elapsed() < MAX_CALL, "the call took {:?}", started_at.elapsed());
    result
}

/// Calls until one succeeds.
async fn wait_until_back(store: &RedisStore) {
    let started_at = Instant::now();
    while let Err(error) = run_timed(store.check_store()).await {
        assert!(started_at.elapsed() < MAX_CALL, "Redis is not available again: {error}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_succeed_again_after_a_restart() {
    let options = PrivateOptions::default().persistence(Persistence::Always);
    let redis = Redis::start_with(options).await.expect("a Redis");
    let store = store_at(&redis.url());
    assert!(store.add_server(enabled_server("a")).await.unwrap());
    redis.stop().await.unwrap();
    assert!(matches!(run_timed(store.list_servers()).await, Err(StoreError::Unavailable(_))));
    let started_at = Instant::now();
    for _ in 0..1000 {
        run_timed(store.list_servers()).await.unwrap_err();
    }
    assert!(started_at.elapsed() < Duration::from_secs(2), "calls fail at once");
    redis.restart().await.unwrap();
    wait_until_back(&store).await;
    assert_eq!(store.list_servers().await.unwrap().len(), 1);

    // A restart between two calls makes none fail.
    redis.restart().await.unwrap();
    assert_eq!(run_timed(store.list_servers()).await.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_call_waits_long_for_a_redis_that_hangs() {
    let redis = Redis::start().await.expect("a Redis");
    let store = Arc::new(store_at(&redis.url()));
    assert!(store.add_server(enabled_server("a")).await.unwrap());
    redis.pause().await.unwrap();
    assert!(run_timed(store.list_servers()).await.is_err());
    let started_at = Instant::now();
    let calls = (0..100).map(|_| store.list_servers());
    assert!(join_all(calls).await.iter().all(Result::is_err));
    assert!(started_at.elapsed() < MAX_CALL, "calls do not wait one after the other");

    // For longer than an attempt to connect takes: other calls do not wait for the attempt.
    let mut every = tokio::time::interval(Duration::from_millis(10));
    let mut calls = Vec::new();
    while started_at.elapsed() < Duration::from_millis(2800) {
        every.tick().await;
        let store = Arc::clone(&store);
        calls.push(tokio::spawn(async move {
            let started_at = Instant::now();
            run_timed(store.list_servers()).await.unwrap_err();
            started_at.elapsed()
        }));
    }
    let durations: Vec<Duration> = join_all(calls).await.into_iter().map(Result::unwrap).collect();
    let slow = durations.iter().filter(|duration| **duration > Duration::from_millis(400)).count();
    assert!(slow <= 3, "{slow} of {} calls waited", durations.len());
    redis.resume().unwrap();
    wait_until_back(&store).await;
}

#[tokio::test]
async fn users_passwords_sockets_and_databases_work() {
    let redis = Redis::start().await.expect("a Redis");
    let permissions = ["+@all", "-@dangerous", "+info", "~scalelite:*"];
    for (user, password) in [("lite", "geheim"), ("odd:@", "p:/@ü %")] {
        let password = format!(">{password}");
        let mut rules = vec!["ACL", "SETUSER", user, "on", &password];
        rules.extend(permissions);
        redis.run_command(&rules).await.unwrap();
    }
    let (port, socket) = (redis.port(), redis.socket());
    let valid_urls = [
        format!("redis://odd%3A%40:p%3A%2F%40%C3%BC%20%25@127.0.0.1:{port}/3"),
        format!("redis://lite:geheim@127.0.0.1:{port}"),
        format!("unix://lite:geheim@{}", socket.display()),
    ];
    for url in &valid_urls {
        store_at(url).check_store().await.expect(url);
    }
    let wrong_url = format!("redis://lite:falsch@127.0.0.1:{port}");
    for (url, namespace) in [(&wrong_url, "scalelite"), (&valid_urls[1], "elsewhere")] {
        let options = RedisOptions { namespace: namespace.to_owned(), ..store_options(url) };
        let error = RedisStore::new(options).check_store().await.unwrap_err().to_string();
        assert!(!error.contains("falsch") && !error.contains("geheim"), "{error}");
    }
}

#[tokio::test]
async fn the_master_is_found_by_sentinel() {
    let redis = Redis::start().await.expect("a Redis");
    let options = PrivateOptions::default().sentinel("mymaster", redis.port());
    let sentinel = Redis::start_with(options).await.expect("a sentinel");
    let url = format!("redis+sentinel://127.0.0.1:1,127.0.0.1:{}/mymaster", sentinel.port());
    let store = store_at(&url);
    store.check_store().await.expect("by the second sentinel");
    assert!(store_at(&redis.url()).add_server(enabled_server("a")).await.unwrap());
    assert_eq!(store.list_servers().await.unwrap().len(), 1);
    let unknown = format!("redis+sentinel://127.0.0.1:{}/other", sentinel.port());
    let error = store_at(&unknown).check_store().await.unwrap_err().to_string();
    assert!(error.contains("knows no other"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_most_one_call_fails_after_a_restart() {
    let redis = Redis::start().await.expect("a Redis");
    let store = store_with_five_connections(&redis.url());
    // Each of the five connections is the next one in some round.
    for round in 0..6 {
        for _ in 0..5 + round {
            store.check_store().await.unwrap();
        }
        redis.restart().await.unwrap();
        let mut failed = 0;
        let format_id = domain::recording::RecordingFormatId::parse("r", "video").unwrap();
        for _ in 0..10 {
            // The call is not repeatable: it may have been executed.
            failed +=
                usize::from(run_timed(store.take_token("none", &format_id, NOW)).await.is_err());
        }
        assert!(failed <= 1, "{failed} of ten calls in round {round}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fewer_connections_than_configured_suffice() {
    let redis = Redis::start().await.expect("a Redis");
    let store = store_with_five_connections(&redis.url());
    for _ in 0..2 {
        store.check_store().await.unwrap();
    }
    redis.run_command(&["CONFIG", "SET", "maxclients", "3"]).await.unwrap();
    let started_at = Instant::now();
    // Long enough for further attempts to open more connections.
    while started_at.elapsed() < Duration::from_millis(1200) {
        store.check_store().await.expect("an open connection is used");
    }
}

#[tokio::test]
async fn a_read_only_redis_is_rarely_connected_to() {
    let redis = Redis::start().await.expect("a Redis");
    let store = store_with_five_connections(&redis.unix_url());
    for _ in 0..5 {
        store.check_store().await.unwrap();
    }
    redis.run_command(&["REPLICAOF", "127.0.0.1", "1"]).await.unwrap();
    let (before, started_at) = (count_connections(&redis).await, Instant::now());
    for _ in 0..500 {
        store.check_store().await.unwrap_err();
    }
    // One connection is that of the statistics command.
    let opened = count_connections(&redis).await - before - 1;
    let tries = 1 + started_at.elapsed().as_millis() / 500;
    assert!(u128::from(opened) <= 2 * tries, "{opened} connections in {:?}", started_at.elapsed());
    redis.run_command(&["REPLICAOF", "NO", "ONE"]).await.unwrap();
    wait_until_back(&store).await;
}

async fn count_connections(redis: &Redis) -> u64 {
    let stats = redis.run_command(&["INFO", "stats"]).await.expect("INFO").text();
    let mut lines = stats.lines();
    let count = lines.find_map(|line| line.strip_prefix("total_connections_received:"));
    count.and_then(|count| count.trim().parse().ok()).expect("a count")
}

#[tokio::test]
async fn concurrent_polls_adopt_meetings_once() {
    const POLLS: u64 = 30;
    let redis = Redis::start().await.expect("a Redis");
    let store = store_with_five_connections(&redis.unix_url());
    for n in 0..POLLS {
        assert!(store.add_server(enabled_server(&format!("s{n}"))).await.unwrap());
    }
    redis.run_command(&["SADD", "scalelite:meetings", "one", "two", "three"]).await.unwrap();
    redis.run_command(&["CONFIG", "RESETSTAT"]).await.unwrap();
    let polls = (0..POLLS).map(async |n| {
        let id = ServerId(format!("s{n}"));
        store
            .record_poll(&id, &empty_observation(NOW), &POLL_POLICY, None)
            .await
            .unwrap()
            .expect("a report");
    });
    join_all(polls).await;
    // Each poll reads the list of its server, and one poll reads the list of all meetings.
    assert_eq!(count_calls(&redis, "smembers").await, POLLS + 1);
}

#[tokio::test]
async fn creates_use_cached_servers_after_polls_without_changes() {
    const SERVERS: u64 = 50;
    let redis = Redis::start().await.expect("a Redis");
    let store = store_with_five_connections(&redis.unix_url());
    for n in 0..SERVERS {
        assert!(store.add_server(enabled_server(&format!("s{n}"))).await.unwrap());
    }
    store.list_servers().await.unwrap();
    redis.run_command(&["CONFIG", "RESETSTAT"]).await.unwrap();
    let started_at = Instant::now();
    for (token, n) in (0..SERVERS).enumerate() {
        let id = ServerId(format!("s{n}"));
        store
            .record_poll(&id, &empty_observation(NOW), &POLL_POLICY, None)
            .await
            .unwrap()
            .expect("a report");
        let placed = store
            .place_meeting(place_request(&format!("m{n}"), token, &format!("1{n}")))
            .await
            .unwrap();
        assert!(matches!(placed, PlaceOutcome::Claimed(_)), "{placed:?}");
    }
    // The command is called for each server that is read. Each poll reads one server, and all
    // servers are read once a second.
    let count = count_calls(&redis, "sismember").await;
    let limit = SERVERS + SERVERS * (2 + started_at.elapsed().as_secs());
    assert!(count <= limit, "{count} in {:?}", started_at.elapsed());
}
