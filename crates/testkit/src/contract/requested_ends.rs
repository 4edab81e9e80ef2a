//! Ends that somebody asked for: they mean all copies of the meeting that are known.

use app::ports::PoolStore;
use domain::poll::PendingEnd;
use domain::{MeetingKey, Timestamp};

use super::fixtures::{NOW, key, open_server, pending_end};
use super::pool_store::TestPoolStore;
use super::{ContractCase, PoolFactory};

pub(super) fn cases() -> Vec<ContractCase<dyn PoolStore>> {
    super::cases![an_end_on_request_means_known_copies_too]
}

async fn an_end_on_request_means_known_copies_too(factory: PoolFactory<'_>) {
    let servers = ["a", "b", "c"].map(|id| open_server(id, 0.0));
    let store = TestPoolStore::with(factory, &servers).await;
    let named = |server, meeting| PendingEnd {
        internal_id: Some(format!("on-{server}")),
        create_sent_at: NOW,
        ..pending_end(server, meeting)
    };
    let other_tenants = PendingEnd {
        key: MeetingKey { tenant: Some("t".to_owned()), id: "m".to_owned() },
        ..named("b", "m")
    };
    let unnamed = PendingEnd { create_sent_at: NOW, ..pending_end("c", "m") };
    for known in [named("b", "m"), named("b", "n"), other_tenants.clone(), unnamed.clone()] {
        store.forget_and_end(&known.key, "b", Some(&known)).await;
    }
    let requested = PendingEnd {
        since: NOW.plus_ms(9),
        create_sent_at: Timestamp::default(),
        ..pending_end("a", "m")
    };
    store.forget_and_end(&key("m"), "a", Some(&requested)).await;
    let copy = named("b", "m").after_request(NOW.plus_ms(9)).unwrap();
    let expected = [requested, copy, named("b", "n"), other_tenants, unnamed];
    assert_eq!(store.list_pending_ends().await, expected);
}
