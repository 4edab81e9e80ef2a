//! Failover: failed calls to servers, and meetings on offline servers.

use app::ports::{PlaceOutcome, PoolStore};
use domain::health::{HealthChange, HealthState, ServerFailure};
use domain::placement::PlacementRefusal;
use domain::poll::MeetingUpdate;
use domain::{Meeting, Server, Timestamp};

use super::fixtures::{
    NOW, POLICY, avoiding_servers, failed_poll, key, open_server, place_request, place_request_at,
    reported_meeting, server_id, successful_poll, with_placed, with_token,
};
use super::pool_store::TestPoolStore;
use super::{ContractCase, PoolFactory};

pub(super) fn cases() -> Vec<ContractCase<dyn PoolStore>> {
    super::cases![
        a_failed_call_makes_a_server_suspect,
        servers_that_failed_lately_are_chosen_last,
        going_offline_detaches_the_meetings,
        a_detached_meeting_is_forgotten_like_any_other,
        a_server_comes_back_with_its_meetings,
        a_voice_bridge_taken_meanwhile_is_lost,
        voice_bridges_pass_from_one_meeting_to_the_next,
        a_meeting_is_found_by_its_voice_bridge,
        a_detached_meeting_is_placed_anew,
        a_detached_meeting_waits_if_there_is_no_place,
        of_two_tenants_one_may_be_detached,
        missed_polls_are_counted_until_the_next_good_one,
        limits_are_kept,
    ]
}

fn failure(at: Timestamp) -> ServerFailure {
    ServerFailure { at, reason: "create: «no answer»".to_owned() }
}

/// A store with servers of these ids, of which the first one is the least loaded.
pub(super) async fn store_with(factory: PoolFactory<'_>, ids: &[&str]) -> TestPoolStore {
    let all: Vec<Server> =
        (0..).zip(ids).map(|(n, id)| open_server(id, 50.0 * f64::from(n))).collect();
    TestPoolStore::with(factory, &all).await
}

async fn go_offline(store: &TestPoolStore, id: &str, at: Timestamp) {
    store.record_poll(id, &failed_poll(at)).await;
    let report = store.record_poll(id, &failed_poll(at.plus_ms(1))).await.expect("a server");
    assert_eq!(report.outcome.change, Some(HealthChange::WentOffline));
    assert_eq!(report.forgotten, []);
    assert_eq!((report.server.placed_since_poll, report.server.load), (0, None));
}

pub(super) async fn find_meeting(store: &TestPoolStore, id: &str) -> Meeting {
    store.find_meeting(&key(id)).await.expect("a meeting").meeting
}

async fn a_failed_call_makes_a_server_suspect(factory: PoolFactory<'_>) {
    let mut offline = open_server("b", 0.0);
    (offline.health.online, offline.load) = (false, None);
    let all = [open_server("a", 5.0), offline, open_server("c", 9.0)];
    let store = TestPoolStore::with(factory, &all).await;
    let meeting = store.place_and_confirm(place_request("m", &["11111"])).await;
    let mut expected = store.list_servers().await;
    for ms in [0, 3, 9000] {
        let failed = failure(NOW.plus_ms(ms));
        for (n, id) in ["a", "b"].into_iter().enumerate() {
            store.report_failure(id, &failed).await;
            expected[n].health.record_live_failure(failed.clone(), POLICY.thresholds);
        }
        store.report_failure("x", &failed).await;
        assert_eq!(store.list_servers().await, expected);
    }
    assert_eq!(expected[0].health.state(NOW), HealthState::Suspect);
    assert_eq!(expected[0].health.failures, 1, "polls count");
    assert_eq!(store.list_meetings().await, [meeting], "it keeps its meetings");
    let report = store.record_poll("a", &failed_poll(NOW.plus_ms(9001))).await.expect("a server");
    assert_eq!(report.outcome.change, Some(HealthChange::WentOffline), "a poll confirms it");
}

async fn servers_that_failed_lately_are_chosen_last(factory: PoolFactory<'_>) {
    let store = store_with(factory, &["a", "b"]).await;
    store.report_failure("a", &failure(NOW)).await;
    assert_eq!(store.place_new_meeting(place_request("m", &["11111"])).await.server.id.0, "b");
    store.report_failure("b", &failure(NOW)).await;
    let claimed = store.place_new_meeting(place_request("n", &["22222"])).await;
    assert_eq!(store.find_server("a").await, Some(claimed.server), "better than none");
    // Servers that answer again are preferred again after a while.
    store.record_poll("a", &successful_poll(NOW.plus_ms(5), vec![])).await;
    store.record_poll("b", &successful_poll(NOW.plus_ms(5), vec![])).await;
    let later = NOW.plus_ms(16_000);
    for (id, expected) in [("o", "a"), ("p", "b")] {
        let mut request = place_request_at(later, id, &[id]);
        request.load.expected_users = 60;
        assert_eq!(store.place_new_meeting(request).await.server.id.0, expected);
    }
}

async fn going_offline_detaches_the_meetings(factory: PoolFactory<'_>) {
    let store = store_with(factory, &["a", "b"]).await;
    let settled = store.place_and_confirm(place_request("m", &["11111"])).await;
    let claimed = store.place_new_meeting(place_request("n", &["22222"])).await.meeting;
    store.record_poll("a", &failed_poll(NOW.plus_ms(1))).await;
    assert_eq!(store.list_meetings().await, [settled.clone(), claimed.clone()]);
    let second = store.record_poll("a", &failed_poll(NOW.plus_ms(2))).await.expect("a server");
    assert_eq!(second.outcome.meeting_updates, [(key("m"), MeetingUpdate::Detached)]);
    assert_eq!(second.forgotten, []);
    assert_eq!(store.find_load("a").await, None);
    let detached = Meeting { detached: true, ..settled };
    let expected = [detached.clone(), claimed];
    assert_eq!(store.list_meetings().await, expected, "one create may still succeed");
    assert_eq!(store.list_meetings_on("a").await, expected);
    let found = store.find_meeting(&key("m")).await.expect("a meeting");
    assert_eq!((&found.meeting, found.is_reachable()), (&detached, false));
    assert!(store.is_bridge_free("11111").await && !store.is_bridge_free("22222").await);
    let third = store.record_poll("a", &failed_poll(NOW.plus_ms(3))).await.expect("a server");
    assert_eq!(third.outcome.meeting_updates, [], "once");
    assert!(store.release_claim(&key("n"), "n").await, "or not");
    assert!(store.is_bridge_free("22222").await);
}

async fn a_detached_meeting_is_forgotten_like_any_other(factory: PoolFactory<'_>) {
    for how in 0..4 {
        let store = store_with(factory, &["a", "b"]).await;
        store.place_and_confirm(place_request("m", &["11111"])).await;
        go_offline(&store, "a", NOW.plus_ms(1)).await;
        let detached = find_meeting(&store, "m").await;
        let gone = match how {
            0 => {
                assert!(!store.forget_meeting(&key("m"), "b").await);
                assert!(store.forget_meeting(&key("m"), "a").await);
                vec![detached.clone()]
            }
            1 => store.forget_server_meetings("a").await,
            2 => store.remove_server("a").await.expect("a server"),
            _ => {
                assert_eq!(store.forget_unseen(NOW).await, []);
                store.forget_unseen(NOW.plus_ms(1)).await
            }
        };
        assert_eq!(gone, [detached], "{how}");
        assert_eq!(store.find_meeting(&key("m")).await, None, "{how}");
        assert_eq!(store.list_meetings().await, []);
        assert_eq!(store.list_meetings_on("a").await, []);
    }
}

async fn a_server_comes_back_with_its_meetings(factory: PoolFactory<'_>) {
    let store = store_with(factory, &["a", "b"]).await;
    let back = store.place_and_confirm(place_request("m", &["11111"])).await;
    store.place_and_confirm(place_request("gone", &["22222"])).await;
    for _ in 0..3 {
        store.record_join(&key("m"), NOW).await;
    }
    go_offline(&store, "a", NOW.plus_ms(1)).await;
    let at = NOW.plus_ms(5000);
    let seen = vec![reported_meeting("m", NOW, 20)];
    let report =
        store.record_poll("a", &successful_poll(at, seen.clone())).await.expect("a server");
    assert_eq!(
        (report.outcome.change, report.outcome.attached),
        (Some(HealthChange::WentOnline), 1)
    );
    let found = find_meeting(&store, "m").await;
    assert_eq!((found.usage.peak_users, found.load.users, found.seen_at), (20, 20, at));
    let expected = Meeting { usage: found.usage, load: found.load, seen_at: at, ..back };
    assert_eq!(found, expected, "with its number and its password");
    assert!(!store.is_bridge_free("11111").await);
    assert_eq!(store.find_load("a").await, Some(20.0));
    store.record_join(&key("m"), at).await;
    assert_eq!(store.find_load("a").await, Some(21.0));
    let next =
        store.record_poll("a", &successful_poll(at.plus_ms(5000), seen)).await.expect("a server");
    assert_eq!(next.forgotten.len(), 1, "what it did not bring");
    assert_eq!(store.list_meetings().await.len(), 1);
}

async fn a_voice_bridge_taken_meanwhile_is_lost(factory: PoolFactory<'_>) {
    let store = store_with(factory, &["a", "b"]).await;
    store.place_and_confirm(place_request("m", &["11111"])).await;
    go_offline(&store, "a", NOW.plus_ms(1)).await;
    let other = store.place_and_confirm(place_request("n", &["11111"])).await;
    assert_eq!(
        find_meeting(&store, "m").await.voice_bridge.as_deref(),
        Some("11111"),
        "it is remembered"
    );
    for ms in [5000, 6000] {
        store
            .record_poll(
                "a",
                &successful_poll(NOW.plus_ms(ms), vec![reported_meeting("m", NOW, 1)]),
            )
            .await;
        assert_eq!(find_meeting(&store, "m").await.voice_bridge, None);
        assert_eq!(find_meeting(&store, "n").await, other);
    }
    assert!(store.forget_meeting(&key("m"), "a").await);
    assert!(!store.is_bridge_free("11111").await, "it is the other one's");
}

async fn voice_bridges_pass_from_one_meeting_to_the_next(factory: PoolFactory<'_>) {
    let store = store_with(factory, &["a", "b"]).await;
    let mut all = Vec::new();
    for id in ["m1", "m2"] {
        let mut meeting = store.place_and_confirm(place_request(id, &["11111"])).await;
        assert!(store.forget_meeting(&key(id), "a").await);
        meeting.detached = true;
        all.push(meeting);
    }
    for meeting in &all {
        assert!(store.restore_meeting(meeting).await);
    }
    let both = vec![reported_meeting("m1", NOW, 1), reported_meeting("m2", NOW, 1)];
    store.record_poll("a", &successful_poll(NOW.plus_ms(5000), both)).await;
    let numbers = store.list_meetings().await.into_iter().map(|meeting| meeting.voice_bridge);
    assert_eq!(numbers.collect::<Vec<_>>(), [Some("11111".to_owned()), None]);
}

async fn a_meeting_is_found_by_its_voice_bridge(factory: PoolFactory<'_>) {
    let store = store_with(factory, &["a", "b"]).await;
    let first = store.place_and_confirm(place_request("m", &["11111"])).await;
    let second = store.place_and_confirm(place_request("n", &["111112"])).await;
    for meeting in [&first, &second] {
        let number = meeting.voice_bridge.clone().expect("a number");
        let found = store.find_by_voice_bridge(&number).await;
        assert_eq!(found, store.find_meeting(&meeting.key).await, "{number}");
    }
    for number in ["", "1111", "11112", "011111", "1111%", "m"] {
        assert_eq!(store.find_by_voice_bridge(number).await, None, "{number}");
    }
    go_offline(&store, "a", NOW.plus_ms(1)).await;
    assert_eq!(store.find_by_voice_bridge("11111").await, None, "it is detached");
    let moved = store.place_new_meeting(with_token("new", place_request("m", &["11111"]))).await;
    assert_eq!(store.find_by_voice_bridge("11111").await, Some(moved.clone()));
    assert_eq!(moved.server.id.0, "b");
    assert!(store.forget_meeting(&key("m"), "b").await);
    assert_eq!(store.find_by_voice_bridge("11111").await, None);
}

async fn a_detached_meeting_is_placed_anew(factory: PoolFactory<'_>) {
    let store = store_with(factory, &["a", "b"]).await;
    store.place_and_confirm(place_request("m", &["11111"])).await;
    go_offline(&store, "a", NOW.plus_ms(1)).await;
    let claimed = store.place_new_meeting(with_token("new", place_request("m", &["11111"]))).await;
    assert_eq!(claimed.meeting.voice_bridge.as_deref(), Some("11111"), "its number is free");
    assert_eq!(claimed.server, with_placed(open_server("b", 65.0), 1));
    assert_eq!(store.list_meetings().await, std::slice::from_ref(&claimed.meeting));
    assert_eq!(store.list_meetings_on("a").await, []);
    assert_eq!(store.find_server("b").await, Some(claimed.server));
    let placed = store.place_meeting(with_token("third", place_request("m", &["2"]))).await;
    assert!(matches!(placed, PlaceOutcome::Existing(_)), "its claim stands: {placed:?}");
    // The record on the old server is removed.
    let report = store
        .record_poll("a", &successful_poll(NOW.plus_ms(3000), vec![reported_meeting("m", NOW, 9)]))
        .await;
    assert_eq!(report.expect("a server").outcome.attached, 0);
    assert_eq!(store.list_meetings().await, [claimed.meeting]);
}

async fn a_detached_meeting_waits_if_there_is_no_place(factory: PoolFactory<'_>) {
    let store = store_with(factory, &["a", "b"]).await;
    store.place_and_confirm(place_request("m", &["11111"])).await;
    go_offline(&store, "a", NOW.plus_ms(1)).await;
    store.place_and_confirm(place_request("n", &["11111"])).await;
    let before = (store.list_servers().await, store.list_meetings().await);
    let request = with_token("new", place_request("m", &["11111"]));
    assert_eq!(store.place_meeting(request.clone()).await, PlaceOutcome::NoVoiceBridge);
    let refused = store.place_meeting(avoiding_servers(&["b"], request)).await;
    assert_eq!(refused, PlaceOutcome::Refused(PlacementRefusal::NoServer));
    assert_eq!((store.list_servers().await, store.list_meetings().await), before);
}

async fn of_two_tenants_one_may_be_detached(factory: PoolFactory<'_>) {
    let store = store_with(factory, &["a", "b"]).await;
    let of = |tenant: &str, number: &str| {
        let mut request = place_request("m", &[number]);
        request.key.tenant = Some(tenant.to_owned());
        request
    };
    let first = store.place_and_confirm(of("one", "11111")).await;
    go_offline(&store, "a", NOW.plus_ms(1)).await;
    let second = store.place_and_confirm(of("two", "22222")).await;
    let detached = Meeting { detached: true, ..first.clone() };
    assert_eq!(store.list_meetings().await, [detached.clone(), second.clone()]);
    for expected in [&detached, &second] {
        let found = store.find_meeting(&expected.key).await.map(|found| found.meeting);
        assert_eq!(found.as_ref(), Some(expected));
    }
    let seen = domain::poll::ReportedMeeting {
        tenant: Some("one".to_owned()),
        ..reported_meeting("m", NOW, 3)
    };
    store.record_poll("a", &successful_poll(NOW.plus_ms(5000), vec![seen])).await;
    let found = store.list_meetings().await;
    assert_eq!((found[0].detached, &found[0].voice_bridge), (false, &first.voice_bridge));
    assert_eq!(found[1], second);
    assert!(store.forget_meeting(&first.key, "a").await);
    assert_eq!(store.list_meetings().await, [second]);
}

async fn missed_polls_are_counted_until_the_next_good_one(factory: PoolFactory<'_>) {
    let store = store_with(factory, &["a"]).await;
    store.place_and_confirm(place_request("m", &["11111"])).await;
    let seen = || vec![reported_meeting("m", NOW, 1)];
    // The grace time of new meetings ends after one second.
    let polls = [(200, vec![], 1), (400, vec![], 2), (600, vec![], 3), (800, seen(), 0)];
    for (ms, list, missed) in polls.into_iter().chain([(2000, vec![], 1), (3000, seen(), 0)]) {
        store.record_poll("a", &successful_poll(NOW.plus_ms(ms), list)).await;
        assert_eq!(find_meeting(&store, "m").await.missed_polls, missed, "after {ms} ms");
        assert!(!store.is_bridge_free("11111").await || missed > 0);
    }
}

async fn limits_are_kept(factory: PoolFactory<'_>) {
    let mut few = open_server("few", 0.0);
    few.limits.max_meetings = Some(2);
    few.stats.meetings = 1;
    let mut small = open_server("small", 10.0);
    small.limits.max_users = Some(30);
    let mut backup = open_server("backup", 0.0);
    backup.limits.tier = 1;
    let store = TestPoolStore::with(factory, &[few, small, backup]).await;
    let mut chosen = Vec::new();
    for id in ["m", "n", "o"] {
        chosen.push(store.place_new_meeting(place_request(id, &[id])).await.server.id.0);
    }
    assert_eq!(chosen, ["few", "small", "backup"]);
    let only_few = |id: &str| avoiding_servers(&["backup", "small"], place_request(id, &["p"]));
    let full = store.place_meeting(only_few("p")).await;
    assert_eq!(full, PlaceOutcome::Refused(PlacementRefusal::Full));
    // The limit is exceeded by expected users only, so the server may be used.
    let expected = avoiding_servers(&["backup"], place_request("r", &["r"]));
    assert_eq!(store.place_new_meeting(expected).await.server.id, server_id("small"));
    assert!(store.release_claim(&key("m"), "m").await, "it gives its place back");
    let claimed = store.place_new_meeting(only_few("p")).await;
    assert_eq!(claimed.server.id, server_id("few"));
    // A poll counts placed meetings.
    let list = vec![reported_meeting("x", NOW, 0), reported_meeting("y", NOW, 0)];
    store.record_poll("few", &successful_poll(NOW, list)).await;
    let few = store.find_server("few").await.expect("a server");
    assert_eq!((few.stats.meetings, few.placed_since_poll), (2, 1), "one is not there yet");
    let more = app::ports::ServerChange { max_meetings: Some(None), ..Default::default() };
    store.update_server("few", more).await;
    let claimed = store
        .place_new_meeting(avoiding_servers(&["backup", "small"], place_request("q", &["q"])))
        .await;
    assert_eq!((claimed.server.id.0.as_str(), claimed.server.placed_since_poll), ("few", 2));
}
