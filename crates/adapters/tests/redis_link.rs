//! The way to Redis: what callers notice when it is away, hangs, restarts, refuses or no longer
//! writes, and that many callers together do not ask it the same thing again and again.

#![expect(clippy::expect_used, reason = "a test that cannot set up its store must fail")]

#[path = "common/redis.rs"]
mod common;
#[path = "common/polls.rs"]
mod polls;

use std::sync::Arc;
use std::time::Duration;

use adapters::redis::RedisStore;
use adapters::redis::address::RedisOptions;
use app::ports::{OneTimeTokens as _, PlaceOutcome, PoolStore, StoreError};
use domain::ServerId;
use futures_util::future::join_all;
use testkit::private::{Persistence, Redis, RedisOptions as PrivateOptions};
use tokio::time::Instant;

use common::{NOW, count_calls, enabled_server, options, place_request};
use polls::{POLL_POLICY, empty_observation};

/// Nobody waits longer for a Redis that hangs.
const MAX_CALL: Duration = Duration::from_secs(4);

fn store_at(url: &str) -> RedisStore {
    RedisStore::new(options(url))
}

fn store_with_five(url: &str) -> RedisStore {
    RedisStore::new(RedisOptions { max_connections: 5, ..options(url) })
}

async fn run_timed<T>(call: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    let begun = Instant::now();
    let outcome = call.await;
    assert!(begun.elapsed() < MAX_CALL, "it took {:?}", begun.elapsed());
    outcome
}

/// Calls until one succeeds.
async fn wait_until_back(store: &RedisStore) {
    let begun = Instant::now();
    while let Err(error) = run_timed(store.check_store()).await {
        assert!(begun.elapsed() < MAX_CALL, "it does not come back: {error}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_is_survived() {
    let options = PrivateOptions::default().persistence(Persistence::Always);
    let redis = Redis::start_with(options).await.expect("a Redis");
    let store = store_at(&redis.url());
    assert!(store.add_server(enabled_server("a")).await.unwrap());
    redis.stop().await.unwrap();
    assert!(matches!(run_timed(store.list_servers()).await, Err(StoreError::Unavailable(_))));
    let begun = Instant::now();
    for _ in 0..1000 {
        run_timed(store.list_servers()).await.unwrap_err();
    }
    assert!(begun.elapsed() < Duration::from_secs(2), "what is known is told at once");
    redis.restart().await.unwrap();
    wait_until_back(&store).await;
    assert_eq!(store.list_servers().await.unwrap().len(), 1);

    // While nobody calls, a restart goes unnoticed.
    redis.restart().await.unwrap();
    assert_eq!(run_timed(store.list_servers()).await.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_hangs_holds_nobody_up() {
    let redis = Redis::start().await.expect("a Redis");
    let store = Arc::new(store_at(&redis.url()));
    assert!(store.add_server(enabled_server("a")).await.unwrap());
    redis.pause().await.unwrap();
    assert!(run_timed(store.list_servers()).await.is_err());
    let begun = Instant::now();
    let calls = (0..100).map(|_| store.list_servers());
    assert!(join_all(calls).await.iter().all(Result::is_err));
    assert!(begun.elapsed() < MAX_CALL, "they do not wait one after the other");

    // For as long as somebody tries to connect, and longer: the others need not wait for it.
    let mut every = tokio::time::interval(Duration::from_millis(10));
    let mut calls = Vec::new();
    while begun.elapsed() < Duration::from_millis(2800) {
        every.tick().await;
        let store = Arc::clone(&store);
        calls.push(tokio::spawn(async move {
            let begun = Instant::now();
            run_timed(store.list_servers()).await.unwrap_err();
            begun.elapsed()
        }));
    }
    let took: Vec<Duration> = join_all(calls).await.into_iter().map(Result::unwrap).collect();
    let slow = took.iter().filter(|took| **took > Duration::from_millis(400)).count();
    assert!(slow <= 3, "{slow} of {} calls waited", took.len());
    redis.resume().unwrap();
    wait_until_back(&store).await;
}

#[tokio::test]
async fn passwords_users_sockets_and_databases() {
    let redis = Redis::start().await.expect("a Redis");
    let everything_but = ["+@all", "-@dangerous", "+info", "~scalelite:*"];
    for (user, password) in [("lite", "geheim"), ("odd:@", "p:/@ü %")] {
        let password = format!(">{password}");
        let mut rules = vec!["ACL", "SETUSER", user, "on", &password];
        rules.extend(everything_but);
        redis.run_command(&rules).await.unwrap();
    }
    let (port, socket) = (redis.port(), redis.socket());
    let good = [
        format!("redis://odd%3A%40:p%3A%2F%40%C3%BC%20%25@127.0.0.1:{port}/3"),
        format!("redis://lite:geheim@127.0.0.1:{port}"),
        format!("unix://lite:geheim@{}", socket.display()),
    ];
    for url in &good {
        store_at(url).check_store().await.expect(url);
    }
    let wrong = format!("redis://lite:falsch@127.0.0.1:{port}");
    for (url, namespace) in [(&wrong, "scalelite"), (&good[1], "elsewhere")] {
        let options = RedisOptions { namespace: namespace.to_owned(), ..options(url) };
        let error = RedisStore::new(options).check_store().await.unwrap_err().to_string();
        assert!(!error.contains("falsch") && !error.contains("geheim"), "{error}");
    }
}

#[tokio::test]
async fn a_sentinel_names_the_master() {
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
async fn after_a_restart_one_call_fails_at_most() {
    let redis = Redis::start().await.expect("a Redis");
    let store = store_with_five(&redis.url());
    // Whichever of the five connections is the next.
    for round in 0..6 {
        for _ in 0..5 + round {
            store.check_store().await.unwrap();
        }
        redis.restart().await.unwrap();
        let mut failed = 0;
        for _ in 0..10 {
            // Nobody knows whether it got there: it is not tried again.
            failed += usize::from(run_timed(store.take_token("none", NOW)).await.is_err());
        }
        assert!(failed <= 1, "{failed} of ten calls in round {round}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fewer_connections_than_wanted_do() {
    let redis = Redis::start().await.expect("a Redis");
    let store = store_with_five(&redis.url());
    for _ in 0..2 {
        store.check_store().await.unwrap();
    }
    redis.run_command(&["CONFIG", "SET", "maxclients", "3"]).await.unwrap();
    let begun = Instant::now();
    // For long enough that it is tried again to open more of them.
    while begun.elapsed() < Duration::from_millis(1200) {
        store.check_store().await.expect("by those that are open");
    }
}

#[tokio::test]
async fn a_redis_that_no_longer_writes_is_asked_seldom() {
    let redis = Redis::start().await.expect("a Redis");
    let store = store_with_five(&redis.unix_url());
    for _ in 0..5 {
        store.check_store().await.unwrap();
    }
    redis.run_command(&["REPLICAOF", "127.0.0.1", "1"]).await.unwrap();
    let (before, begun) = (count_connections(&redis).await, Instant::now());
    for _ in 0..500 {
        store.check_store().await.unwrap_err();
    }
    // Ours for looking is one of them.
    let opened = count_connections(&redis).await - before - 1;
    let tries = 1 + begun.elapsed().as_millis() / 500;
    assert!(u128::from(opened) <= 2 * tries, "{opened} connections in {:?}", begun.elapsed());
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
async fn meetings_are_adopted_once_for_many_polls() {
    const POLLS: u64 = 30;
    let redis = Redis::start().await.expect("a Redis");
    let store = store_with_five(&redis.unix_url());
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
            .expect("it");
    });
    join_all(polls).await;
    // Each poll reads the list of its server, and one the list of all meetings.
    assert_eq!(count_calls(&redis, "smembers").await, POLLS + 1);
}

#[tokio::test]
async fn creates_do_not_read_all_servers_after_polls_that_changed_nothing() {
    const SERVERS: u64 = 50;
    let redis = Redis::start().await.expect("a Redis");
    let store = store_with_five(&redis.unix_url());
    for n in 0..SERVERS {
        assert!(store.add_server(enabled_server(&format!("s{n}"))).await.unwrap());
    }
    store.list_servers().await.unwrap();
    redis.run_command(&["CONFIG", "RESETSTAT"]).await.unwrap();
    let begun = Instant::now();
    for (token, n) in (0..SERVERS).enumerate() {
        let id = ServerId(format!("s{n}"));
        store
            .record_poll(&id, &empty_observation(NOW), &POLL_POLICY, None)
            .await
            .unwrap()
            .expect("it");
        let placed = store
            .place_meeting(place_request(&format!("m{n}"), token, &format!("1{n}")))
            .await
            .unwrap();
        assert!(matches!(placed, PlaceOutcome::Claimed(_)), "{placed:?}");
    }
    // It is asked whenever a server is read: once by each poll. All are read once a second.
    let asked = count_calls(&redis, "sismember").await;
    let most = SERVERS + SERVERS * (2 + begun.elapsed().as_secs());
    assert!(asked <= most, "{asked} in {:?}", begun.elapsed());
}
