//! The hot state in Redis against the contracts of its ports, and what only a Redis can show: how
//! many round trips a call costs, replicas, restarts, silence, users and sentinels.

#![expect(clippy::expect_used, reason = "a test that cannot set up its store must fail")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use adapters::redis::RedisStore;
use adapters::redis::address::{RedisAddress, RedisOptions};
use app::ports::{Cluster, Hot, Inspect, Level, PlaceRequest, Placed, StoreError};
use domain::placement::{Ask, TagRequest};
use domain::{AdminState, Claim, MeetingKey, Seats, Server, ServerId, Timestamp};
use futures_util::future::{BoxFuture, FutureExt as _, join_all};
use testkit::contract;
use testkit::private::{Persistence, Redis, RedisOptions as PrivateOptions};
use tokio::time::Instant;

const NOW: Timestamp = Timestamp(1_700_000_000_000);
/// Nobody waits longer for a Redis that hangs.
const CALL_MAX: Duration = Duration::from_secs(4);

fn store_at(url: &str, namespace: &str) -> RedisStore {
    let address = RedisAddress::parse(url).expect("a URL");
    let namespace = namespace.to_owned();
    RedisStore::new(RedisOptions { address, namespace, pool: 2, meeting_ttl_ms: 86_400_000 })
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

fn open(id: &str) -> Server {
    let mut server = Server::new(ServerId(id.into()), "http://a/api".into(), "s".into());
    server.state = AdminState::Enabled;
    server.health.online = true;
    server.load = Some(0.0);
    server
}

fn key(id: &str) -> MeetingKey {
    MeetingKey { tenant: None, id: id.into() }
}

fn request(id: &str, token: usize, number: &str) -> PlaceRequest {
    PlaceRequest {
        key: key(id),
        ask: Ask { tags: TagRequest::parse(""), seats: 15, seed: 1 },
        voice_bridges: vec![number.to_owned()],
        moderator_pw: None,
        claim: Claim { token: token.to_string(), until: NOW.plus_ms(20_000) },
        seats: Seats { reserved: 15, reserved_until: NOW.plus_ms(900_000), users: 0 },
        now: NOW,
    }
}

/// A command is a round trip. What a script does inside Redis is counted as commands, too, so it is
/// the calls of scripts that count.
async fn round_trips(redis: &Redis) -> u64 {
    let stats = redis.ask(&["INFO", "commandstats"]).await.expect("INFO").text();
    let calls = |name: &str| {
        let line = stats.lines().find_map(|line| line.strip_prefix(name));
        let count = line.and_then(|line| line.strip_prefix(":calls="));
        count.and_then(|count| count.split(',').next()?.parse().ok()).unwrap_or(0_u64)
    };
    let scripts = calls("cmdstat_evalsha") + calls("cmdstat_eval") + calls("cmdstat_script|load");
    // Whatever is never called from a script.
    scripts + calls("cmdstat_multi") + calls("cmdstat_exec") + calls("cmdstat_watch")
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
        store.confirm(&won.meeting, NOW).await.unwrap();
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

async fn timed<T>(call: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    let begun = Instant::now();
    let outcome = call.await;
    assert!(begun.elapsed() < CALL_MAX, "it took {:?}", begun.elapsed());
    outcome
}

/// Calls until one succeeds.
async fn back(store: &RedisStore) {
    let begun = Instant::now();
    while let Err(error) = timed(store.check()).await {
        assert!(begun.elapsed() < CALL_MAX, "it does not come back: {error}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_is_survived() {
    let options = PrivateOptions::default().persistence(Persistence::Always);
    let redis = Redis::start_with(options).await.expect("a Redis");
    let store = store_at(&redis.url(), "scalelite");
    assert!(store.add_server(open("a")).await.unwrap());
    redis.stop().await.unwrap();
    assert!(matches!(timed(store.servers()).await, Err(StoreError::Unavailable(_))));
    let begun = Instant::now();
    for _ in 0..1000 {
        timed(store.servers()).await.unwrap_err();
    }
    assert!(begun.elapsed() < Duration::from_secs(2), "what is known is told at once");
    redis.restart().await.unwrap();
    back(&store).await;
    assert_eq!(store.servers().await.unwrap().len(), 1);

    // While nobody calls, a restart goes unnoticed.
    redis.restart().await.unwrap();
    assert_eq!(timed(store.servers()).await.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_hangs_holds_nobody_up() {
    let redis = Redis::start().await.expect("a Redis");
    let store = store_at(&redis.url(), "scalelite");
    assert!(store.add_server(open("a")).await.unwrap());
    redis.pause().await.unwrap();
    assert!(timed(store.servers()).await.is_err());
    let begun = Instant::now();
    let calls = (0..100).map(|_| store.servers());
    assert!(join_all(calls).await.iter().all(Result::is_err));
    assert!(begun.elapsed() < CALL_MAX, "they do not wait one after the other");
    redis.go_on().unwrap();
    back(&store).await;
}

#[tokio::test]
async fn passwords_users_sockets_and_databases() {
    let redis = Redis::start().await.expect("a Redis");
    let everything_but = ["+@all", "-@dangerous", "+info", "~scalelite:*"];
    for (user, password) in [("lite", "geheim"), ("odd:@", "p:/@ü %")] {
        let password = format!(">{password}");
        let mut rules = vec!["ACL", "SETUSER", user, "on", &password];
        rules.extend(everything_but);
        redis.ask(&rules).await.unwrap();
    }
    let (port, socket) = (redis.port(), redis.socket());
    let good = [
        format!("redis://odd%3A%40:p%3A%2F%40%C3%BC%20%25@127.0.0.1:{port}/3"),
        format!("redis://lite:geheim@127.0.0.1:{port}"),
        format!("unix://lite:geheim@{}", socket.display()),
    ];
    for url in &good {
        store_at(url, "scalelite").check().await.expect(url);
    }
    let wrong = format!("redis://lite:falsch@127.0.0.1:{port}");
    for (url, namespace) in [(&wrong, "scalelite"), (&good[1], "elsewhere")] {
        let error = store_at(url, namespace).check().await.unwrap_err().to_string();
        assert!(!error.contains("falsch") && !error.contains("geheim"), "{error}");
    }
}

#[tokio::test]
async fn a_sentinel_names_the_master() {
    let redis = Redis::start().await.expect("a Redis");
    let options = PrivateOptions::default().sentinel("mymaster", redis.port());
    let sentinel = Redis::start_with(options).await.expect("a sentinel");
    let url = format!("redis+sentinel://127.0.0.1:1,127.0.0.1:{}/mymaster", sentinel.port());
    let store = store_at(&url, "scalelite");
    store.check().await.expect("by the second sentinel");
    assert!(store_at(&redis.url(), "scalelite").add_server(open("a")).await.unwrap());
    assert_eq!(store.servers().await.unwrap().len(), 1);
    let unknown = format!("redis+sentinel://127.0.0.1:{}/other", sentinel.port());
    let error = store_at(&unknown, "scalelite").check().await.unwrap_err().to_string();
    assert!(error.contains("knows no other"), "{error}");
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
