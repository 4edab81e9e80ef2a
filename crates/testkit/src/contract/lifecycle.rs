//! The end of claims and meetings: confirmed, released, forgotten, or not seen for long.

use app::ports::{PlaceOutcome, PoolStore, ServerChange};
use domain::poll::MeetingUpdate;
use domain::{AdminState, Meeting, MeetingLoad};

use super::fixtures::{
    CLAIM_MS, EXPECTED_USERS, NOW, failed_poll, key, open_server, place_request, place_request_at,
    server_id, successful_poll, weighted_server, with_placed, with_token,
};
use super::pool_store::TestPoolStore;
use super::{ContractCase, PoolFactory};

pub(super) fn cases() -> Vec<ContractCase<dyn PoolStore>> {
    super::cases![
        confirming_ends_the_claim,
        confirming_again_only_moves_the_time,
        confirming_ends_anybodys_claim,
        confirming_an_expired_claim_keeps_the_meeting,
        confirming_changes_only_claim_and_time,
        confirming_restores_a_forgotten_meeting,
        a_restored_meeting_does_not_take_anothers_voice_bridge,
        a_restored_meeting_may_have_no_voice_bridge,
        a_restored_meeting_adds_its_load,
        a_meeting_is_restored_to_an_offline_server_without_load,
        nothing_is_restored_to_a_disabled_server,
        nothing_is_restored_to_a_removed_server,
        confirming_does_not_move_anothers_meeting,
        releasing_undoes_a_place,
        releasing_undoes_the_joins_too,
        releasing_an_expired_claim_undoes_it,
        only_the_right_token_releases,
        a_confirmed_meeting_is_not_released,
        a_load_is_never_negative,
        releasing_on_an_unavailable_server_brings_no_load,
        forgetting_keeps_the_load,
        only_the_right_server_forgets,
        all_meetings_of_one_server_are_forgotten,
        unseen_meetings_are_forgotten,
    ]
}

async fn confirming_ends_the_claim(factory: PoolFactory<'_>) {
    let store = TestPoolStore::with(factory, &[open_server("a", 0.0)]).await;
    let claimed = store.place_new_meeting(place_request("m", &["11111"])).await.meeting;
    let later = NOW.plus_ms(700);
    store.confirm_meeting(&claimed, later).await;
    let expected = Meeting { claim: None, seen_at: later, ..claimed };
    let found = store.find_meeting(&key("m")).await.expect("a meeting");
    assert_eq!(found.meeting, expected);
    assert_eq!(found.server, with_placed(open_server("a", 15.0), 1));
    assert_eq!(store.list_meetings().await, [expected]);
}

async fn confirming_again_only_moves_the_time(factory: PoolFactory<'_>) {
    let store = TestPoolStore::with(factory, &[open_server("a", 0.0)]).await;
    let claimed = store.place_new_meeting(place_request("m", &["11111"])).await.meeting;
    for ms in [1, 1, 5000] {
        let later = NOW.plus_ms(ms);
        store.confirm_meeting(&claimed, later).await;
        let expected = Meeting { claim: None, seen_at: later, ..claimed.clone() };
        assert_eq!(store.list_meetings().await, [expected]);
        assert_eq!(store.find_load("a").await, Some(15.0));
    }
}

async fn confirming_ends_anybodys_claim(factory: PoolFactory<'_>) {
    let store = TestPoolStore::with(factory, &[open_server("a", 0.0)]).await;
    let mine = store.place_new_meeting(place_request("m", &["11111"])).await.meeting;
    let mut request = place_request_at(NOW.plus_ms(CLAIM_MS + 1), "m", &["22222"]);
    request.claim.token = "another".to_owned();
    let theirs = store.place_new_meeting(request).await.meeting;
    let later = NOW.plus_ms(CLAIM_MS + 2);
    store.confirm_meeting(&mine, later).await;
    let expected = Meeting { claim: None, seen_at: later, ..theirs };
    assert_eq!(
        store.list_meetings().await,
        [expected],
        "the stored record counts, not the one given"
    );
    assert!(!store.release_claim(&key("m"), "another").await);
}

async fn confirming_an_expired_claim_keeps_the_meeting(factory: PoolFactory<'_>) {
    let store = TestPoolStore::with(factory, &[open_server("a", 0.0)]).await;
    let claimed = store.place_new_meeting(place_request("m", &["11111"])).await.meeting;
    let late = NOW.plus_ms(10 * CLAIM_MS);
    store.confirm_meeting(&claimed, late).await;
    let placed = store.place_meeting(place_request_at(late, "m", &["22222"])).await;
    assert!(matches!(placed, PlaceOutcome::Existing(_)), "{placed:?}");
}

async fn confirming_changes_only_claim_and_time(factory: PoolFactory<'_>) {
    let store = TestPoolStore::with(factory, &[open_server("a", 0.0)]).await;
    let claimed = store.place_new_meeting(place_request("m", &["11111"])).await.meeting;
    for _ in 0..16 {
        store.record_join(&key("m"), NOW).await;
    }
    let stored = store.list_meetings().await.remove(0);
    let mut strange = claimed.clone();
    strange.voice_bridge = Some("77777".to_owned());
    strange.moderator_pw = None;
    store.confirm_meeting(&strange, NOW).await;
    assert_eq!(store.list_meetings().await, [Meeting { claim: None, ..stored }]);
    assert_eq!(store.find_load("a").await, Some(16.0));
    assert!(store.is_bridge_free("77777").await);
}

async fn confirming_restores_a_forgotten_meeting(factory: PoolFactory<'_>) {
    let store =
        TestPoolStore::with(factory, &[weighted_server("a", 0.0, 2.0), open_server("b", 500.0)])
            .await;
    let claimed = store.place_new_meeting(place_request("m", &["11111"])).await.meeting;
    assert_eq!(store.forget_unseen(NOW.plus_ms(1)).await, std::slice::from_ref(&claimed));
    let later = NOW.plus_ms(9);
    store.confirm_meeting(&claimed, later).await;
    let expected = Meeting { claim: None, seen_at: later, ..claimed };
    assert_eq!(store.list_meetings().await, std::slice::from_ref(&expected));
    // Forgetting keeps the load until the next poll, and so does restoring the record.
    assert_eq!(store.find_load("a").await, Some(60.0));
    store.confirm_meeting(&expected, later).await;
    assert_eq!(store.find_load("a").await, Some(60.0), "it is back already");
    assert!(!store.is_bridge_free("11111").await);
}

async fn a_restored_meeting_does_not_take_anothers_voice_bridge(factory: PoolFactory<'_>) {
    let store = TestPoolStore::with(factory, &[open_server("a", 0.0)]).await;
    let claimed = store.place_new_meeting(place_request("m", &["11111"])).await.meeting;
    assert!(store.forget_meeting(&key("m"), "a").await);
    let other = store.place_new_meeting(place_request("other", &["11111"])).await.meeting;
    store.confirm_meeting(&claimed, NOW).await;
    let expected = Meeting { claim: None, voice_bridge: None, ..claimed };
    assert_eq!(store.list_meetings().await, [expected, other]);
}

async fn a_restored_meeting_may_have_no_voice_bridge(factory: PoolFactory<'_>) {
    let store = TestPoolStore::with(factory, &[open_server("a", 0.0)]).await;
    for id in ["m", "n"] {
        let mut claimed = store.place_new_meeting(place_request(id, &["11111"])).await.meeting;
        assert!(store.forget_meeting(&key(id), "a").await);
        (claimed.voice_bridge, claimed.moderator_pw) = (None, None);
        store.confirm_meeting(&claimed, NOW).await;
        let expected = Meeting { claim: None, ..claimed };
        let found = store.find_meeting(&key(id)).await.expect("a meeting");
        assert_eq!(found.meeting, expected, "two without a number are no collision");
    }
}

async fn a_restored_meeting_adds_its_load(factory: PoolFactory<'_>) {
    let old = NOW.plus_ms(1_000_000);
    for (users, now, weight) in [(3, NOW, 15.0), (20, NOW, 20.0), (3, old, 3.0), (0, old, 0.0)] {
        let store = TestPoolStore::with(factory, &[open_server("a", 0.0)]).await;
        let mut meeting = store.place_new_meeting(place_request("m", &["11111"])).await.meeting;
        assert!(store.release_claim(&key("m"), "m").await);
        meeting.load = MeetingLoad { users, ..meeting.load };
        store.confirm_meeting(&meeting, now).await;
        assert_eq!(store.find_load("a").await, Some(weight), "{users} users");
        assert_eq!(store.list_meetings().await[0].load, meeting.load);
    }
}

async fn a_meeting_is_restored_to_an_offline_server_without_load(factory: PoolFactory<'_>) {
    let store = TestPoolStore::with(factory, &[open_server("a", 0.0)]).await;
    let claimed = store.place_new_meeting(place_request("m", &["11111"])).await.meeting;
    for after in 1..=2 {
        store.record_poll("a", &failed_poll(NOW.plus_ms(after))).await;
    }
    assert!(store.forget_meeting(&key("m"), "a").await);
    store.confirm_meeting(&claimed, NOW).await;
    assert_eq!(store.list_meetings_on("a").await.len(), 1);
    assert_eq!(store.find_load("a").await, None);
    // Otherwise the meeting would stay there as long as the server is offline.
    let next = store.record_poll("a", &failed_poll(NOW.plus_ms(3))).await.expect("a server");
    assert_eq!(next.outcome.meeting_updates, [(key("m"), MeetingUpdate::Detached)]);
    assert!(store.list_meetings().await[0].detached);
}

async fn nothing_is_restored_to_a_disabled_server(factory: PoolFactory<'_>) {
    let store = TestPoolStore::with(factory, &[open_server("a", 0.0)]).await;
    let claimed = store.place_new_meeting(place_request("m", &["11111"])).await.meeting;
    assert!(store.forget_meeting(&key("m"), "a").await);
    store.update_server("a", ServerChange::with_state(AdminState::Disabled)).await;
    store.confirm_meeting(&claimed, NOW).await;
    assert_eq!(store.list_meetings().await, []);
}

async fn nothing_is_restored_to_a_removed_server(factory: PoolFactory<'_>) {
    let store =
        TestPoolStore::with(factory, &[open_server("a", 0.0), open_server("b", 50.0)]).await;
    let claimed = store.place_new_meeting(place_request("m", &["11111"])).await;
    assert_eq!(claimed.server.id, server_id("a"));
    store.remove_server("a").await;
    store.confirm_meeting(&claimed.meeting, NOW).await;
    assert_eq!(store.list_meetings().await, []);
    assert_eq!(store.list_servers().await, [open_server("b", 50.0)]);
    assert!(store.is_bridge_free("11111").await);
}

async fn confirming_does_not_move_anothers_meeting(factory: PoolFactory<'_>) {
    let store = TestPoolStore::with(factory, &[open_server("a", 0.0), open_server("b", 1.0)]).await;
    let old = store.place_new_meeting(place_request("m", &["11111"])).await.meeting;
    assert!(store.forget_meeting(&key("m"), "a").await);
    let new = store
        .place_new_meeting(with_token("another", place_request("m", &["11111"])))
        .await
        .meeting;
    assert_eq!((old.server.clone(), new.server.clone()), (server_id("a"), server_id("b")));
    for claim in [old.claim.clone(), None] {
        store.confirm_meeting(&Meeting { claim, ..old.clone() }, NOW.plus_ms(5)).await;
        assert_eq!(store.list_meetings().await, std::slice::from_ref(&new), "its claim stands");
    }
    assert_eq!((store.find_load("a").await, store.find_load("b").await), (Some(15.0), Some(16.0)));
}

async fn releasing_undoes_a_place(factory: PoolFactory<'_>) {
    let before = [weighted_server("a", 12.5, 2.0), open_server("b", 100.0)];
    let store = TestPoolStore::with(factory, &before).await;
    store.place_new_meeting(place_request("m", &["11111"])).await;
    assert!(store.release_claim(&key("m"), "m").await);
    assert_eq!(store.find_meeting(&key("m")).await, None);
    assert_eq!(store.list_meetings().await, []);
    assert_eq!(store.list_servers().await, before);
    assert!(store.is_bridge_free("11111").await);
    assert!(!store.release_claim(&key("m"), "m").await, "only once");
    assert_eq!(store.list_servers().await, before);
}

async fn releasing_undoes_the_joins_too(factory: PoolFactory<'_>) {
    let store = TestPoolStore::with(factory, &[weighted_server("a", 1.0, 2.0)]).await;
    store.place_new_meeting(place_request("m", &["11111"])).await;
    for _ in 0..EXPECTED_USERS + 4 {
        store.record_join(&key("m"), NOW).await;
    }
    assert_eq!(store.find_load("a").await, Some(39.0));
    assert!(store.release_claim(&key("m"), "m").await);
    assert_eq!(store.find_load("a").await, Some(1.0));
}

async fn releasing_an_expired_claim_undoes_it(factory: PoolFactory<'_>) {
    // No other request has replaced the claim.
    let store = TestPoolStore::with(factory, &[open_server("a", 1.0)]).await;
    let mut request = place_request("m", &["11111"]);
    request.claim.until = NOW.plus_ms(-1);
    store.place_new_meeting(request).await;
    assert!(store.release_claim(&key("m"), "m").await);
    assert_eq!(store.list_servers().await, [open_server("a", 1.0)]);
    assert_eq!(store.list_meetings().await, []);
}

async fn only_the_right_token_releases(factory: PoolFactory<'_>) {
    let store = TestPoolStore::with(factory, &[open_server("a", 0.0)]).await;
    let claimed = store.place_new_meeting(place_request("m", &["11111"])).await;
    for token in ["", "M", "m ", "n", "%"] {
        assert!(!store.release_claim(&key("m"), token).await, "{token:?}");
    }
    for id in ["M", "n", ""] {
        assert!(!store.release_claim(&key(id), "m").await, "{id:?}");
    }
    assert_eq!(store.find_meeting(&key("m")).await, Some(claimed));
}

async fn a_confirmed_meeting_is_not_released(factory: PoolFactory<'_>) {
    let store = TestPoolStore::with(factory, &[open_server("a", 0.0)]).await;
    let meeting = store.place_and_confirm(place_request("m", &["11111"])).await;
    for token in ["m", ""] {
        assert!(!store.release_claim(&key("m"), token).await, "{token:?}");
    }
    assert_eq!(store.list_meetings().await, [meeting]);
    assert_eq!(store.find_load("a").await, Some(15.0));
}

async fn a_load_is_never_negative(factory: PoolFactory<'_>) {
    let store = TestPoolStore::with(factory, &[open_server("a", 2.0)]).await;
    store.place_new_meeting(place_request("m", &["11111"])).await;
    let heavier = ServerChange { load_multiplier: Some(4.0), ..ServerChange::default() };
    let updated = store.update_server("a", heavier).await.expect("a server");
    assert_eq!(updated.load, Some(17.0));
    assert!(store.release_claim(&key("m"), "m").await);
    assert_eq!(store.find_load("a").await, Some(0.0));
}

async fn releasing_on_an_unavailable_server_brings_no_load(factory: PoolFactory<'_>) {
    let store = TestPoolStore::with(factory, &[open_server("a", 0.0)]).await;
    store.place_new_meeting(place_request("m", &["11111"])).await;
    store.update_server("a", ServerChange::with_state(AdminState::Disabled)).await;
    assert!(store.release_claim(&key("m"), "m").await);
    assert_eq!(store.find_load("a").await, None);
    assert_eq!(store.list_meetings().await, []);
}

async fn forgetting_keeps_the_load(factory: PoolFactory<'_>) {
    let store = TestPoolStore::with(factory, &[open_server("a", 0.0)]).await;
    store.place_and_confirm(place_request("m", &["11111"])).await;
    store.place_new_meeting(place_request("n", &["22222"])).await;
    for id in ["m", "n"] {
        assert!(store.forget_meeting(&key(id), "a").await, "claimed or not: {id}");
        assert_eq!(store.find_meeting(&key(id)).await, None);
        assert!(!store.forget_meeting(&key(id), "a").await, "only once");
    }
    assert_eq!(store.find_load("a").await, Some(30.0), "until the next poll");
    assert!(store.is_bridge_free("11111").await && store.is_bridge_free("22222").await);
}

async fn only_the_right_server_forgets(factory: PoolFactory<'_>) {
    let store =
        TestPoolStore::with(factory, &[open_server("a", 0.0), open_server("b", 50.0)]).await;
    let meeting = store.place_and_confirm(place_request("m", &["11111"])).await;
    for (id, server) in [("m", "b"), ("m", "x"), ("m", "A"), ("M", "a"), ("n", "a")] {
        assert!(!store.forget_meeting(&key(id), server).await, "{id} on {server}");
    }
    assert_eq!(store.list_meetings().await, [meeting]);
}

async fn all_meetings_of_one_server_are_forgotten(factory: PoolFactory<'_>) {
    let store = TestPoolStore::with(factory, &[open_server("a", 0.0), open_server("b", 1.0)]).await;
    let m = store.place_and_confirm(place_request("m", &["11111"])).await;
    let n = store.place_and_confirm(place_request("n", &["22222"])).await;
    let o = store.place_new_meeting(place_request("o", &["33333"])).await.meeting;
    assert_eq!([&m, &n, &o].map(|meeting| meeting.server.0.as_str()), ["a", "b", "a"]);
    let before = store.list_servers().await;
    assert_eq!(store.forget_server_meetings("x").await, []);
    assert_eq!(store.forget_server_meetings("a").await, [m, o]);
    assert_eq!(store.forget_server_meetings("a").await, []);
    assert_eq!(store.list_meetings().await, [n]);
    assert_eq!(store.list_servers().await, before, "loads stay until the next poll");
    assert!(store.is_bridge_free("11111").await && store.is_bridge_free("33333").await);
    assert!(!store.is_bridge_free("22222").await);
}

async fn unseen_meetings_are_forgotten(factory: PoolFactory<'_>) {
    let store = TestPoolStore::with(factory, &[open_server("a", 0.0), open_server("b", 0.0)]).await;
    let mut all = Vec::new();
    for (id, at, ms) in [("m", 0, 0), ("n", 0, 9), ("o", 10, 10), ("p", 0, 20)] {
        let request = place_request_at(NOW.plus_ms(at), id, &[id]);
        let claimed = store.place_new_meeting(request).await.meeting;
        store.confirm_meeting(&claimed, NOW.plus_ms(ms)).await;
        all.push(store.find_meeting(&key(id)).await.expect("a meeting").meeting);
    }
    let claimed = store.place_new_meeting(place_request("q", &["q"])).await.meeting;
    let before = store.list_servers().await;
    assert_eq!(store.forget_unseen(NOW).await, [], "what was seen just then stays");
    let forgotten = store.forget_unseen(NOW.plus_ms(10)).await;
    assert_eq!(forgotten, [all[0].clone(), all[1].clone(), claimed]);
    assert_eq!(store.list_meetings().await, all[2..]);
    assert_eq!(store.list_servers().await, before, "loads stay until the next poll");
    assert!(store.is_bridge_free("m").await && store.is_bridge_free("q").await);
    assert!(!store.is_bridge_free("o").await);
    // A failed poll does not count as seen.
    store.record_poll("a", &failed_poll(NOW.plus_ms(90))).await;
    store.record_poll("b", &successful_poll(NOW.plus_ms(0), vec![])).await;
    assert_eq!(store.forget_unseen(NOW.plus_ms(30)).await, all[2..]);
}
