//! Failover: doubts about servers, meetings of those that are offline, and claims that move on.

use app::ports::{Located, PlaceRequest, Placed};
use domain::health::{Change, Failure, Standing};
use domain::placement::Refusal;
use domain::poll::{Ending, Fate};
use domain::{AdminState, Meeting, Server, Timestamp};

use super::store::{
    CLAIM_MS, NOW, POLICY, Store, answer, avoiding, by, ending, holding, key, open, reported,
    request, request_at, server_id, silence,
};
use super::{Case, Factory};

pub(super) fn cases(factory: Factory<'_>) -> Vec<Case<'_>> {
    super::cases![factory;
        a_failed_call_makes_a_server_suspect,
        what_failed_lately_gets_nothing_while_others_can,
        going_offline_detaches_the_meetings,
        a_detached_meeting_is_forgotten_like_any_other,
        a_server_comes_back_with_its_meetings,
        a_number_that_was_taken_meanwhile_is_lost,
        numbers_pass_from_one_meeting_to_the_next,
        a_detached_meeting_is_placed_anew,
        a_detached_meeting_waits_if_there_is_no_place,
        of_two_tenants_one_may_be_detached,
        a_claim_moves_on,
        a_claim_stays_where_it_is_if_there_is_no_other_place,
        the_earlier_try_wins_after_all,
        an_earlier_try_on_a_disabled_server_is_undone,
        missed_polls_are_counted_until_the_next_good_one,
        limits_are_kept,
    ]
}

fn failure(at: Timestamp) -> Failure {
    Failure { at, reason: "create: «no answer»".to_owned() }
}

/// Servers of these ids, the first one least loaded.
async fn with(factory: Factory<'_>, ids: &[&str]) -> Store {
    let all: Vec<Server> = (0..).zip(ids).map(|(n, id)| open(id, 50.0 * f64::from(n))).collect();
    Store::with(factory, &all).await
}

async fn go_offline(store: &Store, id: &str, at: Timestamp) {
    store.poll(id, &silence(at)).await;
    let report = store.poll(id, &silence(at.plus_ms(1))).await.expect("a server");
    assert_eq!(report.verdict.change, Some(Change::WentOffline));
    assert_eq!(report.forgotten, []);
    assert_eq!((report.server.placed, report.server.load), (0, None));
}

async fn the(store: &Store, id: &str) -> Meeting {
    store.meeting(&key(id)).await.expect("a meeting").meeting
}

async fn a_failed_call_makes_a_server_suspect(factory: Factory<'_>) {
    let mut offline = open("b", 0.0);
    (offline.health.online, offline.load) = (false, None);
    let all = [open("a", 5.0), offline, open("c", 9.0)];
    let store = Store::with(factory, &all).await;
    let meeting = store.settle(request("m", &["11111"])).await;
    let mut expected = store.servers().await;
    for ms in [0, 3, 9000] {
        let failed = failure(NOW.plus_ms(ms));
        for (n, id) in ["a", "b"].into_iter().enumerate() {
            store.doubt(id, &failed).await;
            expected[n].health.doubt(failed.clone(), POLICY.thresholds);
        }
        store.doubt("x", &failed).await;
        assert_eq!(store.servers().await, expected);
    }
    assert_eq!(expected[0].health.standing(NOW), Standing::Suspect);
    assert_eq!(expected[0].health.failures, 1, "polls count");
    assert_eq!(store.meetings().await, [meeting], "it keeps its meetings");
    let report = store.poll("a", &silence(NOW.plus_ms(9001))).await.expect("a server");
    assert_eq!(report.verdict.change, Some(Change::WentOffline), "a poll confirms it");
}

async fn what_failed_lately_gets_nothing_while_others_can(factory: Factory<'_>) {
    let store = with(factory, &["a", "b"]).await;
    store.doubt("a", &failure(NOW)).await;
    assert_eq!(store.win(request("m", &["11111"])).await.server.id.0, "b");
    store.doubt("b", &failure(NOW)).await;
    let won = store.win(request("n", &["22222"])).await;
    assert_eq!(store.server("a").await, Some(won.server), "better than none");
    // It answers again, and is trusted when it has done so for a while.
    store.poll("a", &answer(NOW.plus_ms(5), vec![])).await;
    store.poll("b", &answer(NOW.plus_ms(5), vec![])).await;
    let later = NOW.plus_ms(16_000);
    for (id, expected) in [("o", "a"), ("p", "b")] {
        let mut asked = request_at(later, id, &[id]);
        asked.seats.reserved = 60;
        assert_eq!(store.win(asked).await.server.id.0, expected);
    }
}

async fn going_offline_detaches_the_meetings(factory: Factory<'_>) {
    let store = with(factory, &["a", "b"]).await;
    let settled = store.settle(request("m", &["11111"])).await;
    let claimed = store.win(request("n", &["22222"])).await.meeting;
    store.poll("a", &silence(NOW.plus_ms(1))).await;
    assert_eq!(store.meetings().await, [settled.clone(), claimed.clone()]);
    let second = store.poll("a", &silence(NOW.plus_ms(2))).await.expect("a server");
    assert_eq!(second.verdict.fates, [(key("m"), Fate::Detach)]);
    assert_eq!(second.forgotten, []);
    assert_eq!(store.load("a").await, None);
    let detached = Meeting { detached: true, ..settled };
    let expected = [detached.clone(), claimed];
    assert_eq!(store.meetings().await, expected, "one create may still succeed");
    assert_eq!(store.meetings_on("a").await, expected);
    let found = store.meeting(&key("m")).await.expect("a meeting");
    assert_eq!((&found.meeting, found.is_reachable()), (&detached, false));
    assert!(store.is_free("11111").await && !store.is_free("22222").await);
    let third = store.poll("a", &silence(NOW.plus_ms(3))).await.expect("a server");
    assert_eq!(third.verdict.fates, [], "once");
    assert!(store.release(&key("n"), "n").await, "or not");
    assert!(store.is_free("22222").await);
}

async fn a_detached_meeting_is_forgotten_like_any_other(factory: Factory<'_>) {
    for how in 0..4 {
        let store = with(factory, &["a", "b"]).await;
        store.settle(request("m", &["11111"])).await;
        go_offline(&store, "a", NOW.plus_ms(1)).await;
        let detached = the(&store, "m").await;
        let gone = match how {
            0 => {
                assert!(!store.forget(&key("m"), "b").await);
                assert!(store.forget(&key("m"), "a").await);
                vec![detached.clone()]
            }
            1 => store.forget_all("a").await,
            2 => store.remove("a").await.expect("a server"),
            _ => {
                assert_eq!(store.sweep(NOW).await, []);
                store.sweep(NOW.plus_ms(1)).await
            }
        };
        assert_eq!(gone, [detached], "{how}");
        assert_eq!(store.meeting(&key("m")).await, None, "{how}");
        assert_eq!(store.meetings().await, []);
        assert_eq!(store.meetings_on("a").await, []);
    }
}

async fn a_server_comes_back_with_its_meetings(factory: Factory<'_>) {
    let store = with(factory, &["a", "b"]).await;
    let back = store.settle(request("m", &["11111"])).await;
    store.settle(request("gone", &["22222"])).await;
    for _ in 0..3 {
        store.join(&key("m"), NOW).await;
    }
    go_offline(&store, "a", NOW.plus_ms(1)).await;
    let at = NOW.plus_ms(5000);
    let seen = vec![reported("m", NOW, 20)];
    let report = store.poll("a", &answer(at, seen.clone())).await.expect("a server");
    assert_eq!((report.verdict.change, report.verdict.attached), (Some(Change::WentOnline), 1));
    let found = the(&store, "m").await;
    assert_eq!((found.course.peak_users, found.seats.users, found.seen_at), (20, 20, at));
    let expected = Meeting { course: found.course, seats: found.seats, seen_at: at, ..back };
    assert_eq!(found, expected, "with its number and its password");
    assert!(!store.is_free("11111").await);
    assert_eq!(store.load("a").await, Some(20.0));
    store.join(&key("m"), at).await;
    assert_eq!(store.load("a").await, Some(21.0));
    let next = store.poll("a", &answer(at.plus_ms(5000), seen)).await.expect("a server");
    assert_eq!(next.forgotten.len(), 1, "what it did not bring");
    assert_eq!(store.meetings().await.len(), 1);
}

async fn a_number_that_was_taken_meanwhile_is_lost(factory: Factory<'_>) {
    let store = with(factory, &["a", "b"]).await;
    store.settle(request("m", &["11111"])).await;
    go_offline(&store, "a", NOW.plus_ms(1)).await;
    let other = store.settle(request("n", &["11111"])).await;
    assert_eq!(the(&store, "m").await.voice_bridge.as_deref(), Some("11111"), "it is remembered");
    for ms in [5000, 6000] {
        store.poll("a", &answer(NOW.plus_ms(ms), vec![reported("m", NOW, 1)])).await;
        assert_eq!(the(&store, "m").await.voice_bridge, None);
        assert_eq!(the(&store, "n").await, other);
    }
    assert!(store.forget(&key("m"), "a").await);
    assert!(!store.is_free("11111").await, "it is the other one's");
}

async fn numbers_pass_from_one_meeting_to_the_next(factory: Factory<'_>) {
    let store = with(factory, &["a", "b"]).await;
    let mut all = Vec::new();
    for id in ["m1", "m2"] {
        let mut one = store.settle(request(id, &["11111"])).await;
        assert!(store.forget(&key(id), "a").await);
        one.detached = true;
        all.push(one);
    }
    for one in &all {
        assert!(store.restore(one).await);
    }
    let both = vec![reported("m1", NOW, 1), reported("m2", NOW, 1)];
    store.poll("a", &answer(NOW.plus_ms(5000), both)).await;
    let numbers = store.meetings().await.into_iter().map(|one| one.voice_bridge);
    assert_eq!(numbers.collect::<Vec<_>>(), [Some("11111".to_owned()), None]);
}

async fn a_detached_meeting_is_placed_anew(factory: Factory<'_>) {
    let store = with(factory, &["a", "b"]).await;
    store.settle(request("m", &["11111"])).await;
    go_offline(&store, "a", NOW.plus_ms(1)).await;
    let won = store.win(by("new", request("m", &["11111"]))).await;
    assert_eq!(won.meeting.voice_bridge.as_deref(), Some("11111"), "its number is free");
    assert_eq!(won.server, holding(open("b", 65.0), 1));
    assert_eq!(store.meetings().await, std::slice::from_ref(&won.meeting));
    assert_eq!(store.meetings_on("a").await, []);
    assert_eq!(store.server("b").await, Some(won.server));
    let placed = store.place(by("third", request("m", &["2"]))).await;
    assert!(matches!(placed, Placed::Known(_)), "its claim stands: {placed:?}");
    // Nothing of the old one is left.
    let report = store.poll("a", &answer(NOW.plus_ms(3000), vec![reported("m", NOW, 9)])).await;
    assert_eq!(report.expect("a server").verdict.attached, 0);
    assert_eq!(store.meetings().await, [won.meeting]);
}

async fn a_detached_meeting_waits_if_there_is_no_place(factory: Factory<'_>) {
    let store = with(factory, &["a", "b"]).await;
    store.settle(request("m", &["11111"])).await;
    go_offline(&store, "a", NOW.plus_ms(1)).await;
    store.settle(request("n", &["11111"])).await;
    let before = (store.servers().await, store.meetings().await);
    let asked = by("new", request("m", &["11111"]));
    assert_eq!(store.place(asked.clone()).await, Placed::NoVoiceBridge);
    let refused = store.place(avoiding(&["b"], asked)).await;
    assert_eq!(refused, Placed::Refused(Refusal::NoServer));
    assert_eq!((store.servers().await, store.meetings().await), before);
}

async fn of_two_tenants_one_may_be_detached(factory: Factory<'_>) {
    let store = with(factory, &["a", "b"]).await;
    let of = |tenant: &str, number: &str| {
        let mut asked = request("m", &[number]);
        asked.key.tenant = Some(tenant.to_owned());
        asked
    };
    let first = store.settle(of("one", "11111")).await;
    go_offline(&store, "a", NOW.plus_ms(1)).await;
    let second = store.settle(of("two", "22222")).await;
    let detached = Meeting { detached: true, ..first.clone() };
    assert_eq!(store.meetings().await, [detached.clone(), second.clone()]);
    for wanted in [&detached, &second] {
        let found = store.meeting(&wanted.key).await.map(|located| located.meeting);
        assert_eq!(found.as_ref(), Some(wanted));
    }
    let seen =
        domain::poll::SeenMeeting { tenant: Some("one".to_owned()), ..reported("m", NOW, 3) };
    store.poll("a", &answer(NOW.plus_ms(5000), vec![seen])).await;
    let found = store.meetings().await;
    assert_eq!((found[0].detached, &found[0].voice_bridge), (false, &first.voice_bridge));
    assert_eq!(found[1], second);
    assert!(store.forget(&first.key, "a").await);
    assert_eq!(store.meetings().await, [second]);
}

/// A request that tried its first place in vain and got another one.
async fn moved_on(store: &Store) -> (PlaceRequest, Located, Located) {
    let asked = request("m", &["11111", "22222"]);
    let first = store.win(asked.clone()).await;
    let mut again = avoiding(&["a"], request_at(NOW.plus_ms(700), "m", &["11111", "22222"]));
    again.endings = vec![ending("a", "m")];
    let second = store.win(again).await;
    assert_eq!((first.server.id.0.as_str(), second.server.id.0.as_str()), ("a", "b"));
    (asked, first, second)
}

async fn a_claim_moves_on(factory: Factory<'_>) {
    let store = with(factory, &["a", "b", "c"]).await;
    let (_, first, second) = moved_on(&store).await;
    assert_eq!(second.meeting.voice_bridge, first.meeting.voice_bridge, "its own number");
    assert_eq!(second.meeting.placed_at, NOW.plus_ms(700));
    let expected = [open("a", 0.0), holding(open("b", 65.0), 1), open("c", 100.0)];
    assert_eq!(store.servers().await, expected);
    assert_eq!(store.meetings().await, std::slice::from_ref(&second.meeting));
    assert_eq!(store.meetings_on("a").await, []);
    assert_eq!(store.endings().await, [ending("a", "m")]);
    let other = store.place(by("another", request("m", &["3"]))).await;
    assert_eq!(other, Placed::Known(second.clone()));
    // Without anything to avoid it may come back to where it was.
    let third = store.win(request_at(NOW.plus_ms(900), "m", &["22222"])).await;
    assert_eq!(third.server, holding(open("a", 15.0), 1));
    assert_eq!(store.endings().await, [], "it is wanted there again");
    assert!(store.is_free("11111").await);
    assert!(store.release(&key("m"), "m").await);
    let empty = [open("a", 0.0), open("b", 50.0), open("c", 100.0)];
    assert_eq!(store.servers().await, empty);
}

async fn a_claim_stays_where_it_is_if_there_is_no_other_place(factory: Factory<'_>) {
    let store = with(factory, &["a", "b"]).await;
    let (_, _, second) = moved_on(&store).await;
    store.win(request("n", &["33333"])).await;
    let before = store.servers().await;
    let all = avoiding(&["a", "b"], request("m", &["22222"]));
    assert_eq!(store.place(all).await, Placed::Refused(Refusal::NoServer));
    let taken = avoiding(&["b"], request("m", &["33333"]));
    assert_eq!(store.place(taken).await, Placed::NoVoiceBridge);
    assert_eq!(the(&store, "m").await, second.meeting);
    assert_eq!(store.servers().await, before);
    // Also when it ran out meanwhile: nobody has taken it away.
    let late = request_at(NOW.plus_ms(3 * CLAIM_MS), "m", &["33333"]);
    assert_eq!(store.place(late).await, Placed::NoVoiceBridge);
    assert_eq!(the(&store, "m").await, second.meeting);
}

async fn the_earlier_try_wins_after_all(factory: Factory<'_>) {
    let store = with(factory, &["a", "b"]).await;
    let (_, first, second) = moved_on(&store).await;
    assert_ne!(first.meeting.claim, second.meeting.claim, "it was renewed");
    let unwanted: [Ending; 1] = [ending("b", "m")];
    let at = NOW.plus_ms(900);
    store.confirm_and_end(&first.meeting, at, &unwanted).await;
    let expected = Meeting { claim: None, seen_at: at, ..first.meeting };
    assert_eq!(store.meetings().await, std::slice::from_ref(&expected));
    assert_eq!(store.servers().await, [holding(open("a", 15.0), 1), open("b", 50.0)]);
    assert_eq!(store.endings().await, unwanted, "that of the place where it is is settled");
    assert!(!store.is_free("11111").await && store.is_free("22222").await);
    // What the slower one says no longer matters.
    assert!(!store.release(&key("m"), "m").await);
    store.confirm(&second.meeting, at).await;
    assert_eq!(store.meetings().await, [expected]);
    assert_eq!(store.servers().await, [holding(open("a", 15.0), 1), open("b", 50.0)]);
}

async fn an_earlier_try_on_a_disabled_server_is_undone(factory: Factory<'_>) {
    let store = with(factory, &["a", "b"]).await;
    let (_, first, _) = moved_on(&store).await;
    store.update("a", app::ports::ServerChange::state(AdminState::Disabled)).await;
    store.confirm(&first.meeting, NOW.plus_ms(900)).await;
    assert_eq!(store.meetings().await, []);
    assert_eq!(store.server("b").await, Some(open("b", 50.0)));
    assert!(store.is_free("11111").await);
}

async fn missed_polls_are_counted_until_the_next_good_one(factory: Factory<'_>) {
    let store = with(factory, &["a"]).await;
    store.settle(request("m", &["11111"])).await;
    let seen = || vec![reported("m", NOW, 1)];
    // The grace of young ones is not over before one second.
    let polls = [(200, vec![], 1), (400, vec![], 2), (600, vec![], 3), (800, seen(), 0)];
    for (ms, list, missed) in polls.into_iter().chain([(2000, vec![], 1), (3000, seen(), 0)]) {
        store.poll("a", &answer(NOW.plus_ms(ms), list)).await;
        assert_eq!(the(&store, "m").await.missed, missed, "after {ms} ms");
        assert!(!store.is_free("11111").await || missed > 0);
    }
}

async fn limits_are_kept(factory: Factory<'_>) {
    let mut few = open("few", 0.0);
    few.limits.max_meetings = Some(2);
    few.stats.meetings = 1;
    let mut small = open("small", 10.0);
    small.limits.max_users = Some(30);
    let mut backup = open("backup", 0.0);
    backup.limits.tier = 1;
    let store = Store::with(factory, &[few, small, backup]).await;
    let mut chosen = Vec::new();
    for id in ["m", "n", "o"] {
        chosen.push(store.win(request(id, &[id])).await.server.id.0);
    }
    assert_eq!(chosen, ["few", "small", "backup"]);
    let full = store.place(avoiding(&["backup"], request("p", &["p"]))).await;
    assert_eq!(full, Placed::Refused(Refusal::Full));
    assert!(store.release(&key("m"), "m").await, "it gives its place back");
    let won = store.win(avoiding(&["backup"], request("p", &["p"]))).await;
    assert_eq!(won.server.id, server_id("few"));
    // A poll counts what was placed.
    let list = vec![reported("x", NOW, 0), reported("y", NOW, 0)];
    store.poll("few", &answer(NOW, list)).await;
    let few = store.server("few").await.expect("a server");
    assert_eq!((few.stats.meetings, few.placed), (2, 1), "one is not there yet");
    let more = app::ports::ServerChange { max_meetings: Some(None), ..Default::default() };
    store.update("few", more).await;
    let won = store.win(avoiding(&["backup", "small"], request("q", &["q"]))).await;
    assert_eq!((won.server.id.0.as_str(), won.server.placed), ("few", 2));
}
