//! Kept creates: they belong to a recorded meeting, and go with its record.

use app::ports::kept_creates::{LARGE_CREATE_BYTES, MAX_LARGE_CREATES_BYTES};
use app::ports::{KeptCreate, PlaceOutcome, ReplacedRecord, StateStore};
use domain::poll::PendingEnd;
use domain::{Meeting, MeetingIdentity, MeetingKey, MeetingOrigin, ServerId};

use super::fixtures::{
    NOW, failed_poll, key, open_server, own_meeting, pending_end, place_request, server_id,
    successful_poll, with_token,
};
use super::pool_store::TestPoolStore;
use super::state_store::{TestStateStore, hostile_texts};
use super::{ContractCase, StateFactory};

pub(super) fn cases() -> Vec<ContractCase<dyn StateStore>> {
    super::cases![
        a_create_is_kept_with_its_meeting,
        a_confirmation_keeps_the_create_of_the_recorded_meeting,
        a_create_is_found_for_its_own_meeting_only,
        a_create_goes_with_the_record,
        a_create_stays_while_its_server_is_offline,
        a_create_follows_the_record_to_a_copy_of_ours,
        large_creates_are_limited_together,
        hostile_creates_stay_as_they_are,
        a_revival_replaces_only_its_own_record,
    ]
}

fn identity(internal_id: &str) -> Option<MeetingIdentity> {
    MeetingIdentity::from_parts(Some(internal_id.to_owned()), NOW)
}

fn kept(internal_id: &str, sealed: &str) -> KeptCreate {
    KeptCreate { internal_id: internal_id.to_owned(), sealed: sealed.to_owned() }
}

/// A store with two servers and meetings that were confirmed with these internal ids.
async fn store_with(
    factory: StateFactory<'_>,
    meetings: &[(&str, &str)],
) -> (TestStateStore, TestPoolStore) {
    let store = TestStateStore::new(factory).await;
    let pool = store.pool();
    for (id, load) in [("a", 0.0), ("b", 500.0)] {
        pool.add_server(&open_server(id, load)).await;
    }
    for (number, (id, internal_id)) in meetings.iter().enumerate() {
        confirm(&pool, id, internal_id, number).await;
    }
    (store, pool)
}

async fn confirm(pool: &TestPoolStore, id: &str, internal_id: &str, number: usize) -> Meeting {
    let request = place_request(id, &[&format!("{}", 70_000 + number)]);
    let placed = pool.place_new_meeting(request).await.meeting;
    let origin = MeetingOrigin::proven(identity(internal_id));
    let confirmed = Meeting { origin, ..placed };
    pool.confirm_meeting(&confirmed, NOW).await;
    confirmed
}

async fn a_create_is_kept_with_its_meeting(factory: StateFactory<'_>) {
    let (store, _) = store_with(factory, &[("m", "i-m"), ("n", "i-n")]).await;
    assert_eq!(store.find_kept_create(&key("m")).await, None);
    assert!(store.keep_create(&key("m"), &kept("i-m", "first")).await);
    assert!(store.keep_create(&key("n"), &kept("i-n", "other")).await);
    assert!(store.keep_create(&key("m"), &kept("i-m", "second")).await);
    assert_eq!(store.find_kept_create(&key("m")).await, Some(kept("i-m", "second")));
    assert_eq!(store.find_kept_create(&key("n")).await, Some(kept("i-n", "other")));
}

async fn a_confirmation_keeps_the_create_of_the_recorded_meeting(factory: StateFactory<'_>) {
    let (store, pool) = store_with(factory, &[]).await;
    let claimed = pool.place_new_meeting(place_request("m", &["70001"])).await.meeting;
    let origin = MeetingOrigin::proven(identity("i-m"));
    let confirmed = Meeting { origin, ..claimed.clone() };
    pool.confirm_and_keep(&confirmed, NOW, &kept("other", "x")).await;
    assert_eq!(store.find_kept_create(&key("m")).await, None, "of another meeting");
    pool.confirm_and_keep(&confirmed, NOW, &kept("i-m", "x")).await;
    assert_eq!(store.find_kept_create(&key("m")).await, Some(kept("i-m", "x")));
    // The record of another request stays, and so does what is kept of it.
    let late = Meeting { server: ServerId("b".to_owned()), claim: None, ..claimed };
    let origin = MeetingOrigin::proven(identity("i-late"));
    pool.confirm_and_keep(&Meeting { origin, ..late }, NOW, &kept("i-late", "late")).await;
    assert_eq!(store.find_kept_create(&key("m")).await, Some(kept("i-m", "x")));
    // A record that was deleted meanwhile is written again, and its create is kept.
    assert!(pool.forget_meeting(&key("m"), "a").await);
    pool.confirm_and_keep(&confirmed, NOW, &kept("i-m", "again")).await;
    assert_eq!(store.find_kept_create(&key("m")).await, Some(kept("i-m", "again")));
}

async fn a_create_is_found_for_its_own_meeting_only(factory: StateFactory<'_>) {
    let (store, pool) = store_with(factory, &[("m", "i-m")]).await;
    assert!(!store.keep_create(&key("m"), &kept("other", "x")).await, "another meeting");
    assert!(!store.keep_create(&key("nobody"), &kept("i-m", "x")).await, "not recorded");
    let tenants = MeetingKey { tenant: Some("t".to_owned()), id: "m".to_owned() };
    assert!(!store.keep_create(&tenants, &kept("i-m", "x")).await, "another tenant's");
    assert!(store.keep_create(&key("m"), &kept("i-m", "x")).await);
    assert_eq!(store.find_kept_create(&tenants).await, None);
    assert!(!store.keep_create(&key("m"), &kept("other", "y")).await);
    assert_eq!(store.find_kept_create(&key("m")).await, Some(kept("i-m", "x")));
    // The server has started the meeting anew.
    let mut reported = own_meeting("m", NOW.plus_ms(30_000), 1);
    reported.internal_id = Some("i-2".to_owned());
    pool.record_poll("a", &successful_poll(NOW.plus_ms(60_000), vec![reported])).await;
    assert_eq!(store.find_kept_create(&key("m")).await, None);
}

async fn a_create_goes_with_the_record(factory: StateFactory<'_>) {
    let (store, pool) = store_with(factory, &[]).await;
    for step in 0..6 {
        let confirmed = confirm(&pool, "m", "i-m", 1).await;
        assert!(store.keep_create(&key("m"), &kept("i-m", "x")).await, "{step}");
        match step {
            0 => assert!(pool.forget_meeting(&key("m"), "a").await),
            1 => assert_eq!(pool.forget_server_meetings("a").await.len(), 1),
            2 => assert_eq!(pool.forget_unseen(NOW.plus_ms(1)).await.len(), 1),
            3 => {
                let polled_at = [300_000, 360_000, 420_000];
                for at in polled_at {
                    pool.record_poll("a", &successful_poll(NOW.plus_ms(at), Vec::new())).await;
                }
            }
            4 => {
                pool.remove_server("a").await.expect("a server");
                pool.add_server(&open_server("a", 0.0)).await;
            }
            _ => {
                // Placed anew, and the claim released.
                pool.record_poll("a", &failed_poll(NOW.plus_ms(1))).await;
                pool.record_poll("a", &failed_poll(NOW.plus_ms(2))).await;
                let request = with_token("again", place_request("m", &["70009"]));
                pool.place_new_meeting(request).await;
                assert!(pool.release_claim(&key("m"), "again").await);
            }
        }
        assert_eq!(pool.find_meeting(&key("m")).await, None, "{step}");
        assert!(pool.restore_meeting(&confirmed_record(&confirmed)).await, "{step}");
        assert_eq!(store.find_kept_create(&key("m")).await, None, "{step}");
        assert!(pool.forget_meeting(&key("m"), "a").await, "{step}");
    }
}

fn confirmed_record(confirmed: &Meeting) -> Meeting {
    Meeting { claim: None, ..confirmed.clone() }
}

async fn a_create_stays_while_its_server_is_offline(factory: StateFactory<'_>) {
    let (store, pool) = store_with(factory, &[("m", "i-m")]).await;
    assert!(store.keep_create(&key("m"), &kept("i-m", "x")).await);
    for at in [1, 2] {
        pool.record_poll("a", &failed_poll(NOW.plus_ms(at))).await;
    }
    assert!(pool.find_meeting(&key("m")).await.is_some_and(|found| found.meeting.detached));
    assert_eq!(store.find_kept_create(&key("m")).await, Some(kept("i-m", "x")));
    assert!(store.keep_create(&key("m"), &kept("i-m", "y")).await);
    let mut reported = own_meeting("m", NOW.plus_ms(30_000), 1);
    reported.internal_id = Some("i-m".to_owned());
    pool.record_poll("a", &successful_poll(NOW.plus_ms(60_000), vec![reported])).await;
    assert!(pool.find_meeting(&key("m")).await.is_some_and(|found| !found.meeting.detached));
    assert_eq!(store.find_kept_create(&key("m")).await, Some(kept("i-m", "y")));
}

async fn a_create_follows_the_record_to_a_copy_of_ours(factory: StateFactory<'_>) {
    let large = "x".repeat(LARGE_CREATE_BYTES + 1);
    for (pending_id, sealed) in [(Some("copy"), "x"), (Some("copy"), &large[..]), (None, "x")] {
        let (store, pool) = store_with(factory, &[("m", "i-m")]).await;
        assert!(store.keep_create(&key("m"), &kept("i-m", sealed)).await);
        if pending_id.is_some() {
            let internal_id = pending_id.map(str::to_owned);
            let proof = PendingEnd { internal_id, create_sent_at: NOW, ..pending_end("b", "m") };
            assert!(!pool.forget_and_end(&key("m"), "b", Some(&proof)).await);
        }
        for at in [1, 2] {
            pool.record_poll("a", &failed_poll(NOW.plus_ms(at))).await;
        }
        let mut reported = own_meeting("m", NOW, 5);
        reported.internal_id = Some("copy".to_owned());
        pool.record_poll("b", &successful_poll(NOW.plus_ms(60_000), vec![reported])).await;
        let found = pool.find_meeting(&key("m")).await.expect("recorded");
        let expected = pending_id.map(|id| (id, sealed));
        assert_eq!(found.server.id, server_id(if pending_id.is_some() { "b" } else { "a" }));
        let kept_create = store.find_kept_create(&key("m")).await;
        let expected = expected.unwrap_or(("i-m", "x"));
        assert_eq!(kept_create, Some(kept(expected.0, expected.1)));
    }
}

async fn large_creates_are_limited_together(factory: StateFactory<'_>) {
    let meetings = [("m", "i-m"), ("n", "i-n"), ("o", "i-o"), ("p", "i-p")];
    let (store, pool) = store_with(factory, &meetings).await;
    let half = "x".repeat(MAX_LARGE_CREATES_BYTES / 2);
    let large = "x".repeat(LARGE_CREATE_BYTES + 1);
    let small = "x".repeat(LARGE_CREATE_BYTES);
    assert!(store.keep_create(&key("m"), &kept("i-m", &half)).await);
    assert!(store.keep_create(&key("n"), &kept("i-n", &half)).await);
    assert!(!store.keep_create(&key("o"), &kept("i-o", &large)).await, "no room");
    assert!(store.keep_create(&key("o"), &kept("i-o", &small)).await, "small ones always fit");
    assert!(!store.keep_create(&key("o"), &kept("i-o", &large)).await);
    assert_eq!(store.find_kept_create(&key("o")).await, Some(kept("i-o", &small)));
    assert!(store.keep_create(&key("m"), &kept("i-m", &half)).await, "it replaces its own");
    assert!(pool.forget_meeting(&key("n"), "a").await);
    assert!(store.keep_create(&key("p"), &kept("i-p", &large)).await, "there is room again");
}

async fn hostile_creates_stay_as_they_are(factory: StateFactory<'_>) {
    let (store, _) = store_with(factory, &[("m", "i-m")]).await;
    for text in hostile_texts() {
        assert!(store.keep_create(&key("m"), &kept("i-m", &text)).await, "{text:?}");
        assert_eq!(store.find_kept_create(&key("m")).await, Some(kept("i-m", &text)), "{text:?}");
    }
}

async fn a_revival_replaces_only_its_own_record(factory: StateFactory<'_>) {
    let (_, pool) = store_with(factory, &[("m", "i-m")]).await;
    let revival = |id: &str, internal_id: &str| {
        let mut request = with_token("revival", place_request(id, &["70001"]));
        let server = server_id("a");
        request.replaces = Some(ReplacedRecord { internal_id: internal_id.to_owned(), server });
        request
    };
    let nothing = PlaceOutcome::NothingToReplace;
    assert_eq!(pool.place_meeting(revival("nobody", "i-m")).await, nothing);
    let online = pool.place_meeting(revival("m", "i-m")).await;
    assert!(matches!(online, PlaceOutcome::Existing(_)), "its server is online: {online:?}");
    for at in [1, 2] {
        pool.record_poll("a", &failed_poll(NOW.plus_ms(at))).await;
    }
    let other = pool.place_meeting(revival("m", "other")).await;
    assert!(matches!(other, PlaceOutcome::Existing(_)), "another meeting: {other:?}");
    let revived = pool.place_new_meeting(revival("m", "i-m")).await.meeting;
    assert_eq!(revived.server, server_id("b"));
    assert!(revived.is_revived() && revived.placement_reason.contains('a'), "{revived:?}");
    let ends = pool.list_pending_ends().await;
    assert_eq!(ends.len(), 1);
    assert_eq!((&ends[0].server.0[..], ends[0].internal_id.as_deref()), ("a", Some("i-m")));
    // Its own claim may move on; another revival finds a claim that is not its own.
    let second = with_token("second", revival("m", "i-m"));
    assert!(matches!(pool.place_meeting(second).await, PlaceOutcome::Existing(_)));
    let again = pool.place_new_meeting(revival("m", "i-m")).await.meeting;
    assert_eq!(again.claim, revived.claim);
    // Somebody has ended the meeting meanwhile.
    assert!(pool.forget_meeting(&key("m"), "b").await);
    assert_eq!(pool.place_meeting(revival("m", "i-m")).await, nothing);
}
