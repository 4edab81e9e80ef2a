//! Placement: how a meeting gets its server, its voice bridge and its claim.

use app::ports::{MeetingOnServer, PlaceOutcome, PlaceRequest, PoolStore, ServerChange};
use domain::placement::{PlacementRefusal, TagRequest};
use domain::{AdminState, Meeting};

use super::fixtures::{
    CLAIM_MS, NOW, expected_meeting, key, open_server, place_request, place_request_at,
    weighted_server, with_placed, with_token,
};
use super::pool_store::TestPoolStore;
use super::{ContractCase, PoolFactory};

pub(super) fn cases() -> Vec<ContractCase<dyn PoolStore>> {
    super::cases![
        a_place_is_kept_as_it_was_asked_for,
        a_place_adds_its_load,
        a_place_may_come_without_a_password_and_with_users,
        expired_expected_users_add_no_load,
        the_least_loaded_server_is_chosen,
        tags_are_obeyed,
        the_first_free_voice_bridge_is_taken,
        an_existing_meeting_does_not_change,
        a_meeting_of_an_unavailable_server_exists,
        closed_servers_are_refused,
        refusals_change_nothing,
        without_a_voice_bridge_nothing_is_stored,
        a_claim_is_valid_until_its_last_moment,
        an_expired_claim_is_replaced,
        an_expired_claim_is_undone_even_if_there_is_no_place,
        meetings_are_listed_by_server,
    ]
}

/// The meeting without the reason for its placement, whose text is not specified.
fn without_reason(meeting: &Meeting) -> Meeting {
    assert!(!meeting.placement_reason.is_empty(), "{meeting:?}");
    Meeting { placement_reason: String::new(), ..meeting.clone() }
}

fn tagged_request(id: &str, tag: &str) -> PlaceRequest {
    let mut request = place_request(id, &[id]);
    request.criteria.tags = TagRequest::parse(tag);
    request
}

async fn a_place_is_kept_as_it_was_asked_for(factory: PoolFactory<'_>) {
    let store = TestPoolStore::with(factory, &[open_server("a", 0.0)]).await;
    let mut request = place_request("m", &["0123456789"]);
    request.moderator_pw = Some("p'ä\"ss \\ 💥 ".to_owned());
    request.claim.token = "t'ö\"k ".to_owned();
    request.now = NOW.plus_ms(-3);
    let claimed = store.place_new_meeting(request.clone()).await;
    assert_eq!(without_reason(&claimed.meeting), expected_meeting(&request, "a", "0123456789"));
    assert_eq!(store.find_meeting(&request.key).await, Some(claimed.clone()));
    assert_eq!(store.list_meetings().await, [claimed.meeting]);
    assert_eq!(store.list_servers().await, [claimed.server]);
}

async fn a_place_adds_its_load(factory: PoolFactory<'_>) {
    let store =
        TestPoolStore::with(factory, &[weighted_server("a", 4.0, 2.5), open_server("b", 1000.0)])
            .await;
    let claimed = store.place_new_meeting(place_request("m", &["11111"])).await;
    assert_eq!(claimed.server, with_placed(weighted_server("a", 41.5, 2.5), 1));
    assert_eq!(store.find_load("a").await, Some(41.5));
    let claimed = store.place_new_meeting(place_request("n", &["22222"])).await;
    assert_eq!(claimed.server.load, Some(79.0));
    assert_eq!(
        store.list_servers().await,
        [with_placed(weighted_server("a", 79.0, 2.5), 2), open_server("b", 1000.0)]
    );
}

async fn a_place_may_come_without_a_password_and_with_users(factory: PoolFactory<'_>) {
    let store = TestPoolStore::with(factory, &[open_server("a", 0.0)]).await;
    let mut request = place_request("m", &["11111"]);
    request.moderator_pw = None;
    request.load.users = 40;
    let claimed = store.place_new_meeting(request.clone()).await;
    assert_eq!(without_reason(&claimed.meeting), expected_meeting(&request, "a", "11111"));
    assert_eq!(store.find_load("a").await, Some(40.0), "more than what is reserved");
}

async fn expired_expected_users_add_no_load(factory: PoolFactory<'_>) {
    let store = TestPoolStore::with(factory, &[open_server("a", 1.0)]).await;
    let mut request = place_request("m", &["11111"]);
    request.load.expected_until = request.now;
    assert_eq!(store.place_new_meeting(request.clone()).await.server.load, Some(1.0));
    assert!(store.release_claim(&request.key, "m").await);
    assert_eq!(store.find_load("a").await, Some(1.0));
}

async fn the_least_loaded_server_is_chosen(factory: PoolFactory<'_>) {
    let all =
        [weighted_server("weak", 0.0, 3.0), open_server("busy", 41.0), open_server("strong", 20.0)];
    let store = TestPoolStore::with(factory, &all).await;
    let mut chosen = Vec::new();
    for id in ["11111", "22222", "33333", "44444"] {
        chosen.push(store.place_new_meeting(place_request(id, &[id])).await.server.id.0);
    }
    // Loads with the meeting: 45, 56, 35; then 45, 56, 50; then 90, 56, 50; then 90, 56, 65.
    assert_eq!(chosen, ["strong", "weak", "strong", "busy"]);
}

async fn tags_are_obeyed(factory: PoolFactory<'_>) {
    let mut all = [open_server("plain", 60.0), open_server("red", 30.0), open_server("rosé", 0.0)];
    all[1].tag = Some("red".to_owned());
    all[2].tag = Some("rosé".to_owned());
    let store = TestPoolStore::with(factory, &all).await;
    let table = [
        ("11111", "", "plain"),
        ("22222", "red", "red"),
        ("33333", "rosé!", "rosé"),
        ("44444", "green", "plain"),
        ("55555", "red;none", "red"),
    ];
    for (id, tag, expected) in table {
        let claimed = store.place_new_meeting(tagged_request(id, tag)).await;
        assert_eq!(claimed.server.id.0, expected, "{tag}");
    }
}

async fn the_first_free_voice_bridge_is_taken(factory: PoolFactory<'_>) {
    let store = TestPoolStore::with(factory, &[open_server("a", 0.0), open_server("b", 0.0)]).await;
    let expected = ["11111", "22222", "11111", "011111", "33333"];
    let mut taken = Vec::new();
    for id in ["m", "n", "o", "p"] {
        let claimed = store.place_new_meeting(place_request(id, &expected)).await;
        taken.push(claimed.meeting.voice_bridge.expect("a number"));
    }
    assert_eq!(taken, ["11111", "22222", "011111", "33333"]);
    assert!(store.release_claim(&key("n"), "n").await);
    let claimed = store.place_new_meeting(place_request("q", &expected)).await;
    assert_eq!(claimed.meeting.voice_bridge.as_deref(), Some("22222"), "it was freed");
}

async fn an_existing_meeting_does_not_change(factory: PoolFactory<'_>) {
    let store = TestPoolStore::with(factory, &[open_server("a", 5.0), open_server("b", 6.0)]).await;
    let claimed = store.place_new_meeting(place_request("m", &["11111"])).await;
    let mut again = place_request("m", &["22222"]);
    again.moderator_pw = Some("another".to_owned());
    again.claim.token = "another".to_owned();
    again.load.expected_users = 99;
    again.now = NOW.plus_ms(1000);
    assert_eq!(store.place_meeting(again.clone()).await, PlaceOutcome::Existing(claimed.clone()));
    store.confirm_meeting(&claimed.meeting, NOW).await;
    again.now = NOW.plus_ms(100 * CLAIM_MS);
    let confirmed = store.find_meeting(&again.key).await.expect("a meeting");
    assert_eq!(confirmed.meeting.claim, None);
    assert_eq!(store.place_meeting(again).await, PlaceOutcome::Existing(confirmed.clone()));
    assert_eq!(store.list_meetings().await, [confirmed.meeting]);
    assert_eq!(
        store.list_servers().await,
        [with_placed(open_server("a", 20.0), 1), open_server("b", 6.0)]
    );
    assert!(store.is_bridge_free("22222").await);
}

async fn a_meeting_of_an_unavailable_server_exists(factory: PoolFactory<'_>) {
    for state in [AdminState::Cordoned, AdminState::Disabled] {
        let store =
            TestPoolStore::with(factory, &[open_server("a", 0.0), open_server("b", 50.0)]).await;
        store.place_and_confirm(place_request("m", &["11111"])).await;
        store.update_server("a", ServerChange::with_state(state)).await;
        let placed = store.place_meeting(place_request("m", &["22222"])).await;
        let known = store.find_meeting(&key("m")).await.expect("a meeting");
        assert_eq!(known.server.state, state);
        assert_eq!(placed, PlaceOutcome::Existing(known), "{state:?}");
    }
}

async fn closed_servers_are_refused(factory: PoolFactory<'_>) {
    let mut all = [
        open_server("disabled", 0.0),
        open_server("cordoned", 0.0),
        open_server("offline", 0.0),
        open_server("new", 0.0),
    ];
    all[0].set_state(AdminState::Disabled);
    all[1].set_state(AdminState::Cordoned);
    all[2].health.online = false;
    all[3].load = None;
    let store = TestPoolStore::with(factory, &all).await;
    let refused = PlaceOutcome::Refused(PlacementRefusal::NoServer);
    assert_eq!(store.place_meeting(place_request("m", &["11111"])).await, refused);
    let empty = TestPoolStore::new(factory).await;
    assert_eq!(empty.place_meeting(place_request("m", &["11111"])).await, refused);
}

async fn refusals_change_nothing(factory: PoolFactory<'_>) {
    let mut only = open_server("a", 3.0);
    only.tag = Some("red".to_owned());
    let store = TestPoolStore::with(factory, &[only.clone()]).await;
    let table = [
        ("", PlacementRefusal::NoServer),
        ("green", PlacementRefusal::NoServer),
        ("green;'blau'!", PlacementRefusal::TagUnavailable("green;'blau'".to_owned())),
    ];
    for (tag, refusal) in table {
        let placed = store.place_meeting(tagged_request("11111", tag)).await;
        assert_eq!(placed, PlaceOutcome::Refused(refusal), "{tag}");
    }
    assert_eq!(store.list_meetings().await, []);
    assert_eq!(store.list_servers().await, [only]);
    let claimed = store.place_new_meeting(tagged_request("11111", "red!")).await;
    assert_eq!(claimed.meeting.voice_bridge.as_deref(), Some("11111"));
}

async fn without_a_voice_bridge_nothing_is_stored(factory: PoolFactory<'_>) {
    let store =
        TestPoolStore::with(factory, &[open_server("a", 0.0), open_server("b", 50.0)]).await;
    store.place_new_meeting(place_request("m", &["11111"])).await;
    store.place_and_confirm(place_request("n", &["22222"])).await;
    let before = (store.list_servers().await, store.list_meetings().await);
    for numbers in [&["11111", "22222", "11111"][..], &[]] {
        let placed = store.place_meeting(place_request("o", numbers)).await;
        assert_eq!(placed, PlaceOutcome::NoVoiceBridge);
        assert_eq!((store.list_servers().await, store.list_meetings().await), before);
        assert_eq!(store.find_meeting(&key("o")).await, None);
    }
    store.place_new_meeting(place_request("o", &["11111", "33333"])).await;
}

async fn a_claim_is_valid_until_its_last_moment(factory: PoolFactory<'_>) {
    let store = TestPoolStore::with(factory, &[open_server("a", 0.0)]).await;
    let claimed = store.place_new_meeting(place_request("m", &["11111"])).await;
    let until = NOW.plus_ms(CLAIM_MS);
    let same =
        store.place_meeting(with_token("another", place_request_at(until, "m", &["22222"]))).await;
    assert_eq!(same, PlaceOutcome::Existing(claimed));
    store
        .place_new_meeting(with_token(
            "another",
            place_request_at(until.plus_ms(1), "m", &["22222"]),
        ))
        .await;
}

async fn an_expired_claim_is_replaced(factory: PoolFactory<'_>) {
    let store =
        TestPoolStore::with(factory, &[weighted_server("a", 7.0, 2.0), open_server("b", 30.0)])
            .await;
    let old = store.place_new_meeting(place_request("m", &["11111"])).await;
    assert_eq!((old.server.id.0.as_str(), old.server.load), ("a", Some(37.0)));
    for _ in 0..20 {
        store.record_join(&key("m"), NOW).await;
    }
    assert_eq!(store.find_load("a").await, Some(47.0));
    store
        .update_server("b", ServerChange { load_multiplier: Some(0.5), ..ServerChange::default() })
        .await;
    // Without the expired claim the first server's load is 7: 37 with the meeting, and 37.5 on the
    // other one.
    let mut request = place_request_at(NOW.plus_ms(CLAIM_MS + 1), "m", &["11111", "22222"]);
    request.claim.token = "another".to_owned();
    let new = store.place_new_meeting(request.clone()).await;
    let expected = expected_meeting(&request, "a", "11111");
    assert_eq!(without_reason(&new.meeting), expected, "its number is free again, too");
    assert_eq!(new.server.load, Some(37.0));
    assert_eq!(store.find_load("b").await, Some(30.0));
    assert!(!store.release_claim(&request.key, "m").await, "the old claim is over");
    assert_eq!(store.list_meetings().await, [new.meeting]);
}

async fn an_expired_claim_is_undone_even_if_there_is_no_place(factory: PoolFactory<'_>) {
    let later = NOW.plus_ms(CLAIM_MS + 1);
    let store = TestPoolStore::with(factory, &[open_server("a", 1.0)]).await;
    store.place_new_meeting(place_request("m", &["11111"])).await;
    let placed =
        store.place_meeting(with_token("another", place_request_at(later, "m", &[]))).await;
    assert_eq!(placed, PlaceOutcome::NoVoiceBridge);
    assert_eq!(store.list_meetings().await, []);
    assert_eq!(store.find_load("a").await, Some(1.0));

    store.place_new_meeting(place_request("n", &["11111"])).await;
    store.update_server("a", ServerChange::with_state(AdminState::Cordoned)).await;
    let placed =
        store.place_meeting(with_token("another", place_request_at(later, "n", &["22222"]))).await;
    assert_eq!(placed, PlaceOutcome::Refused(PlacementRefusal::NoServer));
    assert_eq!(store.list_meetings().await, []);
    assert_eq!(store.find_load("a").await, Some(1.0));
}

async fn meetings_are_listed_by_server(factory: PoolFactory<'_>) {
    let store = TestPoolStore::with(
        factory,
        &[open_server("a", 0.0), open_server("b", 1.0), open_server("c", 500.0)],
    )
    .await;
    let mut all = Vec::new();
    for id in ["11111", "22222", "33333", "44444"] {
        let MeetingOnServer { meeting, .. } =
            store.place_new_meeting(place_request(id, &[id])).await;
        all.push(meeting);
    }
    assert_eq!(store.list_meetings().await, all);
    for (server, count) in [("a", 2), ("b", 2), ("c", 0), ("x", 0)] {
        let here = store.list_meetings_on(server).await;
        let expected = all.iter().filter(|meeting| meeting.server.0 == server);
        assert_eq!(here, expected.cloned().collect::<Vec<_>>(), "{server}");
        assert_eq!(here.len(), count, "{server}");
    }
}
