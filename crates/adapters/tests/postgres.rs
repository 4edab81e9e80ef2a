//! The store in PostgreSQL: several stores on one database, and names that PostgreSQL does not take.

#![expect(clippy::expect_used, reason = "a test that cannot set up its store must fail")]

mod common;
#[path = "common/pool.rs"]
mod pool;

use std::time::Duration;

use adapters::postgres::PgStore;
use app::ports::{OneTimeTokens, PlaceOutcome, PoolStore, Recordings, ServerChange, Tenants};
use domain::{AdminState, Meeting, ServerId};
use futures_util::future::join_all;
use pool::{NOW, enabled_server, meeting_key, place_request};
use testkit::private::Postgres;

/// The state of the server that somebody who joins is sent to.
async fn joined_server_state(store: &PgStore) -> Option<AdminState> {
    store
        .record_join(&meeting_key("m"), NOW)
        .await
        .expect("a join")
        .map(|located| located.server.state)
}

/// Replicas: each has its own connections and memory, and all place at the same time.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn replicas_place_each_meeting_once_and_spread_them_evenly() {
    let server = Postgres::start().await.expect("a server");
    server.create_database("d").await.unwrap();
    let replicas: Vec<PgStore> = (0..3).map(|_| common::store(&server, "d")).collect();
    for id in ["a", "b", "c", "d", "e"] {
        assert!(replicas[0].add_server(enabled_server(id)).await.unwrap());
    }
    let calls = (0..300).map(|n| {
        let asked = place_request(&format!("m{}", n / 3), n, &(20_000 + n).to_string());
        replicas[n % 3].place_meeting(asked)
    });
    let placed: Vec<PlaceOutcome> =
        join_all(calls).await.into_iter().map(|placed| placed.unwrap()).collect();
    let won = placed.iter().filter(|placed| matches!(placed, PlaceOutcome::Claimed(_))).count();
    let known = placed.iter().filter(|placed| matches!(placed, PlaceOutcome::Existing(_))).count();
    assert_eq!((won, known), (100, 200));
    let meetings: Vec<Meeting> = replicas[1].list_meetings(None).await.unwrap();
    assert_eq!(meetings.len(), 100);
    for server in replicas[2].list_servers().await.unwrap() {
        let here = meetings.iter().filter(|one| one.server == server.id).count();
        assert_eq!((here, server.load), (20, Some(300.0)), "{}", server.id);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn joins_see_our_own_changes_at_once_and_others_within_a_second() {
    let server = Postgres::start().await.expect("a server");
    server.create_database("d").await.unwrap();
    let (one, two) = (common::store(&server, "d"), common::store(&server, "d"));
    assert!(one.add_server(enabled_server("a")).await.unwrap());
    assert!(matches!(
        one.place_meeting(place_request("m", 1, "12345")).await.unwrap(),
        PlaceOutcome::Claimed(_)
    ));
    let id = ServerId("a".into());
    for state in [AdminState::Cordoned, AdminState::Enabled].repeat(5) {
        one.update_server(&id, ServerChange::with_state(state)).await.unwrap();
        assert_eq!(joined_server_state(&one).await, Some(state));
    }
    assert_eq!(joined_server_state(&one).await, Some(AdminState::Enabled));
    two.update_server(&id, ServerChange::with_state(AdminState::Cordoned)).await.unwrap();
    let deadline = tokio::time::Instant::now() + Duration::from_millis(1_500);
    while joined_server_state(&one).await != Some(AdminState::Cordoned) {
        assert!(tokio::time::Instant::now() < deadline, "it remembers for too long");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// PostgreSQL stores no NUL within text, and its indexes no long text that does not shrink.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_that_postgres_does_not_like() {
    let server = Postgres::start().await.expect("a server");
    server.create_database("d").await.unwrap();
    let store = common::store(&server, "d");
    assert!(store.add_server(enabled_server("a")).await.unwrap());
    let nul = "a\0b";
    assert_eq!(store.find_meeting(&meeting_key(nul)).await.unwrap(), None);
    assert_eq!(store.record_join(&meeting_key(nul), NOW).await.unwrap(), None);
    assert!(
        !store.forget_meeting(&meeting_key(nul), &ServerId("a".into()), None, None).await.unwrap()
    );
    assert!(!store.release_claim(&meeting_key(nul), "t", &[]).await.unwrap());
    let refused =
        store.place_meeting(place_request(nul, 1, "12345")).await.unwrap_err().to_string();
    assert!(refused.contains("NUL"), "{refused}");
    assert_eq!(store.find_tenant(nul).await.unwrap(), None);
    assert_eq!(store.take_token(nul, NOW).await.unwrap(), None);
    assert_eq!(store.find_recording(nul).await.unwrap(), None);
    assert_eq!(store.list_recordings_after(Some(nul), 5).await.unwrap(), []);
    assert_eq!(store.list_servers().await.unwrap()[0].load, Some(0.0), "nothing was placed");
    // Digits of a generator: they do not compress.
    let mut state = 1_u64;
    let long: String = std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        char::from(b'!' + u8::try_from(state >> 33 & 63).unwrap())
    })
    .take(9_000)
    .collect();
    assert!(matches!(
        store.place_meeting(place_request(&long, 2, "12345")).await.unwrap(),
        PlaceOutcome::Claimed(_)
    ));
    assert!(store.find_meeting(&meeting_key(&long)).await.unwrap().is_some());
    assert!(store.record_join(&meeting_key(&long), NOW).await.unwrap().is_some());
}
