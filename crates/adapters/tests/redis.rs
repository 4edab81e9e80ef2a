//! The store in Redis: round trips of calls, replicas, and findings about the configuration of the server.

#[path = "common/redis.rs"]
mod common;

use adapters::redis::RedisStore;
use adapters::redis::address::RedisOptions;
use app::ports::{FindingLevel, Inspect, PlaceOutcome, PoolStore};
use futures_util::future::join_all;
use testkit::private::{Persistence, Redis, RedisOptions as PrivateOptions};

use common::pool::meeting_key;
use common::{NOW, count_calls, enabled_server, options, place_request};

fn store_at(url: &str, namespace: &str) -> RedisStore {
    RedisStore::new(RedisOptions { namespace: namespace.to_owned(), ..options(url) })
}

/// A command is a round trip. What a script does inside Redis is counted as commands, too, so it is
/// the calls of scripts that count.
async fn count_round_trips(redis: &Redis) -> u64 {
    // But for the first three, whatever is never called from a script.
    let mut sum = 0;
    for name in ["evalsha", "eval", "script|load", "multi", "exec", "watch"] {
        sum += count_calls(redis, name).await;
    }
    sum
}

#[tokio::test]
async fn a_join_costs_one_round_trip_and_a_create_three() {
    let redis = Redis::start().await.expect("a Redis");
    let store = store_at(&redis.url(), "scalelite");
    for id in ["a", "b", "c"] {
        assert!(store.add_server(enabled_server(id)).await.unwrap());
    }
    let create = async |id: &str, number: &str| {
        let PlaceOutcome::Claimed(won) =
            store.place_meeting(place_request(id, 1, number)).await.unwrap()
        else {
            unreachable!("{id} is new");
        };
        store.confirm_meeting(&won.meeting, NOW, &[]).await.unwrap();
    };
    // The first of each loads its script; servers are read once a second.
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
    let spent = count_round_trips(&redis).await - before - 1;
    assert!((5..=10).contains(&spent), "one to find each, and some to count them: {spent}");
    let before = count_round_trips(&redis).await;
    for _ in 0..1000 {
        store.record_join(&meeting_key("second"), NOW).await.unwrap().expect("a meeting");
    }
    store.check_store().await.unwrap();
    let spent = count_round_trips(&redis).await - before;
    assert!(spent <= 1000, "at most one each: {spent}");
    let users = store
        .find_meeting(&meeting_key("second"))
        .await
        .unwrap()
        .expect("a meeting")
        .meeting
        .load
        .users;
    assert_eq!(users, 1001, "and none is lost");
    let before = count_round_trips(&redis).await;
    store.find_meeting(&meeting_key("second")).await.unwrap().expect("a meeting");
    store.place_meeting(place_request("second", 2, "3")).await.unwrap();
    assert_eq!(count_round_trips(&redis).await - before, 2, "isMeetingRunning, and a create again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn replicas_place_each_meeting_once_and_spread_them_evenly() {
    let redis = Redis::start().await.expect("a Redis");
    let replicas: Vec<_> = (0..3).map(|_| store_at(&redis.url(), "scalelite")).collect();
    for id in ["a", "b", "c", "d", "e"] {
        assert!(replicas[0].add_server(enabled_server(id)).await.unwrap());
    }
    let calls = (0..300).map(|n| {
        let asked = place_request(&format!("m{}", n / 3), n, &(20_000 + n).to_string());
        replicas[n % 3].place_meeting(asked)
    });
    let placed: Vec<PlaceOutcome> = join_all(calls).await.into_iter().map(Result::unwrap).collect();
    let won = placed.iter().filter(|placed| matches!(placed, PlaceOutcome::Claimed(_))).count();
    let known = placed.iter().filter(|placed| matches!(placed, PlaceOutcome::Existing(_))).count();
    assert_eq!((won, known), (100, 200));
    let meetings = replicas[1].list_meetings(None).await.unwrap();
    assert_eq!(meetings.len(), 100);
    for server in replicas[2].list_servers().await.unwrap() {
        let here = meetings.iter().filter(|one| one.server == server.id).count();
        assert_eq!((here, server.load), (20, Some(300.0)), "{}", server.id);
    }
}

#[tokio::test]
async fn an_inspection_finds_what_is_wrong() {
    let level = |findings: &[app::ports::Finding], check: &str| {
        findings.iter().find(|one| one.check == check).map(|one| one.level)
    };
    let options = PrivateOptions::default().persistence(Persistence::Always);
    let redis = Redis::start_with(options).await.expect("a Redis");
    let store = store_at(&redis.url(), "scalelite");
    assert!(store.add_server(enabled_server("a")).await.unwrap());
    let found = store.inspect().await;
    assert!(found.iter().all(|one| one.level == FindingLevel::Ok), "{found:?}");

    redis.run_command(&["CONFIG", "SET", "appendonly", "no"]).await.unwrap();
    redis.run_command(&["CONFIG", "SET", "save", ""]).await.unwrap();
    redis.run_command(&["CONFIG", "SET", "maxmemory", "100mb"]).await.unwrap();
    redis.run_command(&["CONFIG", "SET", "maxmemory-policy", "allkeys-lru"]).await.unwrap();
    let found = store.inspect().await;
    assert_eq!(level(&found, "redis: persistence"), Some(FindingLevel::Fail), "{found:?}");
    assert_eq!(level(&found, "redis: eviction"), Some(FindingLevel::Warn));
    redis.stop().await.unwrap();
    let found = store.inspect().await;
    assert_eq!(level(&found, "redis: reachable"), Some(FindingLevel::Fail));
}
