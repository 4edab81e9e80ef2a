//! Restoring meetings from another store.

use app::ports::PoolStore;
use domain::{Claim, Meeting, MeetingKey, MeetingUsage};

use super::fixtures::{NOW, expected_meeting, key, open_server, place_request, server_id};
use super::pool_store::TestPoolStore;
use super::{ContractCase, PoolFactory};

pub(super) fn cases() -> Vec<ContractCase<dyn PoolStore>> {
    super::cases![
        a_meeting_is_restored_as_it_is,
        nothing_is_restored_over_a_meeting,
        a_meeting_is_restored_only_with_its_server,
        a_taken_voice_bridge_is_not_restored,
        a_detached_meeting_is_restored_beside_the_one_with_its_bridge,
    ]
}

/// A meeting that was polled and joined, with or without a claim.
fn meeting_to_restore(id: &str, claimed: bool) -> Meeting {
    let mut meeting = expected_meeting(&place_request(id, &[]), "a", "12345");
    meeting.claim = claimed.then(|| Claim { token: "t".to_owned(), until: NOW.plus_ms(9) });
    meeting.seen_at = NOW.plus_ms(77);
    meeting.load.users = 31;
    meeting.usage = MeetingUsage { peak_users: 40, busy_until: NOW.plus_ms(70) };
    meeting.missed_polls = 1;
    meeting.placement_reason = "because".to_owned();
    meeting
}

async fn a_meeting_is_restored_as_it_is(factory: PoolFactory<'_>) {
    for claimed in [false, true] {
        let store = TestPoolStore::with(factory, &[open_server("a", 40.0)]).await;
        let mut meeting = meeting_to_restore("m", claimed);
        meeting.key.tenant = claimed.then(|| "tenant".to_owned());
        assert!(store.restore_meeting(&meeting).await);
        assert_eq!(store.list_meetings().await, std::slice::from_ref(&meeting));
        assert_eq!(store.list_meetings_on("a").await, [meeting]);
        assert_eq!(store.find_load("a").await, Some(40.0), "it came with its server");
        assert!(!store.is_bridge_free("12345").await);
    }
}

async fn nothing_is_restored_over_a_meeting(factory: PoolFactory<'_>) {
    let store = TestPoolStore::with(factory, &[open_server("a", 0.0)]).await;
    let there = store.place_and_confirm(place_request("m", &["11111"])).await;
    assert!(!store.restore_meeting(&meeting_to_restore("m", false)).await);
    assert_eq!(store.list_meetings().await, [there]);
    assert!(store.is_bridge_free("12345").await);
    let mut tenants = meeting_to_restore("m", false);
    tenants.key = MeetingKey { tenant: Some("t".to_owned()), ..key("m") };
    assert!(store.restore_meeting(&tenants).await, "another tenant's is another meeting");
    assert_eq!(store.list_meetings().await.len(), 2);
}

async fn a_meeting_is_restored_only_with_its_server(factory: PoolFactory<'_>) {
    let store = TestPoolStore::with(factory, &[open_server("b", 0.0)]).await;
    assert!(!store.restore_meeting(&meeting_to_restore("m", false)).await);
    assert_eq!(store.list_meetings().await, []);
    let here = Meeting { server: server_id("b"), ..meeting_to_restore("m", false) };
    assert!(store.restore_meeting(&here).await);
}

async fn a_taken_voice_bridge_is_not_restored(factory: PoolFactory<'_>) {
    let store = TestPoolStore::with(factory, &[open_server("a", 0.0)]).await;
    assert!(store.restore_meeting(&meeting_to_restore("m", false)).await);
    let second = meeting_to_restore("n", false);
    assert!(store.restore_meeting(&second).await);
    let expected = Meeting { voice_bridge: None, ..second };
    assert_eq!(store.find_meeting(&key("n")).await.map(|found| found.meeting), Some(expected));
}

async fn a_detached_meeting_is_restored_beside_the_one_with_its_bridge(factory: PoolFactory<'_>) {
    let store = TestPoolStore::with(factory, &[open_server("a", 0.0)]).await;
    let detached = |id| Meeting { detached: true, ..meeting_to_restore(id, false) };
    let all = [detached("l"), meeting_to_restore("m", false), detached("n")];
    for meeting in &all {
        assert!(store.restore_meeting(meeting).await);
        assert!(!store.restore_meeting(meeting).await, "once");
    }
    assert_eq!(store.list_meetings().await, all);
    assert_eq!(store.list_meetings_on("a").await, all);
    assert!(!store.is_bridge_free("12345").await);
    assert!(store.forget_meeting(&key("m"), "a").await);
    assert!(store.is_bridge_free("12345").await, "those that are detached hold none");
}
