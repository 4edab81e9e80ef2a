//! Joins: users who join add to the load of the server before a poll reports them.

use app::ports::{MeetingOnServer, PoolStore, ServerChange};
use domain::{AdminState, MeetingKey};

use super::fixtures::{
    EXPECTED_USERS, NOW, failed_poll, key, open_server, place_request, reported_meeting,
    successful_poll, weighted_server, with_placed,
};
use super::pool_store::TestPoolStore;
use super::{ContractCase, PoolFactory};

pub(super) fn cases() -> Vec<ContractCase<dyn PoolStore>> {
    super::cases![
        joins_within_the_expected_users_add_nothing,
        joins_beyond_the_expected_users_add_load,
        joins_into_an_old_meeting_add_load_at_once,
        joins_are_seen_at_once_everywhere,
        joins_into_an_unknown_meeting_are_fine,
        joins_change_nothing_else,
        a_join_finds_the_meeting,
        joins_count_while_the_server_accepts_them,
        joins_of_a_released_meeting_are_gone,
        joins_before_a_poll_are_overwritten_by_it,
    ]
}

async fn joins_within_the_expected_users_add_nothing(factory: PoolFactory<'_>) {
    let store = TestPoolStore::with(factory, &[weighted_server("a", 1.0, 2.0)]).await;
    store.place_and_confirm(place_request("m", &["11111"])).await;
    for users in 1..=EXPECTED_USERS {
        store.record_join(&key("m"), NOW).await;
        assert_eq!(store.find_load("a").await, Some(31.0), "{users} users");
    }
}

async fn joins_beyond_the_expected_users_add_load(factory: PoolFactory<'_>) {
    let store =
        TestPoolStore::with(factory, &[weighted_server("a", 0.0, 2.5), open_server("b", 500.0)])
            .await;
    store.place_and_confirm(place_request("m", &["11111"])).await;
    for _ in 0..EXPECTED_USERS {
        store.record_join(&key("m"), NOW).await;
    }
    for expected in [40.0, 42.5, 45.0] {
        store.record_join(&key("m"), NOW).await;
        assert_eq!(store.find_load("a").await, Some(expected));
    }
    assert_eq!(store.find_load("b").await, Some(500.0));
}

async fn joins_into_an_old_meeting_add_load_at_once(factory: PoolFactory<'_>) {
    let store = TestPoolStore::with(factory, &[open_server("a", 0.0)]).await;
    let meeting = store.place_and_confirm(place_request("m", &["11111"])).await;
    let end = meeting.load.expected_until;
    store.record_join(&key("m"), end.plus_ms(-1)).await;
    assert_eq!(store.find_load("a").await, Some(15.0), "the last moment of its youth");
    store.record_join(&key("m"), end).await;
    assert_eq!(store.find_load("a").await, Some(16.0));
}

async fn joins_are_seen_at_once_everywhere(factory: PoolFactory<'_>) {
    let store =
        TestPoolStore::with(factory, &[open_server("a", 0.0), open_server("b", 15.5)]).await;
    store.place_and_confirm(place_request("m", &["11111"])).await;
    for users in 1..=EXPECTED_USERS + 1 {
        store.record_join(&key("m"), NOW).await;
        let found = store.find_meeting(&key("m")).await.expect("a meeting");
        assert_eq!(found.meeting.load.users, users);
    }
    let found = store.find_meeting(&key("m")).await.expect("a meeting");
    assert_eq!(found.server.load, Some(16.0));
    assert_eq!(
        store.list_servers().await,
        [with_placed(open_server("a", 16.0), 1), open_server("b", 15.5)]
    );
    assert_eq!(store.list_meetings().await[0].load.users, 16);
    assert_eq!(store.list_meetings_on("a").await[0].load.users, 16);
    store.record_join(&key("m"), NOW).await;
    let claimed = store.place_new_meeting(place_request("n", &["22222"])).await;
    assert_eq!(claimed.server.id.0, "b", "places are chosen by it");
    store.record_join(&key("m"), NOW).await;
    assert_eq!(store.forget_server_meetings("a").await[0].load.users, 18);
}

async fn joins_into_an_unknown_meeting_are_fine(factory: PoolFactory<'_>) {
    let store = TestPoolStore::with(factory, &[open_server("a", 0.0)]).await;
    store.place_and_confirm(place_request("m", &["11111"])).await;
    let before = store.list_meetings().await;
    let of_a_tenant = MeetingKey { tenant: Some("t".to_owned()), ..key("m") };
    for unknown in [key("M"), key("m "), key(""), of_a_tenant] {
        store.record_join(&unknown, NOW).await;
        assert_eq!(store.find_meeting(&unknown).await, None);
    }
    assert_eq!(store.list_meetings().await, before);
    assert!(store.forget_meeting(&key("m"), "a").await);
    store.record_join(&key("m"), NOW).await;
    assert_eq!(store.list_meetings().await, []);
    assert_eq!(store.find_load("a").await, Some(15.0));
}

async fn joins_change_nothing_else(factory: PoolFactory<'_>) {
    let store = TestPoolStore::with(factory, &[open_server("a", 0.0)]).await;
    let mut expected = store.place_new_meeting(place_request("m", &["11111"])).await.meeting;
    let other = store.place_and_confirm(place_request("n", &["22222"])).await;
    store.record_join(&key("m"), NOW.plus_ms(5)).await;
    expected.load.users = 1;
    assert_eq!(store.list_meetings().await, [expected, other]);
}

async fn a_join_finds_the_meeting(factory: PoolFactory<'_>) {
    let store =
        TestPoolStore::with(factory, &[open_server("a", 0.0), open_server("b", 900.0)]).await;
    assert_eq!(store.record_join(&key("m"), NOW).await, None);
    let claimed = store.place_new_meeting(place_request("m", &["11111"])).await;
    let found = store.record_join(&key("m"), NOW).await;
    assert_eq!(found, Some(claimed), "as it was before the join, and claimed or not");
    // The returned record may or may not include earlier joins.
    let MeetingOnServer { meeting, server } =
        store.record_join(&key("m"), NOW).await.expect("a meeting");
    let stored = store.find_meeting(&key("m")).await.expect("a meeting").meeting;
    assert_eq!((meeting.key, meeting.server), (stored.key, server.id));
    assert!(store.forget_meeting(&key("m"), "a").await);
    assert_eq!(store.record_join(&key("m"), NOW).await, None);
}

async fn joins_count_while_the_server_accepts_them(factory: PoolFactory<'_>) {
    let table = [
        (AdminState::Enabled, 18, Some(18.0)),
        (AdminState::Cordoned, 18, Some(18.0)),
        (AdminState::Disabled, 0, None),
    ];
    for (state, users, load) in table {
        let store = TestPoolStore::with(factory, &[open_server("a", 0.0)]).await;
        let meeting = store.place_and_confirm(place_request("m", &["11111"])).await;
        store.update_server("a", ServerChange::with_state(state)).await;
        for _ in 0..18 {
            let found = store.record_join(&key("m"), NOW).await.expect("a meeting");
            assert_eq!((&found.meeting.key, found.server.state), (&meeting.key, state));
        }
        assert_eq!(store.list_meetings().await[0].load.users, users, "{state:?}");
        assert_eq!(store.find_load("a").await, load, "{state:?}");
    }
    let store = TestPoolStore::with(factory, &[open_server("a", 0.0)]).await;
    store.place_and_confirm(place_request("m", &["11111"])).await;
    store.record_poll("a", &failed_poll(NOW)).await;
    store.record_join(&key("m"), NOW).await;
    assert_eq!(store.list_meetings().await[0].load.users, 1, "one failure takes nobody offline");
    store.record_poll("a", &failed_poll(NOW)).await;
    let found = store.record_join(&key("m"), NOW).await.expect("it is detached");
    assert!(!found.server.is_online() && found.meeting.detached && !found.is_reachable());
    assert_eq!(store.list_meetings().await[0].load.users, 1);
    assert_eq!(store.find_load("a").await, None);
}

async fn joins_of_a_released_meeting_are_gone(factory: PoolFactory<'_>) {
    let store =
        TestPoolStore::with(factory, &[open_server("a", 0.0), open_server("b", 900.0)]).await;
    for round in 0..3 {
        let claimed = store.place_new_meeting(place_request("m", &["11111"])).await;
        assert_eq!(claimed.meeting.load.users, 0, "round {round}");
        for _ in 0..EXPECTED_USERS + 2 {
            store.record_join(&key("m"), NOW).await;
        }
        assert!(store.release_claim(&key("m"), "m").await);
    }
    assert_eq!(store.list_servers().await, [open_server("a", 0.0), open_server("b", 900.0)]);
}

async fn joins_before_a_poll_are_overwritten_by_it(factory: PoolFactory<'_>) {
    let store = TestPoolStore::with(factory, &[open_server("a", 0.0)]).await;
    store.place_and_confirm(place_request("m", &["11111"])).await;
    for users in [20, 40] {
        for _ in 0..30 {
            store.record_join(&key("m"), NOW).await;
        }
        let at = NOW.plus_ms(1000);
        store.record_poll("a", &successful_poll(at, vec![reported_meeting("m", NOW, users)])).await;
        assert_eq!(store.list_meetings().await[0].load.users, users);
        assert_eq!(store.find_load("a").await, Some(f64::from(users)));
    }
}
