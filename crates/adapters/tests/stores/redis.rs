//! The store in Redis: round trips of calls, replicas, and checks of the configuration.

use std::sync::Arc;

use adapters::redis::RedisStore;
use adapters::redis::address::RedisOptions;
use app::ports::{FindingLevel, Inspect, PlaceOutcome, PoolStore};
use testkit::private::{Persistence, Redis, RedisOptions as PrivateOptions};

use crate::common::pool::{NOW, check_even_placement, enabled_server, meeting_key, place_request};
use crate::common::redis::{count_calls, store_options};

fn store_at(url: &str, namespace: &str) -> RedisStore {
    RedisStore::new(RedisOptions { namespace: namespace.to_owned(), ..store_options(url) })
}

/// Returns the number of round trips: the calls of scripts and of commands that no script calls.
/// Redis counts the commands of scripts as calls, too.
async fn count_round_trips(redis: &Redis) -> u64 {
    let mut sum = 0;
    for name in ["evalsha", "eval", "script|load", "multi", "exec", "watch"] {
        sum += count_calls(redis, name).await;
    }
    sum
}

#[tokio::test]
async fn a_join_needs_one_round_trip_and_a_create_three() {
    let redis = Redis::start().await.expect("a Redis");
    let store = store_at(&redis.url(), "scalelite");
    for id in ["a", "b", "c"] {
        assert!(store.add_server(enabled_server(id)).await.unwrap());
    }
    let create = async |id: &str, voice_bridge: &str| {
        let PlaceOutcome::Claimed(claimed) =
            store.place_meeting(place_request(id, 1, voice_bridge)).await.unwrap()
        else {
            unreachable!("{id} is new");
        };
        store.confirm_meeting(&claimed.meeting, NOW, &[], None).await.unwrap();
    };
    // The first call of each script loads it; servers are read once a second.
    create("first", "11111").await;
    store.record_join(&meeting_key("first"), NOW).await.unwrap();
    store.find_meeting(&meeting_key("first")).await.unwrap();

    let before = count_round_trips(&redis).await;
    create("second", "22222").await;
    assert_eq!(count_round_trips(&redis).await - before, 3, "a create");
    for (n, id) in ["third", "fourth", "fifth"].into_iter().enumerate() {
        create(id, &format!("4444{n}")).await;
    }
    let before = count_round_trips(&redis).await;
    for id in ["first", "second", "third", "fourth", "fifth"] {
        store.record_join(&meeting_key(id), NOW).await.unwrap().expect("a meeting");
    }
    store.check_store().await.unwrap();
    let count = count_round_trips(&redis).await - before - 1;
    assert!((5..=10).contains(&count), "one to find each, and some to count them: {count}");
    let before = count_round_trips(&redis).await;
    for _ in 0..1000 {
        store.record_join(&meeting_key("second"), NOW).await.unwrap().expect("a meeting");
    }
    store.check_store().await.unwrap();
    let count = count_round_trips(&redis).await - before;
    assert!(count <= 1000, "at most one each: {count}");
    let users = store
        .find_meeting(&meeting_key("second"))
        .await
        .unwrap()
        .expect("a meeting")
        .meeting
        .load
        .users;
    assert_eq!(users, 1001, "no join is lost");
    let before = count_round_trips(&redis).await;
    store.find_meeting(&meeting_key("second")).await.unwrap().expect("a meeting");
    store.place_meeting(place_request("second", 2, "3")).await.unwrap();
    assert_eq!(
        count_round_trips(&redis).await - before,
        2,
        "isMeetingRunning, and a repeated create"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn replicas_place_each_meeting_once_and_spread_them_evenly() {
    let redis = Redis::start().await.expect("a Redis");
    let replicas = [(); 3].map(|()| store_at(&redis.url(), "scalelite"));
    check_even_placement(replicas.each_ref().map(|replica| replica as &dyn PoolStore)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn meetings_that_wait_are_placed_together() {
    let redis = Redis::start().await.expect("a Redis");
    let replicas = [(); 2].map(|()| Arc::new(store_at(&redis.url(), "scalelite")));
    for id in ["a", "b", "c", "d"] {
        assert!(replicas[0].add_server(enabled_server(id)).await.unwrap());
    }
    let before = count_round_trips(&redis).await;
    let mut creates = tokio::task::JoinSet::new();
    for n in 0..200 {
        let store = replicas[n % 2].clone();
        creates.spawn(async move {
            let request = place_request(&format!("m{n}"), 1, &(20_000 + n).to_string());
            store.place_meeting(request).await.unwrap()
        });
    }
    while let Some(outcome) = creates.join_next().await {
        assert!(matches!(outcome.unwrap(), PlaceOutcome::Claimed(_)));
    }
    // Each alone needs two, and more if another one was faster.
    let count = count_round_trips(&redis).await - before;
    assert!(count <= 200, "{count} round trips for 200 meetings");
    let servers = replicas[0].list_servers().await.unwrap();
    assert!(servers.iter().all(|server| server.placed_since_poll == 50), "{servers:?}");
}

#[tokio::test]
async fn an_inspection_finds_misconfiguration() {
    let level = |findings: &[app::ports::Finding], check: &str| {
        findings.iter().find(|finding| finding.check == check).map(|finding| finding.level)
    };
    let options = PrivateOptions::default().persistence(Persistence::Always);
    let redis = Redis::start_with(options).await.expect("a Redis");
    let store = store_at(&redis.url(), "scalelite");
    assert!(store.add_server(enabled_server("a")).await.unwrap());
    let findings = store.inspect().await;
    assert!(findings.iter().all(|finding| finding.level == FindingLevel::Ok), "{findings:?}");

    redis.run_command(&["CONFIG", "SET", "appendonly", "no"]).await.unwrap();
    redis.run_command(&["CONFIG", "SET", "save", ""]).await.unwrap();
    redis.run_command(&["CONFIG", "SET", "maxmemory", "100mb"]).await.unwrap();
    redis.run_command(&["CONFIG", "SET", "maxmemory-policy", "allkeys-lru"]).await.unwrap();
    let findings = store.inspect().await;
    assert_eq!(level(&findings, "redis: persistence"), Some(FindingLevel::Fail), "{findings:?}");
    assert_eq!(level(&findings, "redis: eviction"), Some(FindingLevel::Warn));
    redis.stop().await.unwrap();
    let findings = store.inspect().await;
    assert_eq!(level(&findings, "redis: reachable"), Some(FindingLevel::Fail));
}
