//! Pending ends, which are meetings that must be ended on a server; and meetings that are adopted
//! from a server.

use domain::poll::{PendingEnd, ReportedMeeting};
use domain::{AdminState, Meeting, MeetingKey, MeetingOrigin, Timestamp};

use app::ports::{PlaceOutcome, PoolStore, ServerChange};

use super::fixtures::{
    NOW, failed_poll, key, open_server, own_meeting, pending_end, place_request, reported_meeting,
    server_id, successful_poll, with_token,
};
use super::pool_store::TestPoolStore;
use super::{ContractCase, PoolFactory};

pub(super) fn cases() -> Vec<ContractCase<dyn PoolStore>> {
    super::cases![
        pending_ends_come_back_whole_and_in_order,
        a_pending_end_is_stored_once,
        a_pending_end_that_names_the_meeting_outlasts_a_create,
        pending_ends_of_creates_soon_after_each_other_are_one,
        pending_ends_of_unknown_servers_are_not_kept,
        a_place_stores_its_pending_ends_only_if_it_is_given,
        confirming_releasing_and_forgetting_store_pending_ends,
        confirming_removes_the_pending_end_on_the_server,
        a_meeting_confirmed_since_is_not_forgotten,
        a_pending_end_stays_until_the_meeting_is_confirmed,
        polls_settle_pending_ends,
        pending_ends_go_with_their_server,
        old_pending_ends_are_removed,
        a_lost_meeting_is_adopted,
        a_meeting_of_an_offline_server_moves_only_by_proof,
        the_fuller_one_of_two_duplicates_stays,
        an_adopted_meeting_does_not_take_anothers_voice_bridge,
        a_meeting_reported_twice_is_adopted_once,
        foreign_meetings_are_left_alone,
    ]
}

fn tenant_key(tenant: &str, id: &str) -> MeetingKey {
    MeetingKey { tenant: Some(tenant.to_owned()), id: id.to_owned() }
}

async fn pending_ends_come_back_whole_and_in_order(factory: PoolFactory<'_>) {
    let store = TestPoolStore::with(factory, &[open_server("z", 0.0), open_server("a", 0.0)]).await;
    let long = "lang \u{1f}\"'\\ ".repeat(500);
    let names =
        [key("M"), key("m"), key("ä"), key(&long), tenant_key("t", "m"), tenant_key("tm", "")];
    let mut all = Vec::new();
    for server in ["a", "z"] {
        for (n, name) in names.iter().enumerate() {
            let moderator_pw = (n % 2 == 0).then(|| format!("p'ä\"ss {n}"));
            let since = NOW.plus_ms(i64::try_from(n).unwrap());
            let internal_id = (n % 3 == 0).then(|| format!("i'{n}"));
            let (server, key) = (server_id(server), name.clone());
            let create_sent_at = since.plus_ms(-7);
            all.push(PendingEnd { server, key, internal_id, moderator_pw, since, create_sent_at });
        }
    }
    for pending_end in all.iter().rev() {
        assert!(!store.forget_and_end(&key("nobody"), "a", Some(pending_end)).await);
    }
    all.sort_by(|first, second| (&first.server, &first.key).cmp(&(&second.server, &second.key)));
    assert_eq!(store.list_pending_ends().await, all);
}

async fn a_pending_end_is_stored_once(factory: PoolFactory<'_>) {
    let store = TestPoolStore::with(factory, &[open_server("a", 0.0)]).await;
    let later = PendingEnd { since: NOW.plus_ms(9), moderator_pw: None, ..pending_end("a", "m") };
    for pending_end in [pending_end("a", "m"), later.clone()] {
        store.forget_and_end(&key("m"), "a", Some(&pending_end)).await;
    }
    assert_eq!(store.list_pending_ends().await, [later]);
}

async fn a_pending_end_that_names_the_meeting_outlasts_a_create(factory: PoolFactory<'_>) {
    let store = TestPoolStore::with(factory, &[open_server("a", 0.0)]).await;
    let internal_id = Some("i-1".to_owned());
    let named = PendingEnd { internal_id, create_sent_at: NOW, ..pending_end("a", "m") };
    let sent = PendingEnd { create_sent_at: NOW, ..pending_end("a", "m") };
    let requested = PendingEnd { create_sent_at: Timestamp::default(), ..pending_end("a", "m") };
    for (added, kept) in [(&named, &named), (&sent, &named), (&requested, &requested)] {
        store.forget_and_end(&key("m"), "a", Some(added)).await;
        assert_eq!(store.list_pending_ends().await, std::slice::from_ref(kept));
    }
}

async fn pending_ends_of_creates_soon_after_each_other_are_one(factory: PoolFactory<'_>) {
    let store = TestPoolStore::with(factory, &[open_server("a", 0.0)]).await;
    let sent_at = |create_ms: i64, since_ms: i64| PendingEnd {
        create_sent_at: NOW.plus_ms(create_ms),
        since: NOW.plus_ms(since_ms),
        ..pending_end("a", "m")
    };
    for (added, kept) in [
        (sent_at(0, 9_000), sent_at(0, 9_000)),
        (sent_at(20_000, 29_000), sent_at(0, 29_000)),
        (sent_at(1_000, 2_000), sent_at(0, 29_000)),
        (sent_at(59_001, 69_000), sent_at(59_001, 69_000)),
    ] {
        store.forget_and_end(&key("m"), "a", Some(&added)).await;
        assert_eq!(store.list_pending_ends().await, [kept]);
    }
}

async fn pending_ends_of_unknown_servers_are_not_kept(factory: PoolFactory<'_>) {
    let store = TestPoolStore::with(factory, &[open_server("a", 0.0)]).await;
    for pending_end in [pending_end("x", "m"), pending_end("a", "m"), pending_end("A", "m")] {
        assert!(!store.forget_and_end(&key("m"), "a", Some(&pending_end)).await);
    }
    assert_eq!(store.list_pending_ends().await, [pending_end("a", "m")]);
    assert!(store.add_server(&open_server("x", 0.0)).await);
    assert_eq!(store.list_pending_ends().await.len(), 1);
}

async fn a_place_stores_its_pending_ends_only_if_it_is_given(factory: PoolFactory<'_>) {
    let store =
        TestPoolStore::with(factory, &[open_server("a", 0.0), open_server("b", 90.0)]).await;
    store.place_and_confirm(place_request("known", &["11111"])).await;
    let with = |id: &str, numbers: &[&str]| {
        let mut request = with_token("new", place_request(id, numbers));
        request.pending_ends = vec![pending_end("b", id)];
        request
    };
    assert!(matches!(store.place_meeting(with("known", &["2"])).await, PlaceOutcome::Existing(_)));
    assert_eq!(store.place_meeting(with("m", &["11111"])).await, PlaceOutcome::NoVoiceBridge);
    assert_eq!(store.list_pending_ends().await, []);
    store.place_new_meeting(with("m", &["22222"])).await;
    assert_eq!(store.list_pending_ends().await, [pending_end("b", "m")]);
}

async fn confirming_releasing_and_forgetting_store_pending_ends(factory: PoolFactory<'_>) {
    let store =
        TestPoolStore::with(factory, &[open_server("a", 0.0), open_server("b", 90.0)]).await;
    let claimed = store.place_new_meeting(place_request("m", &["11111"])).await.meeting;
    store.confirm_and_end(&claimed, NOW, &[pending_end("b", "m")]).await;
    assert!(!store.release_and_end(&key("m"), "m", &[pending_end("b", "n")]).await, "settled");
    assert!(store.forget_and_end(&key("m"), "a", Some(&pending_end("a", "m"))).await);
    store.place_new_meeting(place_request("o", &["11111"])).await;
    assert!(
        store
            .release_and_end(&key("o"), "o", &[pending_end("a", "o"), pending_end("b", "o")])
            .await
    );
    let expected =
        [("a", "m"), ("a", "o"), ("b", "m"), ("b", "o")].map(|(s, id)| pending_end(s, id));
    assert_eq!(store.list_pending_ends().await, expected);
}

async fn confirming_removes_the_pending_end_on_the_server(factory: PoolFactory<'_>) {
    let store = TestPoolStore::with(
        factory,
        &[open_server("a", 0.0), open_server("b", 90.0), open_server("c", 99.0)],
    )
    .await;
    let first = store.place_new_meeting(place_request("m", &["11111"])).await.meeting;
    assert!(store.forget_meeting(&key("m"), "a").await);
    store.update_server("a", ServerChange::with_state(AdminState::Disabled)).await;
    store.place_and_confirm(place_request("m", &["11111"])).await;
    store.forget_and_end(&key("m"), "c", Some(&pending_end("a", "m"))).await;
    // Another request has confirmed the meeting on b.
    store.confirm_and_end(&first, NOW, &[pending_end("b", "m"), pending_end("c", "m")]).await;
    assert_eq!(store.list_pending_ends().await, [pending_end("c", "m")]);
    assert_eq!(store.find_meeting(&key("m")).await.expect("a meeting").server.id.0, "b");
}

async fn a_meeting_confirmed_since_is_not_forgotten(factory: PoolFactory<'_>) {
    let store = TestPoolStore::with(factory, &[open_server("a", 0.0)]).await;
    let old = store.place_and_confirm(place_request("m", &["11111"])).await;
    store.confirm_meeting(&old, NOW.plus_ms(5)).await;
    assert!(!store.forget_old(&old, &pending_end("a", "m")).await);
    assert_eq!(store.list_pending_ends().await, []);
    let new = store.find_meeting(&key("m")).await.expect("a meeting").meeting;
    assert!(store.forget_old(&new, &pending_end("a", "m")).await);
    assert!(!store.forget_old(&new, &pending_end("a", "n")).await, "it is gone");
    assert_eq!(store.list_pending_ends().await, [pending_end("a", "m"), pending_end("a", "n")]);
}

async fn a_pending_end_stays_until_the_meeting_is_confirmed(factory: PoolFactory<'_>) {
    let store =
        TestPoolStore::with(factory, &[open_server("a", 0.0), open_server("b", 90.0)]).await;
    for pending_end in [pending_end("a", "m"), pending_end("a", "n"), pending_end("b", "m")] {
        store.forget_and_end(&pending_end.key, "a", Some(&pending_end)).await;
    }
    let mut request = place_request("m", &["11111"]);
    request.pending_ends = vec![pending_end("a", "m"), pending_end("b", "o")];
    let placed = store.place_new_meeting(request.clone()).await;
    assert_eq!(placed.server.id.0, "a");
    let all = [("a", "m"), ("a", "n"), ("b", "m"), ("b", "o")].map(|(s, id)| pending_end(s, id));
    assert_eq!(store.list_pending_ends().await, all);
    // A poll neither ends the claimed meeting nor settles its end.
    let list = vec![reported_meeting("m", NOW, 0)];
    store.record_poll("a", &successful_poll(NOW.plus_ms(900), list)).await;
    assert_eq!(store.list_pending_ends().await, all);
    assert!(store.forget_meeting(&key("m"), "a").await);
    let placed = store.place_new_meeting(request).await;
    store.confirm_meeting(&placed.meeting, NOW).await;
    assert_eq!(store.list_pending_ends().await, all[1..]);
}

async fn polls_settle_pending_ends(factory: PoolFactory<'_>) {
    let store =
        TestPoolStore::with(factory, &[open_server("a", 0.0), open_server("b", 90.0)]).await;
    for pending_end in [pending_end("a", "m"), pending_end("a", "n"), pending_end("b", "m")] {
        store.forget_and_end(&pending_end.key, "x", Some(&pending_end)).await;
    }
    let list = || vec![reported_meeting("m", NOW, 3)];
    let report = store
        .record_poll("a", &successful_poll(NOW.plus_ms(1000), list()))
        .await
        .expect("a server");
    assert_eq!(report.outcome.unwanted.len(), 1, "it is there and not wanted: {report:?}");
    assert_eq!(store.list_pending_ends().await.len(), 3, "until it is gone for long");
    let late = NOW.plus_ms(130_000);
    let report = store.record_poll("a", &successful_poll(late, list())).await.expect("a server");
    assert_eq!(report.outcome.settled_ends, [key("n")]);
    assert_eq!(store.list_pending_ends().await, [pending_end("a", "m"), pending_end("b", "m")]);
    let report =
        store.record_poll("a", &successful_poll(late.plus_ms(1), vec![])).await.expect("a server");
    assert_eq!(report.outcome.settled_ends, [key("m")]);
    assert_eq!(store.list_pending_ends().await, [pending_end("b", "m")]);
}

async fn pending_ends_go_with_their_server(factory: PoolFactory<'_>) {
    let store =
        TestPoolStore::with(factory, &[open_server("a", 0.0), open_server("b", 90.0)]).await;
    for pending_end in [pending_end("a", "m"), pending_end("b", "m")] {
        store.forget_and_end(&pending_end.key, "x", Some(&pending_end)).await;
    }
    assert!(store.remove_server("a").await.is_some());
    assert_eq!(store.list_pending_ends().await, [pending_end("b", "m")]);
    assert!(store.add_server(&open_server("a", 0.0)).await);
    assert_eq!(store.list_pending_ends().await, [pending_end("b", "m")]);
}

async fn old_pending_ends_are_removed(factory: PoolFactory<'_>) {
    let store = TestPoolStore::with(factory, &[open_server("a", 0.0)]).await;
    for (id, ms) in [("m", 0), ("n", 10)] {
        let pending_end = PendingEnd { since: NOW.plus_ms(ms), ..pending_end("a", id) };
        store.forget_and_end(&pending_end.key, "x", Some(&pending_end)).await;
    }
    store.forget_unseen(NOW).await;
    assert_eq!(store.list_pending_ends().await.len(), 2);
    store.forget_unseen(NOW.plus_ms(10)).await;
    let left: Vec<_> =
        store.list_pending_ends().await.into_iter().map(|pending_end| pending_end.key).collect();
    assert_eq!(left, [key("n")]);
}

/// A reported meeting with voice bridge and moderator password.
fn fully_reported(id: &str, users: u32) -> ReportedMeeting {
    ReportedMeeting {
        tenant: Some("t".to_owned()),
        voice_bridge: Some("11111".to_owned()),
        moderator_pw: Some("told".to_owned()),
        ..own_meeting(id, NOW.plus_ms(-70_000), users)
    }
}

async fn a_lost_meeting_is_adopted(factory: PoolFactory<'_>) {
    let store =
        TestPoolStore::with(factory, &[open_server("a", 0.0), open_server("b", 90.0)]).await;
    let report = store
        .record_poll("a", &successful_poll(NOW, vec![fully_reported("m", 7)]))
        .await
        .expect("a server");
    assert_eq!(report.outcome.adopted.len(), 1);
    assert_eq!(store.list_meetings().await, report.outcome.adopted);
    assert_eq!(store.list_meetings_on("a").await, report.outcome.adopted);
    let found = store.find_meeting(&tenant_key("t", "m")).await.expect("a meeting");
    let Meeting { voice_bridge, moderator_pw, usage, placed_at, origin, .. } = found.meeting;
    assert!(origin.is_adopted && !origin.is_proven);
    assert_eq!((voice_bridge.as_deref(), moderator_pw.as_deref()), (Some("11111"), Some("told")));
    assert_eq!((usage.peak_users, placed_at), (7, NOW.plus_ms(-70_000)));
    assert_eq!(found.server, report.server, "its load counts it already");
    assert!(!store.is_bridge_free("11111").await);
    let next = store
        .record_poll("a", &successful_poll(NOW.plus_ms(9), vec![fully_reported("m", 8)]))
        .await;
    assert_eq!(next.expect("a server").outcome.adopted, [], "it is known now");
}

/// The same with an identity of its server.
fn copy_on(server: &str, users: u32) -> ReportedMeeting {
    let internal_id = Some(format!("m-on-{server}"));
    ReportedMeeting { internal_id, ..fully_reported("m", users) }
}

/// A meeting of a tenant that this deployment made on the server a.
async fn place_own(store: &TestPoolStore) -> Meeting {
    let mut request = place_request("m", &["22222"]);
    request.key = tenant_key("t", "m");
    let placed = store.place_new_meeting(request).await.meeting;
    let origin = MeetingOrigin::proven(copy_on("a", 0).identity());
    let confirmed = Meeting { origin, ..placed };
    store.confirm_meeting(&confirmed, NOW).await;
    Meeting { claim: None, seen_at: NOW, ..confirmed }
}

/// The proof that a meeting on a server was made by a create of ours that was not answered.
fn proof_on(server: &str) -> PendingEnd {
    let (key, create_sent_at) = (tenant_key("t", "m"), NOW.plus_ms(-70_000));
    PendingEnd { key, create_sent_at, ..pending_end(server, "m") }
}

async fn a_meeting_of_an_offline_server_moves_only_by_proof(factory: PoolFactory<'_>) {
    let store =
        TestPoolStore::with(factory, &[open_server("a", 0.0), open_server("b", 90.0)]).await;
    let old = place_own(&store).await;
    for ms in [1, 2] {
        store.record_poll("a", &failed_poll(NOW.plus_ms(ms))).await;
    }
    let at = NOW.plus_ms(5000);
    let list = || vec![copy_on("b", 7)];
    let report = store.record_poll("b", &successful_poll(at, list())).await.expect("a server");
    assert_eq!((report.outcome.adopted.len(), report.outcome.foreign), (0, 1), "another's");
    store.forget_and_end(&old.key, "x", Some(&proof_on("b"))).await;
    let report = store.record_poll("b", &successful_poll(at, list())).await.expect("a server");
    assert_eq!(report.outcome.unwanted, []);
    let found = store.find_meeting(&old.key).await.expect("a meeting").meeting;
    assert_eq!((&found.server, found.detached), (&server_id("b"), false));
    assert_eq!(found.moderator_pw, old.moderator_pw, "that of our create");
    assert_eq!(found.voice_bridge.as_deref(), Some("11111"));
    assert_eq!(store.list_meetings().await, [found]);
    assert_eq!(store.list_meetings_on("a").await, []);
    // If the old server returns with the meeting as well, the one with fewer users must be ended.
    let report =
        store.record_poll("a", &successful_poll(at.plus_ms(2000), vec![copy_on("a", 1)])).await;
    assert_eq!(report.expect("a server").outcome.unwanted[0].server, server_id("a"));
}

async fn the_fuller_one_of_two_duplicates_stays(factory: PoolFactory<'_>) {
    // The number of users in b is what it says. While users are in a, that one is not ended because of it.
    for (users, joins, stays, ended) in
        [(3, 9, "a", Some("b")), (30, 0, "b", Some("a")), (30, 9, "a", None)]
    {
        let store =
            TestPoolStore::with(factory, &[open_server("a", 0.0), open_server("b", 90.0)]).await;
        let old = place_own(&store).await;
        store.forget_and_end(&old.key, "x", Some(&proof_on("b"))).await;
        for _ in 0..joins {
            store.record_join(&old.key, NOW).await;
        }
        let poll = |ms| successful_poll(NOW.plus_ms(ms), vec![copy_on("b", users)]);
        let report = store.record_poll("b", &poll(500)).await;
        assert_eq!(report.expect("a server").outcome.unwanted, [], "too early to tell");
        let report = store.record_poll("b", &poll(5000)).await;
        let outcome = report.expect("a server").outcome;
        assert_eq!(outcome.contested.len(), usize::from(ended.is_none()));
        let ends = outcome.unwanted.iter().map(|end| (&end.server, &end.internal_id));
        let expected = ended.map(|id| (server_id(id), copy_on(id, 0).internal_id));
        assert!(ends.eq(expected.iter().map(|(server, id)| (server, id))), "{outcome:?}");
        let found = store.list_meetings().await;
        assert_eq!((found.len(), &found[0].server), (1, &server_id(stays)));
        assert_eq!(store.is_bridge_free("22222").await, stays == "b");
        assert_eq!(store.is_bridge_free("11111").await, stays == "a");
    }
}

async fn an_adopted_meeting_does_not_take_anothers_voice_bridge(factory: PoolFactory<'_>) {
    let store =
        TestPoolStore::with(factory, &[open_server("a", 0.0), open_server("b", 90.0)]).await;
    let other = store.place_and_confirm(place_request("n", &["11111"])).await;
    store.record_poll("b", &successful_poll(NOW.plus_ms(5000), vec![fully_reported("m", 7)])).await;
    let found = store.list_meetings().await;
    assert_eq!(found[0], other);
    assert_eq!((found[1].key.id.as_str(), &found[1].voice_bridge), ("m", &None));
}

async fn a_meeting_reported_twice_is_adopted_once(factory: PoolFactory<'_>) {
    let store =
        TestPoolStore::with(factory, &[open_server("a", 0.0), open_server("b", 90.0)]).await;
    let other =
        ReportedMeeting { voice_bridge: Some("22222".to_owned()), ..fully_reported("m", 2) };
    store.record_poll("a", &successful_poll(NOW, vec![fully_reported("m", 7), other])).await;
    assert_eq!(store.list_meetings().await.len(), 1);
    assert!(store.is_bridge_free("11111").await && !store.is_bridge_free("22222").await);
}

async fn foreign_meetings_are_left_alone(factory: PoolFactory<'_>) {
    let store =
        TestPoolStore::with(factory, &[open_server("a", 0.0), open_server("b", 90.0)]).await;
    let foreign = || vec![reported_meeting("m", NOW, 7)];
    let report = store.record_poll("a", &successful_poll(NOW, foreign())).await.expect("a server");
    assert_eq!((report.outcome.foreign, store.list_meetings().await.len()), (1, 0));
    store.update_server("a", ServerChange::with_state(AdminState::Disabled)).await;
    store.record_poll("a", &successful_poll(NOW.plus_ms(1), vec![fully_reported("m", 7)])).await;
    assert_eq!(store.list_meetings().await, [], "nor is what a disabled server has");
}
