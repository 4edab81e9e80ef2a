//! The store in PostgreSQL: several stores on one database, and names that PostgreSQL does not take.

use std::time::Duration;

use adapters::postgres::PgStore;
use app::ports::{OneTimeTokens, PlaceOutcome, PoolStore, Recordings, ServerChange, Tenants};
use domain::{AdminState, ServerId};
use testkit::private::Postgres;

use crate::common::pool::{NOW, check_even_placement, enabled_server, meeting_key, place_request};
use crate::common::postgres::open_store;

/// Joins a meeting; returns the state of its server.
async fn joined_server_state(store: &PgStore) -> Option<AdminState> {
    store.record_join(&meeting_key("m"), NOW).await.expect("a join").map(|found| found.server.state)
}

/// Replicas have their own connections and caches, and place meetings at the same time.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn replicas_place_each_meeting_once_and_spread_them_evenly() {
    let server = Postgres::start().await.expect("a server");
    server.create_database("d").await.unwrap();
    let replicas = [(); 3].map(|()| open_store(&server, "d"));
    check_even_placement(replicas.each_ref().map(|replica| replica as &dyn PoolStore)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn joins_see_own_changes_at_once_and_others_within_a_second() {
    let server = Postgres::start().await.expect("a server");
    server.create_database("d").await.unwrap();
    let (first, second) = (open_store(&server, "d"), open_store(&server, "d"));
    assert!(first.add_server(enabled_server("a")).await.unwrap());
    assert!(matches!(
        first.place_meeting(place_request("m", 1, "12345")).await.unwrap(),
        PlaceOutcome::Claimed(_)
    ));
    let id = ServerId("a".into());
    for state in [AdminState::Cordoned, AdminState::Enabled].repeat(5) {
        first.update_server(&id, ServerChange::with_state(state)).await.unwrap();
        assert_eq!(joined_server_state(&first).await, Some(state));
    }
    assert_eq!(joined_server_state(&first).await, Some(AdminState::Enabled));
    second.update_server(&id, ServerChange::with_state(AdminState::Cordoned)).await.unwrap();
    let deadline = tokio::time::Instant::now() + Duration::from_millis(1_500);
    while joined_server_state(&first).await != Some(AdminState::Cordoned) {
        assert!(tokio::time::Instant::now() < deadline, "the cached meeting is used for too long");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// PostgreSQL does not store NUL in text, nor long incompressible text in indexes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_with_nul_and_long_names_work() {
    let server = Postgres::start().await.expect("a server");
    server.create_database("d").await.unwrap();
    let store = open_store(&server, "d");
    assert!(store.add_server(enabled_server("a")).await.unwrap());
    let name = "a\0b";
    assert_eq!(store.find_meeting(&meeting_key(name)).await.unwrap(), None);
    assert_eq!(store.record_join(&meeting_key(name), NOW).await.unwrap(), None);
    assert!(
        !store.forget_meeting(&meeting_key(name), &ServerId("a".into()), None, None).await.unwrap()
    );
    assert!(!store.release_claim(&meeting_key(name), "t", &[]).await.unwrap());
    let error = store.place_meeting(place_request(name, 1, "12345")).await.unwrap_err().to_string();
    assert!(error.contains("NUL"), "{error}");
    assert_eq!(store.find_tenant(name).await.unwrap(), None);
    let format_id = domain::recording::RecordingFormatId::parse("r", "video").unwrap();
    assert!(!store.take_token(name, &format_id, NOW).await.unwrap());
    assert_eq!(store.find_recording(name).await.unwrap(), None);
    assert_eq!(store.list_recordings_after(Some(name), 5).await.unwrap(), []);
    assert_eq!(store.list_servers().await.unwrap()[0].load, Some(0.0), "nothing was placed");
    // Pseudorandom characters, which cannot be compressed.
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
