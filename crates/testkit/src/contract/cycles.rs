//! Cycles of polls: what a slow poller brings after a later cycle has recorded its own is dropped.

use domain::Server;
use domain::poll::Observation;

use super::hot::HotStore;
use super::store::{NOW, Store, answer, key, open, reported, request, silence};
use super::{Case, HotFactory};

pub(super) fn cases(factory: HotFactory<'_>) -> Vec<Case<'_>> {
    super::cases![factory;
        an_older_cycle_changes_nothing,
        the_same_cycle_may_come_again,
        polls_out_of_turn_are_recorded_and_do_not_count,
        a_failed_poll_counts_too,
        every_server_has_its_own_cycle,
        a_server_that_comes_back_begins_anew,
        cycles_of_unknown_servers_are_not_remembered,
        cycles_are_compared_as_numbers,
    ]
}

async fn with(factory: HotFactory<'_>, servers: &[Server]) -> Store {
    let store = HotStore::new(factory).await.cluster();
    for server in servers {
        assert!(store.add(server).await);
    }
    store
}

/// A poll that saw so many users in the meeting m.
fn users(ms: i64, users: u32) -> Observation {
    answer(NOW.plus_ms(ms), vec![reported("m", NOW, users)])
}

/// Polls and tells whether that was recorded.
async fn recorded(store: &Store, id: &str, poll: &Observation, cycle: Option<u64>) -> bool {
    let before = (store.servers().await, store.meetings().await);
    let report = store.poll_in(id, poll, cycle).await;
    if report.is_none() {
        let after = (store.servers().await, store.meetings().await);
        assert_eq!(after, before, "dropped, and yet something changed");
    }
    report.is_some()
}

async fn an_older_cycle_changes_nothing(factory: HotFactory<'_>) {
    let store = with(factory, &[open("a", 0.0)]).await;
    store.settle(request("m", &["11111"])).await;
    assert!(recorded(&store, "a", &users(1_000, 40), Some(5)).await);
    let old = [
        users(2_000, 3),
        answer(NOW.plus_ms(2_000), vec![]),
        silence(NOW.plus_ms(2_000)),
        silence(NOW.plus_ms(3_000)),
        silence(NOW.plus_ms(4_000)),
    ];
    for poll in &old {
        for cycle in [4, 1, 0] {
            assert!(!recorded(&store, "a", poll, Some(cycle)).await, "{cycle}");
        }
    }
    assert_eq!(store.load("a").await, Some(40.0));
    assert!(store.meeting(&key("m")).await.is_some());
    assert!(recorded(&store, "a", &users(5_000, 41), Some(6)).await);
    assert_eq!(store.load("a").await, Some(41.0));
}

async fn the_same_cycle_may_come_again(factory: HotFactory<'_>) {
    let store = with(factory, &[open("a", 0.0)]).await;
    store.settle(request("m", &["11111"])).await;
    for seen in [20, 30, 25] {
        assert!(recorded(&store, "a", &users(1_000, seen), Some(5)).await);
        assert_eq!(store.load("a").await, Some(f64::from(seen)));
    }
}

async fn polls_out_of_turn_are_recorded_and_do_not_count(factory: HotFactory<'_>) {
    let store = with(factory, &[open("a", 0.0)]).await;
    store.settle(request("m", &["11111"])).await;
    assert!(recorded(&store, "a", &users(500, 18), None).await);
    assert!(recorded(&store, "a", &users(1_000, 20), Some(1)).await, "nothing was in its way");
    assert!(recorded(&store, "a", &users(2_000, 30), Some(7)).await);
    for seen in [40, 50] {
        assert!(recorded(&store, "a", &users(3_000, seen), None).await);
        assert_eq!(store.load("a").await, Some(f64::from(seen)));
        assert!(!recorded(&store, "a", &users(4_000, 1), Some(6)).await);
    }
    assert!(recorded(&store, "a", &users(5_000, 60), Some(7)).await);
}

async fn a_failed_poll_counts_too(factory: HotFactory<'_>) {
    let store = with(factory, &[open("a", 0.0)]).await;
    store.settle(request("m", &["11111"])).await;
    assert!(recorded(&store, "a", &silence(NOW), Some(3)).await);
    assert!(!recorded(&store, "a", &users(1_000, 20), Some(2)).await);
    assert!(recorded(&store, "a", &silence(NOW), Some(4)).await);
    assert_eq!(store.load("a").await, None, "offline");
    assert!(!recorded(&store, "a", &users(1_000, 20), Some(3)).await);
    assert!(!store.server("a").await.expect("a server").online());
}

async fn every_server_has_its_own_cycle(factory: HotFactory<'_>) {
    let store = with(factory, &[open("a", 0.0), open("b", 0.0), open("A", 0.0)]).await;
    for (id, cycle) in [("a", 9), ("b", 3), ("A", 1)] {
        assert!(recorded(&store, id, &answer(NOW, vec![]), Some(cycle)).await, "{id}");
    }
    for (id, cycle) in [("a", 8), ("b", 2), ("A", 0)] {
        assert!(!recorded(&store, id, &answer(NOW, vec![]), Some(cycle)).await, "{id}");
        assert!(recorded(&store, id, &answer(NOW, vec![]), Some(cycle + 1)).await, "{id}");
    }
}

async fn a_server_that_comes_back_begins_anew(factory: HotFactory<'_>) {
    let store = with(factory, &[open("a", 0.0), open("b", 0.0)]).await;
    for id in ["a", "b"] {
        assert!(recorded(&store, id, &answer(NOW, vec![]), Some(50)).await);
    }
    assert!(store.remove("a").await.is_some());
    assert!(!recorded(&store, "a", &answer(NOW, vec![]), Some(51)).await, "there is none");
    assert!(store.add(&open("a", 0.0)).await);
    assert!(recorded(&store, "a", &answer(NOW, vec![]), Some(2)).await);
    assert!(!recorded(&store, "a", &answer(NOW, vec![]), Some(1)).await);
    assert!(!recorded(&store, "b", &answer(NOW, vec![]), Some(49)).await);
}

async fn cycles_of_unknown_servers_are_not_remembered(factory: HotFactory<'_>) {
    let store = with(factory, &[]).await;
    for cycle in [None, Some(1), Some(90)] {
        assert!(!recorded(&store, "a", &answer(NOW, vec![]), cycle).await);
    }
    assert!(store.add(&open("a", 0.0)).await);
    assert!(recorded(&store, "a", &answer(NOW, vec![]), Some(1)).await);
}

async fn cycles_are_compared_as_numbers(factory: HotFactory<'_>) {
    let store = with(factory, &[open("a", 0.0)]).await;
    let rising = [0, 9, 10, 99, 100, 1 << 31, (1 << 31) + 1, 1 << 32, 1 << 48, (1 << 48) + 1];
    for cycle in rising {
        assert!(recorded(&store, "a", &answer(NOW, vec![]), Some(cycle)).await, "{cycle}");
        if let Some(before) = cycle.checked_sub(1) {
            assert!(!recorded(&store, "a", &answer(NOW, vec![]), Some(before)).await, "{before}");
        }
    }
}
