//! The hot state in Redis against the contracts of its ports, and what only a Redis can show: how
//! many round trips a call costs, replicas, what is wrong with its configuration.

#![expect(clippy::expect_used, reason = "a test that cannot set up its store must fail")]

#[path = "common/redis.rs"]
mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use adapters::redis::RedisStore;
use adapters::redis::address::RedisOptions;
use app::ports::{Cluster, Hot, Inspect, Level, Placed};
use futures_util::future::{BoxFuture, FutureExt as _, join_all};
use testkit::contract;
use testkit::private::{Persistence, Redis, RedisOptions as PrivateOptions};

use common::pool::key;
use common::{NOW, calls, open, options, request};

fn store_at(url: &str, namespace: &str) -> RedisStore {
    RedisStore::new(RedisOptions { namespace: namespace.to_owned(), ..options(url) })
}

/// Fresh stores, each in a namespace of its own, in one private Redis.
struct Stores {
    redis: Redis,
    count: AtomicU32,
}

impl Stores {
    async fn new() -> Self {
        Self { redis: Redis::start().await.expect("a Redis"), count: AtomicU32::new(0) }
    }

    fn store(&self) -> RedisStore {
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        store_at(&self.redis.unix_url(), &format!("n{number}"))
    }

    fn next(&self) -> BoxFuture<'static, Arc<dyn Cluster>> {
        let store = self.store();
        async move { Arc::new(store) as _ }.boxed()
    }

    fn next_hot(&self) -> BoxFuture<'static, Arc<dyn Hot>> {
        let store = self.store();
        async move { Arc::new(store) as _ }.boxed()
    }
}

#[tokio::test]
async fn keeps_the_contract() {
    let stores = Stores::new().await;
    contract::cluster(&|| stores.next()).await;
}

#[tokio::test]
async fn keeps_the_contracts_of_the_hot_state() {
    let stores = Stores::new().await;
    contract::hot(&|| stores.next_hot()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn keeps_the_contract_in_races() {
    let stores = Stores::new().await;
    contract::cluster_racing(&|| stores.next()).await;
    contract::hot_racing(&|| stores.next_hot()).await;
}

#[tokio::test]
async fn does_as_the_reference_does() {
    let stores = Stores::new().await;
    for seed in 1..=4 {
        contract::cluster_model(&|| stores.next(), 60, seed).await;
    }
}

/// A command is a round trip. What a script does inside Redis is counted as commands, too, so it is
/// the calls of scripts that count.
async fn round_trips(redis: &Redis) -> u64 {
    // But for the first three, whatever is never called from a script.
    let mut sum = 0;
    for name in ["evalsha", "eval", "script|load", "multi", "exec", "watch"] {
        sum += calls(redis, name).await;
    }
    sum
}

#[tokio::test]
async fn a_join_costs_one_round_trip_and_a_create_three() {
    let redis = Redis::start().await.expect("a Redis");
    let store = store_at(&redis.url(), "scalelite");
    for id in ["a", "b", "c"] {
        assert!(store.add_server(open(id)).await.unwrap());
    }
    let create = async |id: &str, number: &str| {
        let Placed::Won(won) = store.place(request(id, 1, number)).await.unwrap() else {
            unreachable!("{id} is new");
        };
        store.confirm(&won.meeting, NOW, &[]).await.unwrap();
    };
    // The first of each loads its script; servers are read once a second.
    create("first", "11111").await;
    store.join(&key("first"), NOW).await.unwrap();
    store.meeting(&key("first")).await.unwrap();

    let before = round_trips(&redis).await;
    create("second", "22222").await;
    assert_eq!(round_trips(&redis).await - before, 3, "a create");
    for (n, id) in ["third", "fourth", "fifth"].into_iter().enumerate() {
        create(id, &format!("4444{n}")).await;
    }
    let before = round_trips(&redis).await;
    for id in ["first", "second", "third", "fourth", "fifth"] {
        store.join(&key(id), NOW).await.unwrap().expect("a meeting");
    }
    store.check().await.unwrap();
    let spent = round_trips(&redis).await - before - 1;
    assert!((5..=10).contains(&spent), "one to find each, and some to count them: {spent}");
    let before = round_trips(&redis).await;
    for _ in 0..1000 {
        store.join(&key("second"), NOW).await.unwrap().expect("a meeting");
    }
    store.check().await.unwrap();
    let spent = round_trips(&redis).await - before;
    assert!(spent <= 1000, "at most one each: {spent}");
    let users =
        store.meeting(&key("second")).await.unwrap().expect("a meeting").meeting.seats.users;
    assert_eq!(users, 1001, "and none is lost");
    let before = round_trips(&redis).await;
    store.meeting(&key("second")).await.unwrap().expect("a meeting");
    store.place(request("second", 2, "3")).await.unwrap();
    assert_eq!(round_trips(&redis).await - before, 2, "isMeetingRunning, and a create again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn replicas_place_each_meeting_once_and_spread_them_evenly() {
    let redis = Redis::start().await.expect("a Redis");
    let replicas: Vec<_> = (0..3).map(|_| store_at(&redis.url(), "scalelite")).collect();
    for id in ["a", "b", "c", "d", "e"] {
        assert!(replicas[0].add_server(open(id)).await.unwrap());
    }
    let calls = (0..300).map(|n| {
        let asked = request(&format!("m{}", n / 3), n, &(20_000 + n).to_string());
        replicas[n % 3].place(asked)
    });
    let placed: Vec<Placed> = join_all(calls).await.into_iter().map(Result::unwrap).collect();
    let won = placed.iter().filter(|placed| matches!(placed, Placed::Won(_))).count();
    let known = placed.iter().filter(|placed| matches!(placed, Placed::Known(_))).count();
    assert_eq!((won, known), (100, 200));
    let meetings = replicas[1].meetings(None).await.unwrap();
    assert_eq!(meetings.len(), 100);
    for server in replicas[2].servers().await.unwrap() {
        let here = meetings.iter().filter(|one| one.server == server.id).count();
        assert_eq!((here, server.load), (20, Some(300.0)), "{}", server.id);
    }
}

#[tokio::test]
async fn a_closer_look_finds_what_is_wrong() {
    let level = |findings: &[app::ports::Finding], check: &str| {
        findings.iter().find(|one| one.check == check).map(|one| one.level)
    };
    let options = PrivateOptions::default().persistence(Persistence::Always);
    let redis = Redis::start_with(options).await.expect("a Redis");
    let store = store_at(&redis.url(), "scalelite");
    assert!(store.add_server(open("a")).await.unwrap());
    let found = store.inspect().await;
    assert!(found.iter().all(|one| one.level == Level::Ok), "{found:?}");

    redis.ask(&["CONFIG", "SET", "appendonly", "no"]).await.unwrap();
    redis.ask(&["CONFIG", "SET", "save", ""]).await.unwrap();
    redis.ask(&["CONFIG", "SET", "maxmemory", "100mb"]).await.unwrap();
    redis.ask(&["CONFIG", "SET", "maxmemory-policy", "allkeys-lru"]).await.unwrap();
    let found = store.inspect().await;
    assert_eq!(level(&found, "redis: persistence"), Some(Level::Fail), "{found:?}");
    assert_eq!(level(&found, "redis: eviction"), Some(Level::Warn));
    redis.stop().await.unwrap();
    let found = store.inspect().await;
    assert_eq!(level(&found, "redis: reachable"), Some(Level::Fail));
}
