//! Joins: users on the way into a meeting weigh on its server before any poll sees them.

use app::ports::{Located, ServerChange};
use domain::{AdminState, MeetingKey};

use super::store::{
    NOW, SEATS, Store, answer, holding, key, open, reported, request, silence, weighing,
};
use super::{Case, Factory};

pub(super) fn cases(factory: Factory<'_>) -> Vec<Case<'_>> {
    super::cases![factory;
        joins_within_the_reserve_add_nothing,
        joins_beyond_the_reserve_weigh,
        joins_into_an_old_meeting_weigh_at_once,
        joins_are_seen_at_once_everywhere,
        joins_into_an_unknown_meeting_are_fine,
        joins_change_nothing_else,
        a_join_finds_the_meeting,
        joins_count_while_the_server_accepts_them,
        joins_of_a_released_meeting_are_gone,
        joins_before_a_poll_are_overwritten_by_it,
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
    assert_eq!(store.servers().await, [holding(open("a", 16.0), 1), open("b", 15.5)]);
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

async fn a_join_finds_the_meeting(factory: Factory<'_>) {
    let store = Store::with(factory, &[open("a", 0.0), open("b", 900.0)]).await;
    assert_eq!(store.join(&key("m"), NOW).await, None);
    let won = store.win(request("m", &["11111"])).await;
    let found = store.join(&key("m"), NOW).await;
    assert_eq!(found, Some(won), "as it was before the join, and claimed or not");
    // Joins that were counted before may or may not be in the record.
    let Located { meeting, server } = store.join(&key("m"), NOW).await.expect("a meeting");
    let stored = store.meeting(&key("m")).await.expect("a meeting").meeting;
    assert_eq!((meeting.key, meeting.server), (stored.key, server.id));
    assert!(store.forget(&key("m"), "a").await);
    assert_eq!(store.join(&key("m"), NOW).await, None);
}

async fn joins_count_while_the_server_accepts_them(factory: Factory<'_>) {
    let table = [
        (AdminState::Enabled, 18, Some(18.0)),
        (AdminState::Cordoned, 18, Some(18.0)),
        (AdminState::Disabled, 0, None),
    ];
    for (state, users, load) in table {
        let store = Store::with(factory, &[open("a", 0.0)]).await;
        let meeting = store.settle(request("m", &["11111"])).await;
        store.update("a", ServerChange::state(state)).await;
        for _ in 0..18 {
            let found = store.join(&key("m"), NOW).await.expect("a meeting");
            assert_eq!((&found.meeting.key, found.server.state), (&meeting.key, state));
        }
        assert_eq!(store.meetings().await[0].seats.users, users, "{state:?}");
        assert_eq!(store.load("a").await, load, "{state:?}");
    }
    let store = Store::with(factory, &[open("a", 0.0)]).await;
    store.settle(request("m", &["11111"])).await;
    store.poll("a", &silence(NOW)).await;
    store.join(&key("m"), NOW).await;
    assert_eq!(store.meetings().await[0].seats.users, 1, "one failure takes nobody offline");
    store.poll("a", &silence(NOW)).await;
    let found = store.join(&key("m"), NOW).await.expect("it is detached");
    assert!(!found.server.online() && found.meeting.detached && !found.is_reachable());
    assert_eq!(store.meetings().await[0].seats.users, 1);
    assert_eq!(store.load("a").await, None);
}

async fn joins_of_a_released_meeting_are_gone(factory: Factory<'_>) {
    let store = Store::with(factory, &[open("a", 0.0), open("b", 900.0)]).await;
    for round in 0..3 {
        let won = store.win(request("m", &["11111"])).await;
        assert_eq!(won.meeting.seats.users, 0, "round {round}");
        for _ in 0..SEATS + 2 {
            store.join(&key("m"), NOW).await;
        }
        assert!(store.release(&key("m"), "m").await);
    }
    assert_eq!(store.servers().await, [open("a", 0.0), open("b", 900.0)]);
}

async fn joins_before_a_poll_are_overwritten_by_it(factory: Factory<'_>) {
    let store = Store::with(factory, &[open("a", 0.0)]).await;
    store.settle(request("m", &["11111"])).await;
    for users in [20, 40] {
        for _ in 0..30 {
            store.join(&key("m"), NOW).await;
        }
        let at = NOW.plus_ms(1000);
        store.poll("a", &answer(at, vec![reported("m", NOW, users)])).await;
        assert_eq!(store.meetings().await[0].seats.users, users);
        assert_eq!(store.load("a").await, Some(f64::from(users)));
    }
}
