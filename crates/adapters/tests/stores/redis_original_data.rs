//! Data in Redis that this program would not have written: by the original of any year, also while
//! both are used in turn, or by hand. Invalid data must not make calls fail.

use std::time::Duration;

use adapters::entropy::SystemClock;
use adapters::redis::RedisStore;
use app::ports::{
    Clock as _, MeetingOnServer, OneTimeTokens as _, PlaceOutcome, PollReport, PoolStore,
};
use domain::poll::{PollObservation, ReportedMeeting};
use domain::{AdminState, Meeting, MeetingKey, MeetingLoad, ServerId, Timestamp};
use testkit::private::Redis;
use tokio::time::Instant;

use crate::common::polls::{POLL_POLICY, empty_observation};
use crate::common::pool::{NOW, enabled_server, meeting_key, place_request};
use crate::common::redis::{count_calls, store_options};

/// The time limit for changes that Redis makes by its clock.
const MAX_WAIT: Duration = Duration::from_secs(5);

/// Starts a Redis with servers that take meetings.
async fn with_servers(ids: &[&str]) -> (Redis, RedisStore) {
    let redis = Redis::start().await.expect("a Redis");
    let store = RedisStore::new(store_options(&redis.unix_url()));
    for id in ids {
        assert!(store.add_server(enabled_server(id)).await.expect("a response"));
    }
    (redis, store)
}

async fn run_command(redis: &Redis, command: &[&str]) -> Vec<String> {
    redis.run_command(command).await.expect("a response").texts()
}

/// Stores a meeting as the original does. Without a TTL it is kept for ever.
async fn put_original_meeting(redis: &Redis, name: &str, fields: &[&str], ttl: Option<&str>) {
    let key = format!("scalelite:meeting:{name}");
    run_command(redis, &[&["HSET", &key], fields].concat()).await;
    run_command(redis, &["SADD", "scalelite:meetings", name]).await;
    if let Some(ttl) = ttl {
        run_command(redis, &["PEXPIRE", &key, ttl]).await;
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

async fn record_poll(store: &RedisStore, id: &str, observation: &PollObservation) -> PollReport {
    let report = store.record_poll(&ServerId(id.into()), observation, &POLL_POLICY, None).await;
    report.expect("a response").expect("a server")
}

async fn place_meeting(store: &RedisStore, id: &str, token: usize) -> MeetingOnServer {
    match store
        .place_meeting(place_request(id, token, &format!("7{token:04}")))
        .await
        .expect("a response")
    {
        PlaceOutcome::Claimed(claimed) => claimed,
        other => unreachable!("{id} is new: {other:?}"),
    }
}

/// Returns the time of the clock that Redis uses, too.
fn now() -> Timestamp {
    SystemClock.now()
}

#[tokio::test]
async fn meetings_with_a_longer_ttl_or_none_are_forgotten() {
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
        let store = RedisStore::new(store_options(&redis.unix_url()));
        let started_at = Instant::now();
        let drained = loop {
            let report = record_poll(&store, &id, &empty_observation(now())).await;
            if report.outcome.drained {
                break report;
            }
            assert!(started_at.elapsed() < MAX_WAIT, "the server is never drained: {ttl:?}");
            tokio::time::sleep(Duration::from_millis(1)).await;
        };
        assert_eq!(drained.server.state, AdminState::Disabled);
        while !store.list_meetings(None).await.unwrap().is_empty() {
            assert!(started_at.elapsed() < MAX_WAIT, "the meeting is never forgotten: {ttl:?}");
            record_poll(&store, &id, &empty_observation(now())).await;
        }
    }
}

#[tokio::test]
async fn invalid_fields_of_one_server_do_not_hide_other_servers() {
    let (redis, store) = with_servers(&["a", "b"]).await;
    let invalid_fields = [
        ("load_multiplier", ""),
        ("load_multiplier", "abc"),
        ("users", ""),
        ("meetings", "3.0"),
        ("videos", "-1"),
        ("largest_meeting", "many"),
        ("state", ""),
    ];
    for (field, value) in invalid_fields {
        run_command(&redis, &["HSET", "scalelite:server:b", field, value]).await;
        let servers = store.list_servers().await.expect(field);
        assert_eq!(servers.len(), 2, "{field}={value}");
        let stats = servers[1].stats;
        let counts = (stats.users, stats.videos, stats.largest_meeting);
        assert_eq!((servers[1].load_multiplier, counts), (1.0, (0, 0, 0)), "{field}={value}");
        assert_eq!(servers[1].state, AdminState::Enabled, "{field}={value}");
    }
    assert_eq!(store.list_servers().await.unwrap()[1].stats.meetings, 3);

    // Scripts also treat an empty state as missing, and use the set of enabled servers as in 2020.
    run_command(&redis, &["SREM", "scalelite:server_enabled", "b"]).await;
    assert_eq!(store.list_servers().await.unwrap()[1].state, AdminState::Disabled);
    let mut meeting = place_meeting(&store, "M", 1).await.meeting;
    (meeting.key, meeting.server) = (meeting_key("other"), ServerId("b".into()));
    store.confirm_meeting(&meeting, NOW, &[], None).await.unwrap();
    assert_eq!(store.find_meeting(&meeting_key("other")).await.unwrap(), None, "b is disabled");
}

#[tokio::test]
async fn an_invalid_multiplier_counts_as_one() {
    let (redis, store) = with_servers(&["a"]).await;
    for (n, invalid) in ["-2", "0", "", "abc", "nan"].into_iter().enumerate() {
        run_command(&redis, &["HSET", "scalelite:server:a", "load_multiplier", invalid]).await;
        let before = store.list_servers().await.unwrap()[0].load.expect("a load");
        place_meeting(&store, &format!("m{n}"), n).await;
        let after = store.list_servers().await.unwrap().remove(0);
        assert_eq!((after.load_multiplier, after.load), (1.0, Some(before + 15.0)), "{invalid:?}");
    }
}

#[tokio::test]
async fn names_that_are_not_utf_8_are_ignored() {
    let (redis, store) = with_servers(&["a"]).await;
    place_meeting(&store, "M", 1).await;
    let script = "redis.call('HSET', 'scalelite:voice_bridges', 'caf\\233', 'M')
        return redis.call('SADD', 'scalelite:meetings', 'caf\\233')";
    run_command(&redis, &["EVAL", script, "0"]).await;
    record_poll(&store, "a", &empty_observation(NOW)).await;
    let meetings = store.list_meetings(None).await.unwrap();
    assert_eq!(
        meetings.iter().map(|meeting| &meeting.key).collect::<Vec<_>>(),
        [&meeting_key("M")]
    );
    assert_eq!(store.forget_unseen(NOW.plus_ms(1)).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_meeting_under_two_names_is_treated_as_one() {
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
    let reported =
        ReportedMeeting { id: "M".into(), created_at: now, users: 3, ..ReportedMeeting::default() };
    let observation = PollObservation { result: Ok(vec![reported]), ..empty_observation(now) };
    record_poll(&store, "a", &observation).await;
    for name in names {
        let own = format!("scalelite:own:meeting:{name}");
        assert_eq!(run_command(&redis, &["HMGET", &own, "users"]).await, ["3"], "{name:?}");
    }
    record_poll(&store, "a", &empty_observation(now.plus_ms(2000))).await;
    let report = record_poll(&store, "a", &empty_observation(now.plus_ms(2001))).await;
    let key = MeetingKey { tenant: Some("t2".into()), id: "M".into() };
    assert!(report.forgotten.iter().all(|forgotten| forgotten.key == key));
    assert_eq!(run_command(&redis, &["KEYS", "scalelite:*meeting*"]).await, [""; 0]);
}

#[tokio::test]
async fn a_meeting_that_the_original_moved_has_no_load() {
    let (redis, store) = with_servers(&["a", "b"]).await;
    let placed = place_meeting(&store, "M", 1).await.meeting;
    for _ in 0..20 {
        store.record_join(&meeting_key("M"), NOW).await.unwrap().expect("a meeting");
    }
    let before =
        store.find_meeting(&meeting_key("M")).await.unwrap().expect("a meeting").meeting.load;
    assert_eq!((before.users, before.expected_users), (20, 15));

    let other_server = if placed.server.0 == "a" { "b" } else { "a" };
    run_command(&redis, &["DEL", "scalelite:meeting:M"]).await;
    put_original_meeting(
        &redis,
        "M",
        &["server_id", other_server, "tenant_id", ""],
        Some("86400000"),
    )
    .await;
    let moved = Meeting { server: ServerId(other_server.into()), ..placed };
    store.confirm_meeting(&moved, NOW, &[], None).await.unwrap();
    let found = store.find_meeting(&meeting_key("M")).await.unwrap().expect("a meeting").meeting;
    assert_eq!((found.server, found.seen_at), (moved.server, NOW));
    let no_load = MeetingLoad { expected_users: 0, expected_until: Timestamp(0), users: 0 };
    assert_eq!(found.load, no_load, "users on the other server do not count");
}

#[tokio::test]
async fn leftovers_of_a_removed_server_are_removed() {
    let (redis, store) = with_servers(&["a", "b"]).await;
    put_original_meeting(&redis, "M", &["server_id", "a"], Some("86400000")).await;
    record_poll(&store, "a", &empty_observation(NOW)).await;
    let count_own_keys = async || run_command(&redis, &["KEYS", "scalelite:own:*:a"]).await.len();
    assert_eq!(count_own_keys().await, 2, "own:server and own:meetings_on");
    remove_original_server(&redis, "a").await;
    store.forget_unseen(Timestamp(0)).await.unwrap();
    assert_eq!(count_own_keys().await, 0);
    let order = ["ZRANGE", "scalelite:own:order:servers", "0", "-1"];
    assert_eq!(run_command(&redis, &order).await, ["b"]);

    // Its meeting does not bring it back when another replica adopts meetings.
    let replica = RedisStore::new(store_options(&redis.unix_url()));
    record_poll(&replica, "b", &empty_observation(NOW)).await;
    assert_eq!(count_own_keys().await, 0);
}

#[tokio::test]
async fn a_load_without_a_server_does_not_disable_the_cache() {
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
    // As after every poll cycle.
    store.forget_unseen(Timestamp(0)).await.unwrap();
    for set in sets {
        let members = run_command(&redis, &["ZRANGE", set, "0", "-1"]).await;
        assert!(!members.contains(&"gone".to_owned()), "{set}");
    }
    run_command(&redis, &["CONFIG", "RESETSTAT"]).await;
    let started_at = Instant::now();
    for n in 0..30 {
        place_meeting(&store, &format!("m{n}"), n).await;
    }
    // The command is called for each server that is read. All servers are read once a second.
    let count = count_calls(&redis, "sismember").await;
    let limit = SERVERS * (2 + started_at.elapsed().as_secs());
    assert!(count <= limit, "{count} in {:?}", started_at.elapsed());
}

/// Returns the keys of the original, and our own keys of meetings, both sorted.
async fn list_keys(redis: &Redis) -> (Vec<String>, Vec<String>) {
    let mut keys = run_command(redis, &["KEYS", "scalelite:*"]).await;
    keys.sort();
    let is_own = |key: &String| key.starts_with("scalelite:own:");
    let (own, original): (Vec<_>, Vec<_>) = keys.into_iter().partition(is_own);
    (original, own.into_iter().filter(|key| key.contains("own:meeting:")).collect())
}

#[tokio::test]
async fn a_detached_meeting_has_no_keys_of_the_original() {
    let (redis, store) = with_servers(&["a"]).await;
    let placed = place_meeting(&store, "M", 1).await.meeting;
    store.confirm_meeting(&placed, NOW, &[], None).await.unwrap();
    let fields = run_command(&redis, &["HGETALL", "scalelite:meeting:M"]).await;
    let before = list_keys(&redis).await;
    let failed =
        |ms| PollObservation { result: Err("x".into()), ..empty_observation(NOW.plus_ms(ms)) };
    for ms in [1, 2] {
        record_poll(&store, "a", &failed(ms)).await;
    }
    let (original, own) = list_keys(&redis).await;
    let names = ["meeting:", "meetings", "voice_bridges"];
    assert!(!original.iter().any(|key| names.iter().any(|name| key.contains(name))));
    assert_eq!(own, before.1, "it is stored in our existing key");
    let found = store.find_meeting(&meeting_key("M")).await.unwrap().expect("a meeting").meeting;
    assert_eq!(found, Meeting { claim: None, detached: true, ..placed.clone() });

    let reported =
        ReportedMeeting { id: "M".into(), created_at: NOW, ..ReportedMeeting::default() };
    let observation =
        PollObservation { result: Ok(vec![reported]), ..empty_observation(NOW.plus_ms(3)) };
    record_poll(&store, "a", &observation).await;
    assert_eq!(run_command(&redis, &["HGETALL", "scalelite:meeting:M"]).await, fields);
    assert_eq!(run_command(&redis, &["SMEMBERS", "scalelite:meetings"]).await, ["M"]);
    assert_eq!(run_command(&redis, &["HGETALL", "scalelite:voice_bridges"]).await, ["70001", "M"]);
    let script = "return { tostring(redis.call('PTTL', 'scalelite:meeting:M')) }";
    let ttl: i64 = run_command(&redis, &["EVAL", script, "0"]).await[0].parse().unwrap();
    assert!((86_000_000..=86_400_000).contains(&ttl), "{ttl}");
    assert_eq!(list_keys(&redis).await.1, before.1);
}

#[tokio::test]
async fn a_meeting_that_the_original_created_replaces_a_detached_one() {
    let (redis, store) = with_servers(&["a", "b"]).await;
    put_original_meeting(&redis, "M", &["server_id", "a", "voice_bridge", "1"], Some("86400000"))
        .await;
    let failed =
        |ms| PollObservation { result: Err("x".into()), ..empty_observation(NOW.plus_ms(ms)) };
    for ms in [1, 2] {
        record_poll(&store, "a", &failed(ms)).await;
    }
    assert!(
        store.find_meeting(&meeting_key("M")).await.unwrap().expect("a meeting").meeting.detached
    );
    for server_id in ["b", "a"] {
        put_original_meeting(
            &redis,
            "M",
            &["server_id", server_id, "voice_bridge", "2"],
            Some("86400000"),
        )
        .await;
        let found = store.list_meetings(None).await.unwrap();
        assert_eq!((found.len(), found[0].server.0.as_str()), (1, server_id));
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
async fn a_detached_meeting_is_forgotten_with_its_removed_server() {
    let (redis, store) = with_servers(&["a", "b"]).await;
    put_original_meeting(&redis, "M", &["server_id", "a"], Some("86400000")).await;
    let failed =
        |ms| PollObservation { result: Err("x".into()), ..empty_observation(NOW.plus_ms(ms)) };
    for ms in [1, 2] {
        record_poll(&store, "a", &failed(ms)).await;
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
    let format_id = domain::recording::RecordingFormatId::parse("r", "video").unwrap();
    for value in ["no JSON", "[]", "{}", r#"{"record_id":"r","format":"../x"}"#] {
        run_command(&redis, &["SET", "scalelite:protector_token_t", value]).await;
        assert!(!store.take_token("t", &format_id, NOW).await.unwrap(), "{value}");
    }
}
