//! Where meetings come from: identities that servers tell, what proves that a meeting is ours, copies
//! that lose their records, and servers that are listed twice.

use app::ports::{PlaceRequest, PoolStore, ServerChange};
use domain::poll::{PendingEnd, ReportedMeeting};
use domain::{AdminState, Meeting, MeetingIdentity, MeetingOrigin, Timestamp};

use super::fixtures::{
    CLAIM_MS, NOW, failed_poll, key, open_server, own_meeting, pending_end, place_request,
    place_request_at, reported_meeting, server_id, successful_poll, with_token,
};
use super::pool_store::TestPoolStore;
use super::{ContractCase, PoolFactory};

pub(super) fn cases() -> Vec<ContractCase<dyn PoolStore>> {
    super::cases![
        origins_come_back_whole,
        a_reply_and_polls_tell_the_identity,
        a_meeting_that_was_there_before_is_adopted,
        a_pending_end_proves_what_is_confirmed,
        a_restarted_meeting_has_another_identity,
        a_copy_that_loses_its_record_is_to_be_ended,
        copies_that_are_not_proven_are_left_alone,
        an_expired_claim_leaves_a_pending_end,
        a_copy_beside_another_requests_record_is_to_be_ended,
        a_copy_takes_the_record_of_an_offline_server,
        a_proven_meeting_that_is_not_recorded_is_recorded,
        twins_are_noted_and_nothing_is_ended,
        a_record_moves_to_the_twin_that_stays,
    ]
}

fn identity(internal_id: &str, created_at: Timestamp) -> Option<MeetingIdentity> {
    MeetingIdentity::from_parts(Some(internal_id.to_owned()), created_at)
}

fn identified(internal_id: &str, reported: ReportedMeeting) -> ReportedMeeting {
    ReportedMeeting { internal_id: Some(internal_id.to_owned()), ..reported }
}

async fn two_servers(factory: PoolFactory<'_>) -> TestPoolStore {
    TestPoolStore::with(factory, &[open_server("a", 0.0), open_server("b", 50.0)]).await
}

/// Places a meeting and confirms that its server has it, with this origin.
async fn place_with_origin(
    store: &TestPoolStore,
    request: PlaceRequest,
    origin: MeetingOrigin,
) -> Meeting {
    let placed = store.place_new_meeting(request).await.meeting;
    let confirmed = Meeting { origin, ..placed };
    store.confirm_meeting(&confirmed, NOW).await;
    Meeting { claim: None, seen_at: NOW, ..confirmed }
}

/// The meeting `m` with the internal id `m-1`, made by us on the server a.
async fn place_proven(store: &TestPoolStore) -> Meeting {
    let origin = MeetingOrigin::proven(identity("m-1", NOW));
    place_with_origin(store, place_request("m", &["11111"]), origin).await
}

async fn find_origin(store: &TestPoolStore, id: &str) -> MeetingOrigin {
    store.find_meeting(&key(id)).await.expect("a meeting").meeting.origin
}

async fn go_offline(store: &TestPoolStore, id: &str) {
    for ms in [1, 2] {
        store.record_poll(id, &failed_poll(NOW.plus_ms(ms))).await;
    }
}

async fn origins_come_back_whole(factory: PoolFactory<'_>) {
    let store = two_servers(factory).await;
    let origins = [
        MeetingOrigin::default(),
        MeetingOrigin::proven(identity("ä'\"-1", NOW)),
        MeetingOrigin::adopted(identity("b-2", NOW)),
        MeetingOrigin::adopted(None),
        MeetingOrigin { is_adopted: false, ..MeetingOrigin::adopted(identity("c-3", NOW)) },
    ];
    let mut expected = Vec::new();
    for (n, origin) in origins.into_iter().enumerate() {
        let meeting = Meeting {
            key: key(&format!("m{n}")),
            server: server_id("a"),
            detached: n % 2 == 1,
            placed_at: NOW,
            seen_at: NOW,
            origin,
            ..Meeting::default()
        };
        assert!(store.restore_meeting(&meeting).await);
        expected.push(meeting);
    }
    assert_eq!(store.list_meetings().await, expected);
    let end = PendingEnd { internal_id: Some("ä'\"-1".to_owned()), ..pending_end("a", "x") };
    store.forget_and_end(&key("x"), "a", Some(&end)).await;
    assert_eq!(store.list_pending_ends().await, [end]);
}

async fn a_reply_and_polls_tell_the_identity(factory: PoolFactory<'_>) {
    let store = two_servers(factory).await;
    let proven = place_proven(&store).await;
    assert_eq!(store.list_meetings().await, std::slice::from_ref(&proven));
    // A poll finds the meeting of a create whose reply is still awaited.
    store.place_new_meeting(place_request("n", &["22222"])).await;
    let at = NOW.plus_ms(5000);
    let list = vec![
        identified("m-1", reported_meeting("m", NOW, 2)),
        identified("n-1", reported_meeting("n", NOW.plus_ms(400), 0)),
    ];
    store.record_poll("a", &successful_poll(at, list)).await;
    assert_eq!(find_origin(&store, "m").await, proven.origin);
    let found = MeetingOrigin::proven(identity("n-1", NOW.plus_ms(400)));
    assert_eq!(find_origin(&store, "n").await, found);
    // What a server does not identify stays as it was known.
    let list = vec![reported_meeting("m", NOW, 2), reported_meeting("n", NOW, 0)];
    store.record_poll("a", &successful_poll(at.plus_ms(1), list)).await;
    assert_eq!(find_origin(&store, "m").await, proven.origin);
    assert_eq!(find_origin(&store, "n").await, found);
}

async fn a_meeting_that_was_there_before_is_adopted(factory: PoolFactory<'_>) {
    let store = two_servers(factory).await;
    let adopted = MeetingOrigin::adopted(identity("m-0", NOW.plus_ms(-90_000)));
    let meeting = place_with_origin(&store, place_request("m", &["11111"]), adopted.clone()).await;
    assert_eq!(find_origin(&store, "m").await, adopted);
    // It stays so when a create is answered again, until one of ours makes it anew.
    store.confirm_meeting(&meeting, NOW.plus_ms(5)).await;
    assert_eq!(find_origin(&store, "m").await, adopted);
    let anew = MeetingOrigin::proven(identity("m-1", NOW.plus_ms(7)));
    let confirmed = Meeting { origin: anew.clone(), ..meeting.clone() };
    store.confirm_meeting(&confirmed, NOW.plus_ms(9)).await;
    assert_eq!(find_origin(&store, "m").await, anew);
    // A later reply about the same meeting takes nothing back, nor does one about an earlier meeting.
    for overtaken in [
        MeetingOrigin::adopted(identity("m-1", NOW.plus_ms(7))),
        MeetingOrigin::proven(identity("m-9", NOW.plus_ms(6))),
    ] {
        let told = Meeting { origin: overtaken, ..meeting.clone() };
        store.confirm_meeting(&told, NOW.plus_ms(11)).await;
        assert_eq!(find_origin(&store, "m").await, anew);
    }
}

async fn a_pending_end_proves_what_is_confirmed(factory: PoolFactory<'_>) {
    let created_at = NOW.plus_ms(-60_000);
    let requested = Timestamp::default();
    for (sent_at, internal_id, is_proven) in [
        (created_at, None, true),
        (created_at.plus_ms(5_001), None, false),
        (requested, None, false),
        (created_at.plus_ms(-900_000), Some("m-1"), true),
        (created_at, Some("<<m-1"), true),
        (created_at.plus_ms(1), Some("m-2"), false),
    ] {
        for is_found_by_poll in [false, true] {
            let store = two_servers(factory).await;
            let internal_id = internal_id.map(str::to_owned);
            let end = PendingEnd { internal_id, create_sent_at: sent_at, ..pending_end("a", "m") };
            store.forget_and_end(&key("m"), "x", Some(&end)).await;
            let placed = store.place_new_meeting(place_request("m", &["11111"])).await.meeting;
            let origin = MeetingOrigin::adopted(identity("m-1", created_at));
            if is_found_by_poll {
                let list = vec![identified("m-1", reported_meeting("m", created_at, 2))];
                store.record_poll("a", &successful_poll(NOW.plus_ms(500), list)).await;
            } else {
                let confirmed = Meeting { origin: origin.clone(), ..placed };
                store.confirm_meeting(&confirmed, NOW.plus_ms(9)).await;
            }
            let found = find_origin(&store, "m").await;
            let proven = MeetingOrigin::proven(origin.identity.clone());
            assert_eq!(found, if is_proven { proven } else { origin }, "{end:?}");
        }
    }
}

async fn a_restarted_meeting_has_another_identity(factory: PoolFactory<'_>) {
    let store = two_servers(factory).await;
    place_proven(&store).await;
    let again = identified("m-2", reported_meeting("m", NOW.plus_ms(1000), 3));
    store.record_poll("a", &successful_poll(NOW.plus_ms(9000), vec![again])).await;
    let adopted = MeetingOrigin::adopted(identity("m-2", NOW.plus_ms(1000)));
    assert_eq!(find_origin(&store, "m").await, adopted, "no create of ours made it");
}

async fn a_copy_that_loses_its_record_is_to_be_ended(factory: PoolFactory<'_>) {
    let store = two_servers(factory).await;
    let old = place_proven(&store).await;
    go_offline(&store, "a").await;
    let now = NOW.plus_ms(500);
    let mut request = with_token("new", place_request_at(now, "m", &["11111"]));
    request.pending_ends = vec![pending_end("a", "other")];
    store.place_new_meeting(request).await;
    let expected = PendingEnd {
        server: server_id("a"),
        key: key("m"),
        internal_id: Some("m-1".to_owned()),
        moderator_pw: old.moderator_pw.clone(),
        since: now,
        create_sent_at: NOW,
    };
    assert_eq!(store.list_pending_ends().await, [expected.clone(), pending_end("a", "other")]);
    let new = store.find_meeting(&key("m")).await.expect("a meeting").meeting;
    let origin = MeetingOrigin::proven(identity("m-2", now));
    store.confirm_meeting(&Meeting { origin, ..new }, now).await;
    // The server comes back with the old meeting, which is a copy, and later with one of others.
    let back = |internal_id: &str, ms: i64| {
        vec![identified(internal_id, reported_meeting("m", NOW.plus_ms(ms), 0))]
    };
    let at = NOW.plus_ms(9000);
    let list = back("m-1", 0);
    let report = store.record_poll("a", &successful_poll(at, list)).await.expect("a server");
    let unwanted = &report.outcome.unwanted[0];
    assert_eq!(
        (&unwanted.server, unwanted.kept_by.clone()),
        (&server_id("a"), Some(server_id("b")))
    );
    let list = back("m-9", 1);
    let report = store.record_poll("a", &successful_poll(at, list)).await.expect("a server");
    assert_eq!((report.outcome.unwanted.len(), report.outcome.foreign), (0, 1));
}

async fn copies_that_are_not_proven_are_left_alone(factory: PoolFactory<'_>) {
    for origin in [
        MeetingOrigin::default(),
        MeetingOrigin::adopted(identity("m-1", NOW)),
        MeetingOrigin { is_adopted: false, ..MeetingOrigin::adopted(identity("m-1", NOW)) },
    ] {
        let store = two_servers(factory).await;
        place_with_origin(&store, place_request("m", &["11111"]), origin).await;
        go_offline(&store, "a").await;
        store.place_new_meeting(with_token("new", place_request("m", &["11111"]))).await;
        assert_eq!(store.list_pending_ends().await, []);
    }
}

async fn an_expired_claim_leaves_a_pending_end(factory: PoolFactory<'_>) {
    let store = two_servers(factory).await;
    let old = store.place_new_meeting(place_request("m", &["11111"])).await;
    assert_eq!(old.server.id.0, "a");
    store.update_server("a", ServerChange::with_state(AdminState::Cordoned)).await;
    let now = NOW.plus_ms(2 * CLAIM_MS);
    store.place_new_meeting(with_token("new", place_request_at(now, "m", &["11111"]))).await;
    let since = NOW.plus_ms(CLAIM_MS);
    let expected = PendingEnd { since, create_sent_at: NOW, ..pending_end("a", "m") };
    assert_eq!(store.list_pending_ends().await, [expected]);
}

async fn a_copy_beside_another_requests_record_is_to_be_ended(factory: PoolFactory<'_>) {
    let store = two_servers(factory).await;
    let slow = store.place_new_meeting(place_request("m", &["11111"])).await.meeting;
    store.update_server("a", ServerChange::with_state(AdminState::Cordoned)).await;
    let now = NOW.plus_ms(2 * CLAIM_MS);
    let other = with_token("new", place_request_at(now, "m", &["11111"]));
    let kept = store.place_new_meeting(other).await.meeting;
    store.confirm_meeting(&kept, now).await;
    let origin = MeetingOrigin::proven(identity("m-1", NOW.plus_ms(9)));
    store.confirm_meeting(&Meeting { origin, ..slow }, now.plus_ms(3)).await;
    let expected = PendingEnd {
        internal_id: Some("m-1".to_owned()),
        since: now.plus_ms(3),
        create_sent_at: NOW.plus_ms(9),
        ..pending_end("a", "m")
    };
    assert_eq!(store.list_pending_ends().await, [expected]);
    assert_eq!(store.find_meeting(&key("m")).await.expect("a meeting").server.id.0, "b");
}

async fn a_copy_takes_the_record_of_an_offline_server(factory: PoolFactory<'_>) {
    let store = two_servers(factory).await;
    let old = place_proven(&store).await;
    let unanswered = PendingEnd { create_sent_at: NOW, ..pending_end("b", "m") };
    store.forget_and_end(&key("m"), "x", Some(&unanswered)).await;
    go_offline(&store, "a").await;
    let copy = || vec![identified("m-2", reported_meeting("m", NOW.plus_ms(1), 7))];
    let at = NOW.plus_ms(5000);
    let report = store.record_poll("b", &successful_poll(at, copy())).await.expect("a server");
    assert_eq!((report.outcome.adopted.len(), report.outcome.unwanted.len()), (1, 0));
    let found = store.find_meeting(&key("m")).await.expect("a meeting").meeting;
    assert_eq!((&found.server, found.detached), (&server_id("b"), false));
    assert_eq!(found.origin, MeetingOrigin::proven(identity("m-2", NOW.plus_ms(1))));
    let left = PendingEnd {
        internal_id: Some("m-1".to_owned()),
        moderator_pw: old.moderator_pw,
        since: at,
        create_sent_at: NOW,
        ..pending_end("a", "m")
    };
    assert_eq!(store.list_pending_ends().await, [left.clone(), unanswered]);
    store.record_poll("b", &successful_poll(at.plus_ms(1), copy())).await;
    assert_eq!(store.list_pending_ends().await, [left], "it is recorded there");
}

async fn a_proven_meeting_that_is_not_recorded_is_recorded(factory: PoolFactory<'_>) {
    let store = two_servers(factory).await;
    let unanswered = PendingEnd { create_sent_at: NOW, ..pending_end("a", "m") };
    store.forget_and_end(&key("m"), "x", Some(&unanswered)).await;
    let list = vec![identified("m-1", reported_meeting("m", NOW, 2))];
    let report =
        store.record_poll("a", &successful_poll(NOW.plus_ms(900), list)).await.expect("a server");
    assert_eq!(report.outcome.unwanted, [], "there is no other copy");
    let found = store.find_meeting(&key("m")).await.expect("a meeting").meeting;
    assert_eq!(found.origin, MeetingOrigin::proven(identity("m-1", NOW)));
    assert_eq!(found.moderator_pw, unanswered.moderator_pw);
}

/// Two servers with one secret, as two entries of one server have.
async fn twin_entries(factory: PoolFactory<'_>) -> TestPoolStore {
    let store = two_servers(factory).await;
    for id in ["a", "b"] {
        let secret = Some("of both".to_owned());
        store.update_server(id, ServerChange { secret, ..ServerChange::default() }).await;
    }
    store
}

async fn twins_are_noted_and_nothing_is_ended(factory: PoolFactory<'_>) {
    let store = twin_entries(factory).await;
    let meeting = place_proven(&store).await;
    // The create was sent to b as well, so even a pending end is there.
    let unanswered = PendingEnd { create_sent_at: NOW, ..pending_end("b", "m") };
    store.forget_and_end(&key("m"), "x", Some(&unanswered)).await;
    for ms in [5, 9000, 900_000] {
        let list = vec![identified("m-1", own_meeting("m", NOW, 40))];
        let report = store.record_poll("b", &successful_poll(NOW.plus_ms(ms), list)).await;
        let outcome = report.expect("a server").outcome;
        assert_eq!((outcome.unwanted, outcome.adopted), (vec![], vec![]));
        assert_eq!((outcome.twins, outcome.foreign), (vec![server_id("a")], 0));
    }
    assert_eq!(store.list_meetings().await, [meeting]);
    let twin_of = async |id: &str| store.find_server(id).await.expect("a server").twin_of;
    assert_eq!((twin_of("a").await, twin_of("b").await), (None, Some(server_id("a"))));
    let later = NOW.plus_ms(900_001);
    store.record_poll("b", &successful_poll(later, vec![])).await;
    assert_eq!(twin_of("b").await, Some(server_id("a")), "an empty list tells nothing");
    let url = Some("https://c.example.test/bigbluebutton/api".to_owned());
    store.update_server("b", ServerChange { url, ..ServerChange::default() }).await;
    assert_eq!(twin_of("b").await, None, "it is another server now");
    let list = || vec![identified("m-1", own_meeting("m", NOW, 40))];
    store.record_poll("b", &successful_poll(later.plus_ms(1), list())).await;
    store
        .record_poll("b", &successful_poll(later.plus_ms(2), vec![own_meeting("x", NOW, 1)]))
        .await;
    assert_eq!(twin_of("b").await, None, "it has other meetings");
}

async fn a_record_moves_to_the_twin_that_stays(factory: PoolFactory<'_>) {
    for is_cordoned in [true, false] {
        let store = twin_entries(factory).await;
        let old = place_proven(&store).await;
        let list = || vec![identified("m-1", own_meeting("m", NOW, 4))];
        if is_cordoned {
            store.update_server("a", ServerChange::with_state(AdminState::Cordoned)).await;
        } else {
            go_offline(&store, "a").await;
        }
        store.record_poll("b", &successful_poll(NOW.plus_ms(100), list())).await;
        let moved = store.find_meeting(&key("m")).await.expect("a meeting").meeting;
        assert_eq!((&moved.server, &moved.origin), (&server_id("b"), &old.origin));
        assert_eq!(moved.moderator_pw, old.moderator_pw);
        assert_eq!(store.list_pending_ends().await, [], "there is no copy");
        // The old entry reports it, too, and gets nothing back.
        store.record_poll("a", &successful_poll(NOW.plus_ms(200), list())).await;
        assert_eq!(store.find_meeting(&key("m")).await.expect("a meeting").meeting, moved);
    }
}
