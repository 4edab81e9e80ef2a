//! Restore: how a meeting moves in from another store.

use domain::{Claim, Course, Meeting, MeetingKey};

use super::store::{NOW, Store, key, made, open, request, server_id};
use super::{Case, Factory};

pub(super) fn cases(factory: Factory<'_>) -> Vec<Case<'_>> {
    super::cases![factory;
        a_meeting_moves_in_as_it_is,
        nothing_moves_in_where_something_is,
        a_meeting_moves_in_only_with_its_server,
        a_number_that_is_taken_is_left_behind,
        a_detached_meeting_moves_in_beside_the_one_that_has_its_number,
    ]
}

/// One that has been polled and joined, and is claimed or not.
fn moving(id: &str, claimed: bool) -> Meeting {
    let mut meeting = made(&request(id, &[]), "a", "12345");
    meeting.claim = claimed.then(|| Claim { token: "t".to_owned(), until: NOW.plus_ms(9) });
    meeting.seen_at = NOW.plus_ms(77);
    meeting.seats.users = 31;
    meeting.course = Course { peak_users: 40, busy_until: NOW.plus_ms(70) };
    meeting.missed = 1;
    meeting.reason = "because".to_owned();
    meeting
}

async fn a_meeting_moves_in_as_it_is(factory: Factory<'_>) {
    for claimed in [false, true] {
        let store = Store::with(factory, &[open("a", 40.0)]).await;
        let mut meeting = moving("m", claimed);
        meeting.key.tenant = claimed.then(|| "tenant".to_owned());
        assert!(store.restore(&meeting).await);
        assert_eq!(store.meetings().await, std::slice::from_ref(&meeting));
        assert_eq!(store.meetings_on("a").await, [meeting]);
        assert_eq!(store.load("a").await, Some(40.0), "it came with its server");
        assert!(!store.is_free("12345").await);
    }
}

async fn nothing_moves_in_where_something_is(factory: Factory<'_>) {
    let store = Store::with(factory, &[open("a", 0.0)]).await;
    let there = store.settle(request("m", &["11111"])).await;
    assert!(!store.restore(&moving("m", false)).await);
    assert_eq!(store.meetings().await, [there]);
    assert!(store.is_free("12345").await);
    let mut tenants = moving("m", false);
    tenants.key = MeetingKey { tenant: Some("t".to_owned()), ..key("m") };
    assert!(store.restore(&tenants).await, "another tenant's is another meeting");
    assert_eq!(store.meetings().await.len(), 2);
}

async fn a_meeting_moves_in_only_with_its_server(factory: Factory<'_>) {
    let store = Store::with(factory, &[open("b", 0.0)]).await;
    assert!(!store.restore(&moving("m", false)).await);
    assert_eq!(store.meetings().await, []);
    let here = Meeting { server: server_id("b"), ..moving("m", false) };
    assert!(store.restore(&here).await);
}

async fn a_number_that_is_taken_is_left_behind(factory: Factory<'_>) {
    let store = Store::with(factory, &[open("a", 0.0)]).await;
    assert!(store.restore(&moving("m", false)).await);
    let second = moving("n", false);
    assert!(store.restore(&second).await);
    let expected = Meeting { voice_bridge: None, ..second };
    assert_eq!(store.meeting(&key("n")).await.map(|located| located.meeting), Some(expected));
}

async fn a_detached_meeting_moves_in_beside_the_one_that_has_its_number(factory: Factory<'_>) {
    let store = Store::with(factory, &[open("a", 0.0)]).await;
    let detached = |id| Meeting { detached: true, ..moving(id, false) };
    let all = [detached("l"), moving("m", false), detached("n")];
    for one in &all {
        assert!(store.restore(one).await);
        assert!(!store.restore(one).await, "once");
    }
    assert_eq!(store.meetings().await, all);
    assert_eq!(store.meetings_on("a").await, all);
    assert!(!store.is_free("12345").await);
    assert!(store.forget(&key("m"), "a").await);
    assert!(store.is_free("12345").await, "those that are detached hold none");
}
