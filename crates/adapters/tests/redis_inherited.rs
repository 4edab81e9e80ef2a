//! Data that others left in Redis, which we would not have written: by the original of any year, in
//! turns with us, or by hand. It is read as well as may be, and stops nobody.

#![expect(clippy::expect_used, reason = "a test that cannot set up its store must fail")]

#[path = "common/redis.rs"]
mod common;
#[path = "common/polls.rs"]
mod polls;

use std::time::Duration;

use adapters::entropy::SystemClock;
use adapters::redis::RedisStore;
use app::ports::{
    Clock as _, Inspect as _, MeetingOnServer, OneTimeTokens as _, PlaceOutcome, PollReport,
    PoolStore, StoreError,
};
use domain::poll::{PollObservation, ReportedMeeting};
use domain::{AdminState, Meeting, MeetingKey, MeetingLoad, ServerId, Timestamp};
use testkit::private::Redis;
use tokio::time::Instant;

use common::pool::meeting_key;
use common::{NOW, count_calls, enabled_server, options, place_request};
use polls::{POLL_POLICY, empty_observation};

/// What Redis does by its clock must have happened by then.
const MAX_WAIT: Duration = Duration::from_secs(5);

/// A Redis where these servers take meetings.
async fn with_servers(ids: &[&str]) -> (Redis, RedisStore) {
    let redis = Redis::start().await.expect("a Redis");
    let store = RedisStore::new(options(&redis.unix_url()));
    for id in ids {
        assert!(store.add_server(enabled_server(id)).await.expect("an answer"));
    }
    (redis, store)
}

async fn run_command(redis: &Redis, command: &[&str]) -> Vec<String> {
    redis.run_command(command).await.expect("an answer").texts()
}

/// Puts a meeting as the original does; without a time it is kept for ever.
async fn put_original_meeting(redis: &Redis, name: &str, fields: &[&str], ttl: Option<&str>) {
    let stored = format!("scalelite:meeting:{name}");
    run_command(redis, &[&["HSET", &stored], fields].concat()).await;
    run_command(redis, &["SADD", "scalelite:meetings", name]).await;
    if let Some(ttl) = ttl {
        run_command(redis, &["PEXPIRE", &stored, ttl]).await;
    }
}

/// Removes a server as the original does.
async fn remove_original_server(redis: &Redis, id: &str) {
    run_command(redis, &["DEL", &format!("scalelite:server:{id}")]).await;
    for set in ["servers", "server_enabled"] {
        run_command(redis, &["SREM", &format!("scalelite:{set}"), id]).await;
    }
    run_command(redis, &["ZREM", "scalelite:server_load", id]).await;
}

async fn record_poll(store: &RedisStore, id: &str, seen: &PollObservation) -> PollReport {
    let report = store.record_poll(&ServerId(id.into()), seen, &POLL_POLICY, None).await;
    report.expect("an answer").expect("a server")
}

async fn place_meeting(store: &RedisStore, id: &str, token: usize) -> MeetingOnServer {
    match store
        .place_meeting(place_request(id, token, &format!("7{token:04}")))
        .await
        .expect("an answer")
    {
        PlaceOutcome::Claimed(located) => located,
        other => unreachable!("{id} is new: {other:?}"),
    }
}

/// By the clock that Redis has, too.
fn now() -> Timestamp {
    SystemClock.now()
}

#[tokio::test]
async fn meetings_that_are_kept_for_longer_are_forgotten_in_the_end() {
    let (redis, store) = with_servers(&[]).await;
    // The original of 2020 kept them for ever.
    for (n, ttl) in [None, Some("604800000")].into_iter().enumerate() {
        let mut server = enabled_server(&format!("s{n}"));
        server.state = AdminState::Cordoned;
        let id = server.id.0.clone();
        assert!(store.add_server(server).await.unwrap());
        put_original_meeting(
            &redis,
            &format!("m{n}"),
            &["server_id", &id, "moderator_pw", "x"],
            ttl,
        )
        .await;
        // Another replica, which has not looked for meetings of the original yet.
        let store = RedisStore::new(options(&redis.unix_url()));
        let begun = Instant::now();
        let drained = loop {
            let report = record_poll(&store, &id, &empty_observation(now())).await;
            if report.outcome.drained {
                break report;
            }
            assert!(begun.elapsed() < MAX_WAIT, "it stays for ever: {ttl:?}");
            tokio::time::sleep(Duration::from_millis(1)).await;
        };
        assert_eq!(drained.server.state, AdminState::Disabled);
        while !store.list_meetings(None).await.unwrap().is_empty() {
            assert!(begun.elapsed() < MAX_WAIT, "it is not forgotten: {ttl:?}");
            record_poll(&store, &id, &empty_observation(now())).await;
        }
    }
}

#[tokio::test]
async fn odd_fields_of_one_server_hide_no_other() {
    let (redis, store) = with_servers(&["a", "b"]).await;
    let odd = [
        ("load_multiplier", ""),
        ("load_multiplier", "abc"),
        ("users", ""),
        ("meetings", "3.0"),
        ("videos", "-1"),
        ("largest_meeting", "many"),
        ("state", ""),
    ];
    for (field, value) in odd {
        run_command(&redis, &["HSET", "scalelite:server:b", field, value]).await;
        let servers = store.list_servers().await.expect(field);
        assert_eq!(servers.len(), 2, "{field}={value}");
        let stats = servers[1].stats;
        let told = (stats.users, stats.videos, stats.largest_meeting);
        assert_eq!((servers[1].load_multiplier, told), (1.0, (0, 0, 0)), "{field}={value}");
        assert_eq!(servers[1].state, AdminState::Enabled, "{field}={value}");
    }
    assert_eq!(store.list_servers().await.unwrap()[1].stats.meetings, 3);

    // An empty state is none for scripts, too: as in 2020, the set tells.
    run_command(&redis, &["SREM", "scalelite:server_enabled", "b"]).await;
    assert_eq!(store.list_servers().await.unwrap()[1].state, AdminState::Disabled);
    let mut stray = place_meeting(&store, "M", 1).await.meeting;
    (stray.key, stray.server) = (meeting_key("stray"), ServerId("b".into()));
    store.confirm_meeting(&stray, NOW, &[]).await.unwrap();
    assert_eq!(store.find_meeting(&meeting_key("stray")).await.unwrap(), None, "b is disabled");
}

#[tokio::test]
async fn a_multiplier_that_is_none_counts_as_one() {
    let (redis, store) = with_servers(&["a"]).await;
    for (n, odd) in ["-2", "0", "", "abc", "nan"].into_iter().enumerate() {
        run_command(&redis, &["HSET", "scalelite:server:a", "load_multiplier", odd]).await;
        let before = store.list_servers().await.unwrap()[0].load.expect("a load");
        place_meeting(&store, &format!("m{n}"), n).await;
        let after = store.list_servers().await.unwrap().remove(0);
        assert_eq!((after.load_multiplier, after.load), (1.0, Some(before + 15.0)), "{odd:?}");
    }
}

#[tokio::test]
async fn names_that_are_no_text_stop_nobody() {
    let (redis, store) = with_servers(&["a"]).await;
    place_meeting(&store, "M", 1).await;
    let odd = "redis.call('HSET', 'scalelite:voice_bridges', 'caf\\233', 'M')
        return redis.call('SADD', 'scalelite:meetings', 'caf\\233')";
    run_command(&redis, &["EVAL", odd, "0"]).await;
    record_poll(&store, "a", &empty_observation(NOW)).await;
    let meetings = store.list_meetings(None).await.unwrap();
    assert_eq!(meetings.iter().map(|one| &one.key).collect::<Vec<_>>(), [&meeting_key("M")]);
    assert_eq!(store.forget_unseen(NOW.plus_ms(1)).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_meeting_under_two_names_is_seen_and_forgotten_as_one() {
    let (redis, store) = with_servers(&["a"]).await;
    let names = ["M", "\x1ft2\x1fM"];
    for name in names {
        put_original_meeting(
            &redis,
            name,
            &["server_id", "a", "tenant_id", "t2"],
            Some("80000000"),
        )
        .await;
    }
    let now = now();
    let seen =
        ReportedMeeting { id: "M".into(), created_at: now, users: 3, ..ReportedMeeting::default() };
    let observation = PollObservation { result: Ok(vec![seen]), ..empty_observation(now) };
    record_poll(&store, "a", &observation).await;
    for name in names {
        let own = format!("scalelite:own:meeting:{name}");
        assert_eq!(run_command(&redis, &["HMGET", &own, "users"]).await, ["3"], "{name:?}");
    }
    record_poll(&store, "a", &empty_observation(now.plus_ms(2000))).await;
    let report = record_poll(&store, "a", &empty_observation(now.plus_ms(2001))).await;
    let one = MeetingKey { tenant: Some("t2".into()), id: "M".into() };
    assert!(report.forgotten.iter().all(|forgotten| forgotten.key == one));
    assert_eq!(run_command(&redis, &["KEYS", "scalelite:*meeting*"]).await, [""; 0]);
}

#[tokio::test]
async fn a_meeting_that_the_original_moved_begins_anew() {
    let (redis, store) = with_servers(&["a", "b"]).await;
    let placed = place_meeting(&store, "M", 1).await.meeting;
    for _ in 0..20 {
        store.record_join(&meeting_key("M"), NOW).await.unwrap().expect("it");
    }
    let before = store.find_meeting(&meeting_key("M")).await.unwrap().expect("it").meeting.load;
    assert_eq!((before.users, before.expected_users), (20, 15));

    let other = if placed.server.0 == "a" { "b" } else { "a" };
    run_command(&redis, &["DEL", "scalelite:meeting:M"]).await;
    put_original_meeting(&redis, "M", &["server_id", other, "tenant_id", ""], Some("86400000"))
        .await;
    let moved = Meeting { server: ServerId(other.into()), ..placed };
    store.confirm_meeting(&moved, NOW, &[]).await.unwrap();
    let found = store.find_meeting(&meeting_key("M")).await.unwrap().expect("it").meeting;
    assert_eq!((found.server, found.seen_at), (moved.server, NOW));
    let nothing = MeetingLoad { expected_users: 0, expected_until: Timestamp(0), users: 0 };
    assert_eq!(found.load, nothing, "none of those who are elsewhere");
}

#[tokio::test]
async fn what_the_original_left_of_a_server_is_swept() {
    let (redis, store) = with_servers(&["a", "b"]).await;
    put_original_meeting(&redis, "M", &["server_id", "a"], Some("86400000")).await;
    record_poll(&store, "a", &empty_observation(NOW)).await;
    let left = async || run_command(&redis, &["KEYS", "scalelite:own:*:a"]).await.len();
    assert_eq!(left().await, 2, "what we keep of it, and its meetings");
    remove_original_server(&redis, "a").await;
    store.forget_unseen(Timestamp(0)).await.unwrap();
    assert_eq!(left().await, 0);
    let order = ["ZRANGE", "scalelite:own:order:servers", "0", "-1"];
    assert_eq!(run_command(&redis, &order).await, ["b"]);

    // Nor does it come back by its meeting, when another replica looks for those.
    let replica = RedisStore::new(options(&redis.unix_url()));
    record_poll(&replica, "b", &empty_observation(NOW)).await;
    assert_eq!(left().await, 0);
}

#[tokio::test]
async fn a_load_without_a_server_costs_little() {
    const SERVERS: u64 = 50;
    let (redis, store) = with_servers(&[]).await;
    for n in 0..SERVERS {
        assert!(store.add_server(enabled_server(&format!("s{n}"))).await.unwrap());
    }
    let sets = ["scalelite:server_load", "scalelite:cordoned_server_load"];
    for set in sets {
        run_command(&redis, &["ZADD", set, "0", "gone"]).await;
    }
    place_meeting(&store, "first", 99).await;
    // As after every round of polls.
    store.forget_unseen(Timestamp(0)).await.unwrap();
    for set in sets {
        let members = run_command(&redis, &["ZRANGE", set, "0", "-1"]).await;
        assert!(!members.contains(&"gone".to_owned()), "{set}");
    }
    run_command(&redis, &["CONFIG", "RESETSTAT"]).await;
    let begun = Instant::now();
    for n in 0..30 {
        place_meeting(&store, &format!("m{n}"), n).await;
    }
    // It is asked whenever a server is read: all are, once a second.
    let asked = count_calls(&redis, "sismember").await;
    let most = SERVERS * (2 + begun.elapsed().as_secs());
    assert!(asked <= most, "{asked} in {:?}", begun.elapsed());
}

/// The keys of the original, sorted, and those of ours that are about meetings.
async fn list_keys(redis: &Redis) -> (Vec<String>, Vec<String>) {
    let mut all = run_command(redis, &["KEYS", "scalelite:*"]).await;
    all.sort();
    let ours = |key: &String| key.starts_with("scalelite:own:");
    let (ours, theirs): (Vec<_>, Vec<_>) = all.into_iter().partition(ours);
    (theirs, ours.into_iter().filter(|key| key.contains("meeting")).collect())
}

#[tokio::test]
async fn a_detached_meeting_is_gone_for_the_original() {
    let (redis, store) = with_servers(&["a"]).await;
    let placed = place_meeting(&store, "M", 1).await.meeting;
    store.confirm_meeting(&placed, NOW, &[]).await.unwrap();
    let fields = run_command(&redis, &["HGETALL", "scalelite:meeting:M"]).await;
    let before = list_keys(&redis).await;
    let silent =
        |ms| PollObservation { result: Err("x".into()), ..empty_observation(NOW.plus_ms(ms)) };
    for ms in [1, 2] {
        record_poll(&store, "a", &silent(ms)).await;
    }
    let (theirs, ours) = list_keys(&redis).await;
    let about_meetings = ["meeting:", "meetings", "voice_bridges"];
    assert!(!theirs.iter().any(|key| about_meetings.iter().any(|word| key.contains(word))));
    assert_eq!(ours, before.1, "it is kept in the key that was there");
    let found = store.find_meeting(&meeting_key("M")).await.unwrap().expect("it").meeting;
    assert_eq!(found, Meeting { claim: None, detached: true, ..placed.clone() });

    let seen = ReportedMeeting { id: "M".into(), created_at: NOW, ..ReportedMeeting::default() };
    let observation =
        PollObservation { result: Ok(vec![seen]), ..empty_observation(NOW.plus_ms(3)) };
    record_poll(&store, "a", &observation).await;
    assert_eq!(run_command(&redis, &["HGETALL", "scalelite:meeting:M"]).await, fields);
    assert_eq!(run_command(&redis, &["SMEMBERS", "scalelite:meetings"]).await, ["M"]);
    assert_eq!(run_command(&redis, &["HGETALL", "scalelite:voice_bridges"]).await, ["70001", "M"]);
    let left = "return { tostring(redis.call('PTTL', 'scalelite:meeting:M')) }";
    let left: i64 = run_command(&redis, &["EVAL", left, "0"]).await[0].parse().unwrap();
    assert!((86_000_000..=86_400_000).contains(&left), "{left}");
    assert_eq!(list_keys(&redis).await.1, before.1);
}

#[tokio::test]
async fn a_meeting_that_the_original_made_anew_is_the_one() {
    let (redis, store) = with_servers(&["a", "b"]).await;
    put_original_meeting(&redis, "M", &["server_id", "a", "voice_bridge", "1"], Some("86400000"))
        .await;
    let silent =
        |ms| PollObservation { result: Err("x".into()), ..empty_observation(NOW.plus_ms(ms)) };
    for ms in [1, 2] {
        record_poll(&store, "a", &silent(ms)).await;
    }
    assert!(store.find_meeting(&meeting_key("M")).await.unwrap().expect("it").meeting.detached);
    for host in ["b", "a"] {
        put_original_meeting(
            &redis,
            "M",
            &["server_id", host, "voice_bridge", "2"],
            Some("86400000"),
        )
        .await;
        let found = store.list_meetings(None).await.unwrap();
        assert_eq!((found.len(), found[0].server.0.as_str()), (1, host));
        assert_eq!((found[0].detached, found[0].voice_bridge.as_deref()), (false, Some("2")));
    }
    store.forget_unseen(Timestamp(0)).await.unwrap();
    assert_eq!(run_command(&redis, &["KEYS", "scalelite:own:detached"]).await, [""; 0]);
    assert!(
        store.forget_meeting(&meeting_key("M"), &ServerId("a".into()), None, None).await.unwrap()
    );
    assert_eq!(store.list_meetings(None).await.unwrap(), []);
}

#[tokio::test]
async fn a_detached_meeting_goes_with_a_server_that_the_original_removed() {
    let (redis, store) = with_servers(&["a", "b"]).await;
    put_original_meeting(&redis, "M", &["server_id", "a"], Some("86400000")).await;
    let silent =
        |ms| PollObservation { result: Err("x".into()), ..empty_observation(NOW.plus_ms(ms)) };
    for ms in [1, 2] {
        record_poll(&store, "a", &silent(ms)).await;
    }
    remove_original_server(&redis, "a").await;
    assert_eq!(store.find_meeting(&meeting_key("M")).await.unwrap(), None);
    store.forget_unseen(Timestamp(0)).await.unwrap();
    assert_eq!(run_command(&redis, &["KEYS", "scalelite:*meeting*"]).await, [""; 0]);
    assert_eq!(run_command(&redis, &["KEYS", "scalelite:own:*:a"]).await, [""; 0]);
    assert_eq!(run_command(&redis, &["KEYS", "scalelite:own:detached"]).await, [""; 0]);
}

#[tokio::test]
async fn tokens_that_cannot_be_read_grant_nothing() {
    let (redis, store) = with_servers(&[]).await;
    for value in ["no JSON", "[]", "{}", r#"{"record_id":"r","format":"../x"}"#] {
        run_command(&redis, &["SET", "scalelite:protector_token_t", value]).await;
        assert_eq!(store.take_token("t", NOW).await.unwrap(), None, "{value}");
    }
}

/// Keys of ours that this program does not know.
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
        put_original_meeting(&redis, "M", &["server_id", "a"], None).await;
        let store = RedisStore::new(options(&redis.unix_url()));
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
        let mut expected =
            [own.as_str(), "scalelite:own:on:a", "scalelite:meeting:M", "scalelite:meetings"];
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
    let (redis, store) = with_servers(&["a"]).await;
    assert_eq!(run_command(&redis, &version).await, ["1"]);
    run_command(&redis, &["FLUSHALL"]).await;
    assert_eq!(store.claim_store_id("some-id").await.unwrap(), "some-id");
    assert_eq!(run_command(&redis, &version).await, ["1"]);
}
