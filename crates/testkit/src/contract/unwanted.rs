//! Endings: meetings that are not wanted on a server; and those that are found there and taken over.

use domain::poll::{Ending, SeenMeeting};
use domain::{AdminState, Meeting, MeetingKey};

use app::ports::{Placed, ServerChange};

use super::store::{
    NOW, Store, answer, by, ending, key, open, ours, reported, request, server_id, silence,
};
use super::{Case, Factory};

pub(super) fn cases(factory: Factory<'_>) -> Vec<Case<'_>> {
    super::cases![factory;
        endings_come_back_whole_and_in_order,
        an_ending_is_there_once,
        endings_of_unknown_servers_are_not_kept,
        a_place_remembers_its_endings_only_if_it_is_given,
        confirming_releasing_and_forgetting_remember_endings,
        what_is_confirmed_is_wanted_there,
        what_was_confirmed_since_is_not_forgotten,
        an_ending_is_over_where_the_meeting_is_placed,
        polls_settle_endings,
        endings_go_with_their_server,
        old_endings_are_swept,
        a_lost_meeting_is_taken_over,
        a_meeting_of_an_offline_server_is_taken_over,
        the_fuller_one_of_a_double_stays,
        a_meeting_that_is_taken_over_leaves_anothers_number,
        one_that_is_reported_twice_is_taken_over_once,
        what_is_not_ours_is_left_alone,
    ]
}

fn of_tenant(tenant: &str, id: &str) -> MeetingKey {
    MeetingKey { tenant: Some(tenant.to_owned()), id: id.to_owned() }
}

async fn endings_come_back_whole_and_in_order(factory: Factory<'_>) {
    let store = Store::with(factory, &[open("z", 0.0), open("a", 0.0)]).await;
    let long = "lang \u{1f}\"'\\ ".repeat(500);
    let names =
        [key("M"), key("m"), key("ä"), key(&long), of_tenant("t", "m"), of_tenant("tm", "")];
    let mut all = Vec::new();
    for server in ["a", "z"] {
        for (n, name) in names.iter().enumerate() {
            let moderator_pw = (n % 2 == 0).then(|| format!("p'ä\"ss {n}"));
            let since = NOW.plus_ms(i64::try_from(n).unwrap());
            let (server, key, asked_at) = (server_id(server), name.clone(), since.plus_ms(-7));
            all.push(Ending { server, key, moderator_pw, since, asked_at });
        }
    }
    for one in all.iter().rev() {
        assert!(!store.forget_and_end(&key("nobody"), "a", Some(one)).await);
    }
    all.sort_by(|one, other| (&one.server, &one.key).cmp(&(&other.server, &other.key)));
    assert_eq!(store.endings().await, all);
}

async fn an_ending_is_there_once(factory: Factory<'_>) {
    let store = Store::with(factory, &[open("a", 0.0)]).await;
    let later = Ending { since: NOW.plus_ms(9), moderator_pw: None, ..ending("a", "m") };
    for one in [ending("a", "m"), later.clone()] {
        store.forget_and_end(&key("m"), "a", Some(&one)).await;
    }
    assert_eq!(store.endings().await, [later]);
}

async fn endings_of_unknown_servers_are_not_kept(factory: Factory<'_>) {
    let store = Store::with(factory, &[open("a", 0.0)]).await;
    for one in [ending("x", "m"), ending("a", "m"), ending("A", "m")] {
        assert!(!store.forget_and_end(&key("m"), "a", Some(&one)).await);
    }
    assert_eq!(store.endings().await, [ending("a", "m")]);
    assert!(store.add(&open("x", 0.0)).await);
    assert_eq!(store.endings().await.len(), 1);
}

async fn a_place_remembers_its_endings_only_if_it_is_given(factory: Factory<'_>) {
    let store = Store::with(factory, &[open("a", 0.0), open("b", 90.0)]).await;
    store.settle(request("known", &["11111"])).await;
    let with = |id: &str, numbers: &[&str]| {
        let mut asked = by("new", request(id, numbers));
        asked.endings = vec![ending("b", id)];
        asked
    };
    assert!(matches!(store.place(with("known", &["2"])).await, Placed::Known(_)));
    assert_eq!(store.place(with("m", &["11111"])).await, Placed::NoVoiceBridge);
    assert_eq!(store.endings().await, []);
    store.win(with("m", &["22222"])).await;
    assert_eq!(store.endings().await, [ending("b", "m")]);
}

async fn confirming_releasing_and_forgetting_remember_endings(factory: Factory<'_>) {
    let store = Store::with(factory, &[open("a", 0.0), open("b", 90.0)]).await;
    let won = store.win(request("m", &["11111"])).await.meeting;
    store.confirm_and_end(&won, NOW, &[ending("b", "m")]).await;
    assert!(!store.release_and_end(&key("m"), "m", &[ending("b", "n")]).await, "settled");
    assert!(store.forget_and_end(&key("m"), "a", Some(&ending("a", "m"))).await);
    store.win(request("o", &["11111"])).await;
    assert!(store.release_and_end(&key("o"), "o", &[ending("a", "o"), ending("b", "o")]).await);
    let expected = [("a", "m"), ("a", "o"), ("b", "m"), ("b", "o")].map(|(s, id)| ending(s, id));
    assert_eq!(store.endings().await, expected);
}

async fn what_is_confirmed_is_wanted_there(factory: Factory<'_>) {
    let store = Store::with(factory, &[open("a", 0.0), open("b", 90.0), open("c", 99.0)]).await;
    let first = store.win(request("m", &["11111"])).await.meeting;
    assert!(store.forget(&key("m"), "a").await);
    store.update("a", ServerChange::state(AdminState::Disabled)).await;
    store.settle(request("m", &["11111"])).await;
    store.forget_and_end(&key("m"), "c", Some(&ending("a", "m"))).await;
    // Another one has settled it on b meanwhile.
    store.confirm_and_end(&first, NOW, &[ending("b", "m"), ending("c", "m")]).await;
    assert_eq!(store.endings().await, [ending("c", "m")]);
    assert_eq!(store.meeting(&key("m")).await.expect("a meeting").server.id.0, "b");
}

async fn what_was_confirmed_since_is_not_forgotten(factory: Factory<'_>) {
    let store = Store::with(factory, &[open("a", 0.0)]).await;
    let old = store.settle(request("m", &["11111"])).await;
    store.confirm(&old, NOW.plus_ms(5)).await;
    assert!(!store.forget_old(&old, &ending("a", "m")).await);
    assert_eq!(store.endings().await, []);
    let new = store.meeting(&key("m")).await.expect("a meeting").meeting;
    assert!(store.forget_old(&new, &ending("a", "m")).await);
    assert!(!store.forget_old(&new, &ending("a", "n")).await, "it is gone");
    assert_eq!(store.endings().await, [ending("a", "m"), ending("a", "n")]);
}

async fn an_ending_is_over_where_the_meeting_is_placed(factory: Factory<'_>) {
    let store = Store::with(factory, &[open("a", 0.0), open("b", 90.0)]).await;
    for one in [ending("a", "m"), ending("a", "n"), ending("b", "m")] {
        store.forget_and_end(&one.key, "a", Some(&one)).await;
    }
    let mut asked = request("m", &["11111"]);
    asked.endings = vec![ending("a", "m"), ending("b", "o")];
    assert_eq!(store.win(asked).await.server.id.0, "a");
    assert_eq!(store.endings().await, [ending("a", "n"), ending("b", "m"), ending("b", "o")]);
}

async fn polls_settle_endings(factory: Factory<'_>) {
    let store = Store::with(factory, &[open("a", 0.0), open("b", 90.0)]).await;
    for one in [ending("a", "m"), ending("a", "n"), ending("b", "m")] {
        store.forget_and_end(&one.key, "x", Some(&one)).await;
    }
    let list = || vec![reported("m", NOW, 3)];
    let report = store.poll("a", &answer(NOW.plus_ms(1000), list())).await.expect("a server");
    assert_eq!(report.verdict.strays.len(), 1, "it is there and not wanted: {report:?}");
    assert_eq!(store.endings().await.len(), 3, "until it is gone for long");
    let late = NOW.plus_ms(130_000);
    let report = store.poll("a", &answer(late, list())).await.expect("a server");
    assert_eq!(report.verdict.settled, [key("n")]);
    assert_eq!(store.endings().await, [ending("a", "m"), ending("b", "m")]);
    let report = store.poll("a", &answer(late.plus_ms(1), vec![])).await.expect("a server");
    assert_eq!(report.verdict.settled, [key("m")]);
    assert_eq!(store.endings().await, [ending("b", "m")]);
}

async fn endings_go_with_their_server(factory: Factory<'_>) {
    let store = Store::with(factory, &[open("a", 0.0), open("b", 90.0)]).await;
    for one in [ending("a", "m"), ending("b", "m")] {
        store.forget_and_end(&one.key, "x", Some(&one)).await;
    }
    assert!(store.remove("a").await.is_some());
    assert_eq!(store.endings().await, [ending("b", "m")]);
    assert!(store.add(&open("a", 0.0)).await);
    assert_eq!(store.endings().await, [ending("b", "m")]);
}

async fn old_endings_are_swept(factory: Factory<'_>) {
    let store = Store::with(factory, &[open("a", 0.0)]).await;
    for (id, ms) in [("m", 0), ("n", 10)] {
        let one = Ending { since: NOW.plus_ms(ms), ..ending("a", id) };
        store.forget_and_end(&one.key, "x", Some(&one)).await;
    }
    store.sweep(NOW).await;
    assert_eq!(store.endings().await.len(), 2);
    store.sweep(NOW.plus_ms(10)).await;
    let left: Vec<_> = store.endings().await.into_iter().map(|one| one.key).collect();
    assert_eq!(left, [key("n")]);
}

/// One whose number and password its server tells.
fn told(id: &str, users: u32) -> SeenMeeting {
    SeenMeeting {
        tenant: Some("t".to_owned()),
        voice_bridge: Some("11111".to_owned()),
        moderator_pw: Some("told".to_owned()),
        ..ours(id, NOW.plus_ms(-70_000), users)
    }
}

async fn a_lost_meeting_is_taken_over(factory: Factory<'_>) {
    let store = Store::with(factory, &[open("a", 0.0), open("b", 90.0)]).await;
    let report = store.poll("a", &answer(NOW, vec![told("m", 7)])).await.expect("a server");
    assert_eq!(report.verdict.adopted.len(), 1);
    assert_eq!(store.meetings().await, report.verdict.adopted);
    assert_eq!(store.meetings_on("a").await, report.verdict.adopted);
    let found = store.meeting(&of_tenant("t", "m")).await.expect("a meeting");
    let Meeting { voice_bridge, moderator_pw, course, placed_at, .. } = found.meeting;
    assert_eq!((voice_bridge.as_deref(), moderator_pw.as_deref()), (Some("11111"), Some("told")));
    assert_eq!((course.peak_users, placed_at), (7, NOW.plus_ms(-70_000)));
    assert_eq!(found.server, report.server, "its load counts it already");
    assert!(!store.is_free("11111").await);
    let next = store.poll("a", &answer(NOW.plus_ms(9), vec![told("m", 8)])).await;
    assert_eq!(next.expect("a server").verdict.adopted, [], "it is known now");
}

async fn a_meeting_of_an_offline_server_is_taken_over(factory: Factory<'_>) {
    let store = Store::with(factory, &[open("a", 0.0), open("b", 90.0)]).await;
    let mut asked = request("m", &["22222"]);
    asked.key = of_tenant("t", "m");
    let old = store.settle(asked).await;
    for ms in [1, 2] {
        store.poll("a", &silence(NOW.plus_ms(ms))).await;
    }
    let at = NOW.plus_ms(5000);
    let report = store.poll("b", &answer(at, vec![told("m", 7)])).await.expect("a server");
    assert_eq!(report.verdict.strays, []);
    let found = store.meeting(&old.key).await.expect("a meeting").meeting;
    assert_eq!((&found.server, found.detached), (&server_id("b"), false));
    assert_eq!(found.moderator_pw, old.moderator_pw, "ours is remembered");
    assert_eq!(found.voice_bridge.as_deref(), Some("11111"));
    assert_eq!(store.meetings().await, [found]);
    assert_eq!(store.meetings_on("a").await, []);
    // When the old one comes back with it, too, the emptier one has to go.
    let report = store.poll("a", &answer(at.plus_ms(2000), vec![told("m", 1)])).await;
    assert_eq!(report.expect("a server").verdict.strays[0].server, server_id("a"));
}

async fn the_fuller_one_of_a_double_stays(factory: Factory<'_>) {
    for (users, stays, ended) in [(3, "a", "b"), (30, "b", "a")] {
        let store = Store::with(factory, &[open("a", 0.0), open("b", 90.0)]).await;
        let mut asked = request("m", &["22222"]);
        asked.key = of_tenant("t", "m");
        let old = store.settle(asked).await;
        for _ in 0..9 {
            store.join(&old.key, NOW).await;
        }
        let report = store.poll("b", &answer(NOW.plus_ms(500), vec![told("m", users)])).await;
        assert_eq!(report.expect("a server").verdict.strays, [], "too early to tell");
        let report = store.poll("b", &answer(NOW.plus_ms(5000), vec![told("m", users)])).await;
        assert_eq!(report.expect("a server").verdict.strays[0].server, server_id(ended));
        let found = store.meetings().await;
        assert_eq!((found.len(), &found[0].server), (1, &server_id(stays)));
        assert_eq!(store.is_free("22222").await, stays == "b");
        assert_eq!(store.is_free("11111").await, stays == "a");
    }
}

async fn a_meeting_that_is_taken_over_leaves_anothers_number(factory: Factory<'_>) {
    let store = Store::with(factory, &[open("a", 0.0), open("b", 90.0)]).await;
    let other = store.settle(request("n", &["11111"])).await;
    store.poll("b", &answer(NOW.plus_ms(5000), vec![told("m", 7)])).await;
    let found = store.meetings().await;
    assert_eq!(found[0], other);
    assert_eq!((found[1].key.id.as_str(), &found[1].voice_bridge), ("m", &None));
}

async fn one_that_is_reported_twice_is_taken_over_once(factory: Factory<'_>) {
    let store = Store::with(factory, &[open("a", 0.0), open("b", 90.0)]).await;
    let other = SeenMeeting { voice_bridge: Some("22222".to_owned()), ..told("m", 2) };
    store.poll("a", &answer(NOW, vec![told("m", 7), other])).await;
    assert_eq!(store.meetings().await.len(), 1);
    assert!(store.is_free("11111").await && !store.is_free("22222").await);
}

async fn what_is_not_ours_is_left_alone(factory: Factory<'_>) {
    let store = Store::with(factory, &[open("a", 0.0), open("b", 90.0)]).await;
    let foreign = || vec![reported("m", NOW, 7)];
    let report = store.poll("a", &answer(NOW, foreign())).await.expect("a server");
    assert_eq!((report.verdict.foreign, store.meetings().await.len()), (1, 0));
    store.update("a", ServerChange::state(AdminState::Disabled)).await;
    store.poll("a", &answer(NOW.plus_ms(1), vec![told("m", 7)])).await;
    assert_eq!(store.meetings().await, [], "nor is what a disabled server has");
}
