//! Planned drains: one that is not over for each server, and of several processes that change one, one does.

use app::ports::{DrainAddition, StateStore};
use domain::drain::{AfterDrain, DrainOutcome, DrainPhase, PlannedDrain};
use domain::{AdminState, ServerId};

use super::fixtures::NOW;
use super::state_store::{TestStateStore, hostile_texts};
use super::{ContractCase, StateFactory};

const MAX: usize = 100;

pub(super) fn cases() -> Vec<ContractCase<dyn StateStore>> {
    super::cases![
        a_drain_is_kept_as_it_is,
        a_server_has_one_drain_that_is_not_over,
        the_number_of_drains_is_limited,
        a_drain_is_replaced_by_its_next_revision_only,
        drains_that_are_over_are_forgotten,
        one_of_many_replaces_a_drain,
    ]
}

fn drain(id: &str, server: &str) -> PlannedDrain {
    PlannedDrain {
        id: id.to_owned(),
        server: ServerId(server.to_owned()),
        host: format!("{server}.example"),
        planned_state: AdminState::Enabled,
        planned_at: NOW,
        planned_by: "ada".to_owned(),
        starts_at: NOW.plus_ms(60_000),
        deadline_ms: Some(7_200_000),
        warn_ms: 60_000,
        after: AfterDrain::EnableWhenHealthy,
        phase: DrainPhase::Planned,
        began_at: None,
        warned_at: None,
        drained_at: None,
        ended_at: None,
        remaining: Some((2, 9)),
        failures: 1,
        successes: 0,
        due_at: NOW.plus_ms(60_000),
        revision: 0,
    }
}

/// What becomes of a drain next: it is over.
fn over(mut drain: PlannedDrain, ms: i64) -> PlannedDrain {
    drain.end(DrainOutcome::Cancelled, NOW.plus_ms(ms));
    drain.revision += 1;
    drain
}

async fn add(store: &TestStateStore, drain: &PlannedDrain, max: usize) -> DrainAddition {
    store.state().add_drain(drain, max).await.expect("add_drain")
}

async fn replace(store: &TestStateStore, drain: &PlannedDrain) -> bool {
    store.state().replace_drain(drain).await.expect("replace_drain")
}

async fn list(store: &TestStateStore) -> Vec<PlannedDrain> {
    store.state().list_drains(true).await.expect("list_drains")
}

async fn list_ids(store: &TestStateStore) -> Vec<String> {
    list(store).await.into_iter().map(|drain| drain.id).collect()
}

async fn a_drain_is_kept_as_it_is(factory: StateFactory<'_>) {
    let store = TestStateStore::new(factory).await;
    let mut all = Vec::new();
    for (number, text) in (0..).zip(hostile_texts()) {
        let id = format!("{number:03}");
        let mut drain = drain(&id, &id);
        (drain.host, drain.planned_by) = (text.clone(), text);
        drain.starts_at = NOW.plus_ms(-number);
        assert_eq!(add(&store, &drain, MAX).await, DrainAddition::Added);
        all.insert(0, drain);
    }
    assert_eq!(list(&store).await, all);
}

async fn a_server_has_one_drain_that_is_not_over(factory: StateFactory<'_>) {
    let store = TestStateStore::new(factory).await;
    let first = drain("1", "a");
    assert_eq!(add(&store, &first, MAX).await, DrainAddition::Added);
    let taken = DrainAddition::ServerHasOne("1".to_owned());
    assert_eq!(add(&store, &drain("2", "a"), MAX).await, taken);
    assert_eq!(add(&store, &drain("2", "b"), MAX).await, DrainAddition::Added);
    assert!(replace(&store, &over(first, 1)).await);
    assert_eq!(add(&store, &drain("3", "a"), MAX).await, DrainAddition::Added);
    assert_eq!(list_ids(&store).await, ["1", "2", "3"]);
    let open = store.state().list_drains(false).await.expect("list_drains");
    assert_eq!(open.iter().map(|drain| &drain.id).collect::<Vec<_>>(), ["2", "3"]);
}

async fn the_number_of_drains_is_limited(factory: StateFactory<'_>) {
    let store = TestStateStore::new(factory).await;
    let (first, second) = (drain("1", "a"), drain("2", "b"));
    assert_eq!(add(&store, &first, 2).await, DrainAddition::Added);
    assert_eq!(add(&store, &second, 2).await, DrainAddition::Added);
    assert_eq!(add(&store, &drain("3", "c"), 2).await, DrainAddition::TooMany);
    assert!(replace(&store, &over(first, 1)).await);
    assert_eq!(add(&store, &drain("3", "c"), 2).await, DrainAddition::Added);
}

async fn a_drain_is_replaced_by_its_next_revision_only(factory: StateFactory<'_>) {
    let store = TestStateStore::new(factory).await;
    let mut drain = drain("1", "a");
    assert!(!replace(&store, &over(drain.clone(), 1)).await, "not there");
    add(&store, &drain, MAX).await;
    for (revision, is_replaced) in [(0, false), (2, false), (1, true), (1, false), (2, true)] {
        drain.revision = revision;
        assert_eq!(replace(&store, &drain).await, is_replaced, "{revision}");
    }
    let over = over(drain.clone(), 1);
    assert!(replace(&store, &over).await);
    drain.revision = over.revision + 1;
    assert!(!replace(&store, &drain).await, "what is over stays over");
    assert_eq!(list(&store).await, [over]);
}

async fn drains_that_are_over_are_forgotten(factory: StateFactory<'_>) {
    let store = TestStateStore::new(factory).await;
    for (id, ended) in
        [("1", Some(10)), ("2", Some(20)), ("3", Some(30)), ("4", Some(30)), ("5", None)]
    {
        let drain = drain(id, id);
        add(&store, &drain, MAX).await;
        if let Some(ms) = ended {
            assert!(replace(&store, &over(drain, ms)).await);
        }
    }
    let forget = async |ms, max| {
        store.state().forget_drains(NOW.plus_ms(ms), max).await.expect("forget_drains");
        list_ids(&store).await
    };
    assert_eq!(forget(10, 10).await, ["1", "2", "3", "4", "5"]);
    assert_eq!(forget(11, 10).await, ["2", "3", "4", "5"]);
    assert_eq!(forget(11, 1).await, ["4", "5"]);
    assert_eq!(forget(1_000, 10).await, ["5"]);
}

async fn one_of_many_replaces_a_drain(factory: StateFactory<'_>) {
    let store = TestStateStore::new(factory).await;
    let mut next = drain("1", "a");
    add(&store, &next, MAX).await;
    next.revision = 1;
    let results = futures_util::future::join_all((0..8).map(|_| replace(&store, &next))).await;
    assert_eq!(results.iter().filter(|is_replaced| **is_replaced).count(), 1, "{results:?}");
}
