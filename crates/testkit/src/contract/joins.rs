//! Joins: users on the way into a meeting weigh on its server before any poll sees them.

use app::ports::ServerChange;
use domain::{AdminState, MeetingKey};

use super::store::{NOW, SEATS, Store, key, open, request, weighing};
use super::{Case, Factory};

pub(super) fn cases(factory: Factory<'_>) -> Vec<Case<'_>> {
    super::cases![factory;
        joins_within_the_reserve_add_nothing,
        joins_beyond_the_reserve_weigh,
        joins_into_an_old_meeting_weigh_at_once,
        joins_are_seen_at_once_everywhere,
        joins_into_an_unknown_meeting_are_fine,
        joins_change_nothing_else,
        joins_on_an_unavailable_server_bring_no_load,
    ]
}

async fn joins_within_the_reserve_add_nothing(factory: Factory<'_>) {
    let store = Store::with(factory, &[weighing("a", 1.0, 2.0)]).await;
    store.settle(request("m", &["11111"])).await;
    for users in 1..=SEATS {
        store.join(&key("m"), NOW).await;
        assert_eq!(store.load("a").await, Some(31.0), "{users} users");
    }
}

async fn joins_beyond_the_reserve_weigh(factory: Factory<'_>) {
    let store = Store::with(factory, &[weighing("a", 0.0, 2.5), open("b", 500.0)]).await;
    store.settle(request("m", &["11111"])).await;
    for _ in 0..SEATS {
        store.join(&key("m"), NOW).await;
    }
    for expected in [40.0, 42.5, 45.0] {
        store.join(&key("m"), NOW).await;
        assert_eq!(store.load("a").await, Some(expected));
    }
    assert_eq!(store.load("b").await, Some(500.0));
}

async fn joins_into_an_old_meeting_weigh_at_once(factory: Factory<'_>) {
    let store = Store::with(factory, &[open("a", 0.0)]).await;
    let meeting = store.settle(request("m", &["11111"])).await;
    let end = meeting.seats.reserved_until;
    store.join(&key("m"), end.plus_ms(-1)).await;
    assert_eq!(store.load("a").await, Some(15.0), "the last moment of its youth");
    store.join(&key("m"), end).await;
    assert_eq!(store.load("a").await, Some(16.0));
}

async fn joins_are_seen_at_once_everywhere(factory: Factory<'_>) {
    let store = Store::with(factory, &[open("a", 0.0), open("b", 15.5)]).await;
    store.settle(request("m", &["11111"])).await;
    for users in 1..=SEATS + 1 {
        store.join(&key("m"), NOW).await;
        let located = store.meeting(&key("m")).await.expect("a meeting");
        assert_eq!(located.meeting.seats.users, users);
    }
    let located = store.meeting(&key("m")).await.expect("a meeting");
    assert_eq!(located.server.load, Some(16.0));
    assert_eq!(store.servers().await, [open("a", 16.0), open("b", 15.5)]);
    assert_eq!(store.meetings().await[0].seats.users, 16);
    assert_eq!(store.meetings_on("a").await[0].seats.users, 16);
    store.join(&key("m"), NOW).await;
    let won = store.win(request("n", &["22222"])).await;
    assert_eq!(won.server.id.0, "b", "places are chosen by it");
    store.join(&key("m"), NOW).await;
    assert_eq!(store.forget_all("a").await[0].seats.users, 18);
}

async fn joins_into_an_unknown_meeting_are_fine(factory: Factory<'_>) {
    let store = Store::with(factory, &[open("a", 0.0)]).await;
    store.settle(request("m", &["11111"])).await;
    let before = store.meetings().await;
    let of_a_tenant = MeetingKey { tenant: Some("t".to_owned()), ..key("m") };
    for unknown in [key("M"), key("m "), key(""), of_a_tenant] {
        store.join(&unknown, NOW).await;
        assert_eq!(store.meeting(&unknown).await, None);
    }
    assert_eq!(store.meetings().await, before);
    assert!(store.forget(&key("m"), "a").await);
    store.join(&key("m"), NOW).await;
    assert_eq!(store.meetings().await, []);
    assert_eq!(store.load("a").await, Some(15.0));
}

async fn joins_change_nothing_else(factory: Factory<'_>) {
    let store = Store::with(factory, &[open("a", 0.0)]).await;
    let mut expected = store.win(request("m", &["11111"])).await.meeting;
    let other = store.settle(request("n", &["22222"])).await;
    store.join(&key("m"), NOW.plus_ms(5)).await;
    expected.seats.users = 1;
    assert_eq!(store.meetings().await, [expected, other]);
}

async fn joins_on_an_unavailable_server_bring_no_load(factory: Factory<'_>) {
    let store = Store::with(factory, &[open("a", 0.0)]).await;
    store.settle(request("m", &["11111"])).await;
    store.update("a", ServerChange::state(AdminState::Disabled)).await;
    for _ in 0..SEATS + 3 {
        store.join(&key("m"), NOW).await;
    }
    assert_eq!(store.load("a").await, None);
    assert_eq!(store.meetings().await[0].seats.users, SEATS + 3);
}
