//! Places: how a meeting comes to its server, its voice bridge and its claim.

use app::ports::{Located, PlaceRequest, Placed, ServerChange};
use domain::placement::{Refusal, TagRequest};
use domain::{AdminState, Meeting};

use super::store::{
    CLAIM_MS, NOW, Store, by, holding, key, made, open, request, request_at, weighing,
};
use super::{Case, Factory};

pub(super) fn cases(factory: Factory<'_>) -> Vec<Case<'_>> {
    super::cases![factory;
        a_place_is_kept_as_it_was_asked_for,
        a_place_adds_its_weight,
        a_place_may_come_without_a_password_and_with_users,
        seats_that_no_longer_count_weigh_nothing,
        the_least_loaded_server_is_chosen,
        tags_are_obeyed,
        the_first_free_voice_bridge_is_taken,
        a_known_meeting_stays_as_it_is,
        a_meeting_of_an_unavailable_server_is_known,
        closed_servers_are_refused,
        refusals_change_nothing,
        without_a_voice_bridge_nothing_is_left_behind,
        a_claim_stands_until_its_last_moment,
        an_expired_claim_is_replaced,
        an_expired_claim_is_undone_even_if_there_is_no_place,
        meetings_are_listed_by_server,
    ]
}

/// Apart from why it was placed there, which is for people.
fn unexplained(meeting: &Meeting) -> Meeting {
    assert!(!meeting.reason.is_empty(), "{meeting:?}");
    Meeting { reason: String::new(), ..meeting.clone() }
}

fn tagged(id: &str, tag: &str) -> PlaceRequest {
    let mut request = request(id, &[id]);
    request.ask.tags = TagRequest::parse(tag);
    request
}

async fn a_place_is_kept_as_it_was_asked_for(factory: Factory<'_>) {
    let store = Store::with(factory, &[open("a", 0.0)]).await;
    let mut asked = request("m", &["0123456789"]);
    asked.moderator_pw = Some("p'ä\"ss \\ 💥 ".to_owned());
    asked.claim.token = "t'ö\"k ".to_owned();
    asked.now = NOW.plus_ms(-3);
    let won = store.win(asked.clone()).await;
    assert_eq!(unexplained(&won.meeting), made(&asked, "a", "0123456789"));
    assert_eq!(store.meeting(&asked.key).await, Some(won.clone()));
    assert_eq!(store.meetings().await, [won.meeting]);
    assert_eq!(store.servers().await, [won.server]);
}

async fn a_place_adds_its_weight(factory: Factory<'_>) {
    let store = Store::with(factory, &[weighing("a", 4.0, 2.5), open("b", 1000.0)]).await;
    let won = store.win(request("m", &["11111"])).await;
    assert_eq!(won.server, holding(weighing("a", 41.5, 2.5), 1));
    assert_eq!(store.load("a").await, Some(41.5));
    let won = store.win(request("n", &["22222"])).await;
    assert_eq!(won.server.load, Some(79.0));
    assert_eq!(store.servers().await, [holding(weighing("a", 79.0, 2.5), 2), open("b", 1000.0)]);
}

async fn a_place_may_come_without_a_password_and_with_users(factory: Factory<'_>) {
    let store = Store::with(factory, &[open("a", 0.0)]).await;
    let mut asked = request("m", &["11111"]);
    asked.moderator_pw = None;
    asked.seats.users = 40;
    let won = store.win(asked.clone()).await;
    assert_eq!(unexplained(&won.meeting), made(&asked, "a", "11111"));
    assert_eq!(store.load("a").await, Some(40.0), "more than what is reserved");
}

async fn seats_that_no_longer_count_weigh_nothing(factory: Factory<'_>) {
    let store = Store::with(factory, &[open("a", 1.0)]).await;
    let mut asked = request("m", &["11111"]);
    asked.seats.reserved_until = asked.now;
    assert_eq!(store.win(asked.clone()).await.server.load, Some(1.0));
    assert!(store.release(&asked.key, "m").await);
    assert_eq!(store.load("a").await, Some(1.0));
}

async fn the_least_loaded_server_is_chosen(factory: Factory<'_>) {
    let all = [weighing("weak", 0.0, 3.0), open("busy", 41.0), open("strong", 20.0)];
    let store = Store::with(factory, &all).await;
    let mut chosen = Vec::new();
    for id in ["11111", "22222", "33333", "44444"] {
        chosen.push(store.win(request(id, &[id])).await.server.id.0);
    }
    // With the meeting: 45, 56, 35; then 45, 56, 50; then 90, 56, 50; then 90, 56, 65.
    assert_eq!(chosen, ["strong", "weak", "strong", "busy"]);
}

async fn tags_are_obeyed(factory: Factory<'_>) {
    let mut all = [open("plain", 60.0), open("red", 30.0), open("rosé", 0.0)];
    all[1].tag = Some("red".to_owned());
    all[2].tag = Some("rosé".to_owned());
    let store = Store::with(factory, &all).await;
    let table = [
        ("11111", "", "plain"),
        ("22222", "red", "red"),
        ("33333", "rosé!", "rosé"),
        ("44444", "green", "plain"),
        ("55555", "red;none", "red"),
    ];
    for (id, tag, expected) in table {
        let won = store.win(tagged(id, tag)).await;
        assert_eq!(won.server.id.0, expected, "{tag}");
    }
}

async fn the_first_free_voice_bridge_is_taken(factory: Factory<'_>) {
    let store = Store::with(factory, &[open("a", 0.0), open("b", 0.0)]).await;
    let wanted = ["11111", "22222", "11111", "011111", "33333"];
    let mut taken = Vec::new();
    for id in ["m", "n", "o", "p"] {
        let won = store.win(request(id, &wanted)).await;
        taken.push(won.meeting.voice_bridge.expect("a number"));
    }
    assert_eq!(taken, ["11111", "22222", "011111", "33333"]);
    assert!(store.release(&key("n"), "n").await);
    let won = store.win(request("q", &wanted)).await;
    assert_eq!(won.meeting.voice_bridge.as_deref(), Some("22222"), "it was freed");
}

async fn a_known_meeting_stays_as_it_is(factory: Factory<'_>) {
    let store = Store::with(factory, &[open("a", 5.0), open("b", 6.0)]).await;
    let won = store.win(request("m", &["11111"])).await;
    let mut again = request("m", &["22222"]);
    again.moderator_pw = Some("another".to_owned());
    again.claim.token = "another".to_owned();
    again.seats.reserved = 99;
    again.now = NOW.plus_ms(1000);
    assert_eq!(store.place(again.clone()).await, Placed::Known(won.clone()));
    store.confirm(&won.meeting, NOW).await;
    again.now = NOW.plus_ms(100 * CLAIM_MS);
    let confirmed = store.meeting(&again.key).await.expect("a meeting");
    assert_eq!(confirmed.meeting.claim, None);
    assert_eq!(store.place(again).await, Placed::Known(confirmed.clone()));
    assert_eq!(store.meetings().await, [confirmed.meeting]);
    assert_eq!(store.servers().await, [holding(open("a", 20.0), 1), open("b", 6.0)]);
    assert!(store.is_free("22222").await);
}

async fn a_meeting_of_an_unavailable_server_is_known(factory: Factory<'_>) {
    for state in [AdminState::Cordoned, AdminState::Disabled] {
        let store = Store::with(factory, &[open("a", 0.0), open("b", 50.0)]).await;
        store.settle(request("m", &["11111"])).await;
        store.update("a", ServerChange::state(state)).await;
        let placed = store.place(request("m", &["22222"])).await;
        let known = store.meeting(&key("m")).await.expect("a meeting");
        assert_eq!(known.server.state, state);
        assert_eq!(placed, Placed::Known(known), "{state:?}");
    }
}

async fn closed_servers_are_refused(factory: Factory<'_>) {
    let mut all =
        [open("disabled", 0.0), open("cordoned", 0.0), open("offline", 0.0), open("new", 0.0)];
    all[0].set_state(AdminState::Disabled);
    all[1].set_state(AdminState::Cordoned);
    all[2].health.online = false;
    all[3].load = None;
    let store = Store::with(factory, &all).await;
    let refused = Placed::Refused(Refusal::NoServer);
    assert_eq!(store.place(request("m", &["11111"])).await, refused);
    let empty = Store::new(factory).await;
    assert_eq!(empty.place(request("m", &["11111"])).await, refused);
}

async fn refusals_change_nothing(factory: Factory<'_>) {
    let mut only = open("a", 3.0);
    only.tag = Some("red".to_owned());
    let store = Store::with(factory, &[only.clone()]).await;
    let table = [
        ("", Refusal::NoServer),
        ("green", Refusal::NoServer),
        ("green;'blau'!", Refusal::TagUnavailable("green;'blau'".to_owned())),
    ];
    for (tag, refusal) in table {
        let placed = store.place(tagged("11111", tag)).await;
        assert_eq!(placed, Placed::Refused(refusal), "{tag}");
    }
    assert_eq!(store.meetings().await, []);
    assert_eq!(store.servers().await, [only]);
    let won = store.win(tagged("11111", "red!")).await;
    assert_eq!(won.meeting.voice_bridge.as_deref(), Some("11111"));
}

async fn without_a_voice_bridge_nothing_is_left_behind(factory: Factory<'_>) {
    let store = Store::with(factory, &[open("a", 0.0), open("b", 50.0)]).await;
    store.win(request("m", &["11111"])).await;
    store.settle(request("n", &["22222"])).await;
    let before = (store.servers().await, store.meetings().await);
    for numbers in [&["11111", "22222", "11111"][..], &[]] {
        let placed = store.place(request("o", numbers)).await;
        assert_eq!(placed, Placed::NoVoiceBridge);
        assert_eq!((store.servers().await, store.meetings().await), before);
        assert_eq!(store.meeting(&key("o")).await, None);
    }
    store.win(request("o", &["11111", "33333"])).await;
}

async fn a_claim_stands_until_its_last_moment(factory: Factory<'_>) {
    let store = Store::with(factory, &[open("a", 0.0)]).await;
    let won = store.win(request("m", &["11111"])).await;
    let until = NOW.plus_ms(CLAIM_MS);
    let same = store.place(by("another", request_at(until, "m", &["22222"]))).await;
    assert_eq!(same, Placed::Known(won));
    store.win(by("another", request_at(until.plus_ms(1), "m", &["22222"]))).await;
}

async fn an_expired_claim_is_replaced(factory: Factory<'_>) {
    let store = Store::with(factory, &[weighing("a", 7.0, 2.0), open("b", 30.0)]).await;
    let old = store.win(request("m", &["11111"])).await;
    assert_eq!((old.server.id.0.as_str(), old.server.load), ("a", Some(37.0)));
    for _ in 0..20 {
        store.join(&key("m"), NOW).await;
    }
    assert_eq!(store.load("a").await, Some(47.0));
    store.update("b", ServerChange { load_multiplier: Some(0.5), ..ServerChange::default() }).await;
    // Undone, the first server has 7 again: 37 with the meeting, against 37.5 on the other one.
    let mut asked = request_at(NOW.plus_ms(CLAIM_MS + 1), "m", &["11111", "22222"]);
    asked.claim.token = "another".to_owned();
    let new = store.win(asked.clone()).await;
    let expected = made(&asked, "a", "11111");
    assert_eq!(unexplained(&new.meeting), expected, "its number is free again, too");
    assert_eq!(new.server.load, Some(37.0));
    assert_eq!(store.load("b").await, Some(30.0));
    assert!(!store.release(&asked.key, "m").await, "the old claim is over");
    assert_eq!(store.meetings().await, [new.meeting]);
}

async fn an_expired_claim_is_undone_even_if_there_is_no_place(factory: Factory<'_>) {
    let later = NOW.plus_ms(CLAIM_MS + 1);
    let store = Store::with(factory, &[open("a", 1.0)]).await;
    store.win(request("m", &["11111"])).await;
    let placed = store.place(by("another", request_at(later, "m", &[]))).await;
    assert_eq!(placed, Placed::NoVoiceBridge);
    assert_eq!(store.meetings().await, []);
    assert_eq!(store.load("a").await, Some(1.0));

    store.win(request("n", &["11111"])).await;
    store.update("a", ServerChange::state(AdminState::Cordoned)).await;
    let placed = store.place(by("another", request_at(later, "n", &["22222"]))).await;
    assert_eq!(placed, Placed::Refused(Refusal::NoServer));
    assert_eq!(store.meetings().await, []);
    assert_eq!(store.load("a").await, Some(1.0));
}

async fn meetings_are_listed_by_server(factory: Factory<'_>) {
    let store = Store::with(factory, &[open("a", 0.0), open("b", 1.0), open("c", 500.0)]).await;
    let mut all = Vec::new();
    for id in ["11111", "22222", "33333", "44444"] {
        let Located { meeting, .. } = store.win(request(id, &[id])).await;
        all.push(meeting);
    }
    assert_eq!(store.meetings().await, all);
    for (server, expected) in [("a", 2), ("b", 2), ("c", 0), ("x", 0)] {
        let here = store.meetings_on(server).await;
        let wanted = all.iter().filter(|one| one.server.0 == server);
        assert_eq!(here, wanted.cloned().collect::<Vec<_>>(), "{server}");
        assert_eq!(here.len(), expected, "{server}");
    }
}
