//! Poll cycles: results of a cycle are dropped if a later cycle has recorded results.

use app::ports::StateStore;
use domain::Server;
use domain::poll::PollObservation;

use super::fixtures::{
    NOW, failed_poll, key, open_server, place_request, reported_meeting, successful_poll,
};
use super::pool_store::TestPoolStore;
use super::state_store::TestStateStore;
use super::{ContractCase, StateFactory};

pub(super) fn cases() -> Vec<ContractCase<dyn StateStore>> {
    super::cases![
        an_older_cycle_changes_nothing,
        the_same_cycle_may_come_again,
        polls_without_a_cycle_are_recorded_and_do_not_count,
        a_failed_poll_counts_too,
        every_server_has_its_own_cycle,
        a_server_that_is_added_again_has_no_cycle,
        cycles_of_unknown_servers_are_not_remembered,
        cycles_are_compared_as_numbers,
    ]
}

async fn store_with(factory: StateFactory<'_>, servers: &[Server]) -> TestPoolStore {
    let store = TestStateStore::new(factory).await.pool();
    for server in servers {
        assert!(store.add_server(server).await);
    }
    store
}

/// A poll that reports this number of users in the meeting `m`.
fn poll_with_users(ms: i64, users: u32) -> PollObservation {
    successful_poll(NOW.plus_ms(ms), vec![reported_meeting("m", NOW, users)])
}

/// Records a poll; returns whether it was recorded. Asserts that nothing changes if it was not.
async fn is_recorded(
    store: &TestPoolStore,
    id: &str,
    poll: &PollObservation,
    cycle: Option<u64>,
) -> bool {
    let before = (store.list_servers().await, store.list_meetings().await);
    let report = store.record_poll_in(id, poll, cycle).await;
    if report.is_none() {
        let after = (store.list_servers().await, store.list_meetings().await);
        assert_eq!(after, before, "dropped, and yet something changed");
    }
    report.is_some()
}

async fn an_older_cycle_changes_nothing(factory: StateFactory<'_>) {
    let store = store_with(factory, &[open_server("a", 0.0)]).await;
    store.place_and_confirm(place_request("m", &["11111"])).await;
    assert!(is_recorded(&store, "a", &poll_with_users(1_000, 40), Some(5)).await);
    let old = [
        poll_with_users(2_000, 3),
        successful_poll(NOW.plus_ms(2_000), vec![]),
        failed_poll(NOW.plus_ms(2_000)),
        failed_poll(NOW.plus_ms(3_000)),
        failed_poll(NOW.plus_ms(4_000)),
    ];
    for poll in &old {
        for cycle in [4, 1, 0] {
            assert!(!is_recorded(&store, "a", poll, Some(cycle)).await, "{cycle}");
        }
    }
    assert_eq!(store.find_load("a").await, Some(40.0));
    assert!(store.find_meeting(&key("m")).await.is_some());
    assert!(is_recorded(&store, "a", &poll_with_users(5_000, 41), Some(6)).await);
    assert_eq!(store.find_load("a").await, Some(41.0));
}

async fn the_same_cycle_may_come_again(factory: StateFactory<'_>) {
    let store = store_with(factory, &[open_server("a", 0.0)]).await;
    store.place_and_confirm(place_request("m", &["11111"])).await;
    for seen in [20, 30, 25] {
        assert!(is_recorded(&store, "a", &poll_with_users(1_000, seen), Some(5)).await);
        assert_eq!(store.find_load("a").await, Some(f64::from(seen)));
    }
}

async fn polls_without_a_cycle_are_recorded_and_do_not_count(factory: StateFactory<'_>) {
    let store = store_with(factory, &[open_server("a", 0.0)]).await;
    store.place_and_confirm(place_request("m", &["11111"])).await;
    assert!(is_recorded(&store, "a", &poll_with_users(500, 18), None).await);
    assert!(
        is_recorded(&store, "a", &poll_with_users(1_000, 20), Some(1)).await,
        "nothing was in its way"
    );
    assert!(is_recorded(&store, "a", &poll_with_users(2_000, 30), Some(7)).await);
    for seen in [40, 50] {
        assert!(is_recorded(&store, "a", &poll_with_users(3_000, seen), None).await);
        assert_eq!(store.find_load("a").await, Some(f64::from(seen)));
        assert!(!is_recorded(&store, "a", &poll_with_users(4_000, 1), Some(6)).await);
    }
    assert!(is_recorded(&store, "a", &poll_with_users(5_000, 60), Some(7)).await);
}

async fn a_failed_poll_counts_too(factory: StateFactory<'_>) {
    let store = store_with(factory, &[open_server("a", 0.0)]).await;
    store.place_and_confirm(place_request("m", &["11111"])).await;
    assert!(is_recorded(&store, "a", &failed_poll(NOW), Some(3)).await);
    assert!(!is_recorded(&store, "a", &poll_with_users(1_000, 20), Some(2)).await);
    assert!(is_recorded(&store, "a", &failed_poll(NOW), Some(4)).await);
    assert_eq!(store.find_load("a").await, None, "offline");
    assert!(!is_recorded(&store, "a", &poll_with_users(1_000, 20), Some(3)).await);
    assert!(!store.find_server("a").await.expect("a server").is_online());
}

async fn every_server_has_its_own_cycle(factory: StateFactory<'_>) {
    let store =
        store_with(factory, &[open_server("a", 0.0), open_server("b", 0.0), open_server("A", 0.0)])
            .await;
    for (id, cycle) in [("a", 9), ("b", 3), ("A", 1)] {
        assert!(is_recorded(&store, id, &successful_poll(NOW, vec![]), Some(cycle)).await, "{id}");
    }
    for (id, cycle) in [("a", 8), ("b", 2), ("A", 0)] {
        assert!(!is_recorded(&store, id, &successful_poll(NOW, vec![]), Some(cycle)).await, "{id}");
        assert!(
            is_recorded(&store, id, &successful_poll(NOW, vec![]), Some(cycle + 1)).await,
            "{id}"
        );
    }
}

async fn a_server_that_is_added_again_has_no_cycle(factory: StateFactory<'_>) {
    let store = store_with(factory, &[open_server("a", 0.0), open_server("b", 0.0)]).await;
    for id in ["a", "b"] {
        assert!(is_recorded(&store, id, &successful_poll(NOW, vec![]), Some(50)).await);
    }
    assert!(store.remove_server("a").await.is_some());
    assert!(
        !is_recorded(&store, "a", &successful_poll(NOW, vec![]), Some(51)).await,
        "there is none"
    );
    assert!(store.add_server(&open_server("a", 0.0)).await);
    assert!(is_recorded(&store, "a", &successful_poll(NOW, vec![]), Some(2)).await);
    assert!(!is_recorded(&store, "a", &successful_poll(NOW, vec![]), Some(1)).await);
    assert!(!is_recorded(&store, "b", &successful_poll(NOW, vec![]), Some(49)).await);
}

async fn cycles_of_unknown_servers_are_not_remembered(factory: StateFactory<'_>) {
    let store = store_with(factory, &[]).await;
    for cycle in [None, Some(1), Some(90)] {
        assert!(!is_recorded(&store, "a", &successful_poll(NOW, vec![]), cycle).await);
    }
    assert!(store.add_server(&open_server("a", 0.0)).await);
    assert!(is_recorded(&store, "a", &successful_poll(NOW, vec![]), Some(1)).await);
}

async fn cycles_are_compared_as_numbers(factory: StateFactory<'_>) {
    let store = store_with(factory, &[open_server("a", 0.0)]).await;
    let rising = [0, 9, 10, 99, 100, 1 << 31, (1 << 31) + 1, 1 << 32, 1 << 48, (1 << 48) + 1];
    for cycle in rising {
        assert!(
            is_recorded(&store, "a", &successful_poll(NOW, vec![]), Some(cycle)).await,
            "{cycle}"
        );
        if let Some(before) = cycle.checked_sub(1) {
            assert!(
                !is_recorded(&store, "a", &successful_poll(NOW, vec![]), Some(before)).await,
                "{before}"
            );
        }
    }
}
