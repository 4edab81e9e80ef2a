//! The history of meeting sessions, and the id of a store.

use app::ports::StateStore;
use domain::{MeetingKey, MeetingSession, Timestamp};

use super::fixtures::{NOW, open_server};
use super::state_store::{TestStateStore, hostile_texts};
use super::{ContractCase, StateFactory};

pub(super) fn cases() -> Vec<ContractCase<dyn StateStore>> {
    super::cases![
        sessions_come_back_whole_and_the_newest_first,
        a_session_is_there_once,
        the_newest_sessions_are_listed_within_bounds,
        old_and_superfluous_sessions_are_forgotten,
        more_sessions_than_one_answer_holds,
        a_store_gets_its_id_once,
        lost_servers_are_restored_together,
    ]
}

fn session(id: &str, ms: i64) -> MeetingSession {
    let key = MeetingKey { tenant: None, id: id.to_owned() };
    MeetingSession { key, created_at: NOW.plus_ms(ms), peak_users: 40, busy_ms: 3_600_000 }
}

async fn list_ids(store: &TestStateStore, since: i64, max: usize) -> Vec<String> {
    let found = store.list_sessions(NOW.plus_ms(since), max).await;
    found.into_iter().map(|session| session.key.id).collect()
}

async fn sessions_come_back_whole_and_the_newest_first(factory: StateFactory<'_>) {
    let store = TestStateStore::new(factory).await;
    let mut all = Vec::new();
    for (n, name) in (0..).zip(hostile_texts()) {
        let mut session = session(&name, n);
        session.key.tenant = (n % 2 == 0).then(|| format!("tenant {name}"));
        (session.peak_users, session.busy_ms) = (u32::MAX, i64::MAX / 2);
        all.push(session);
    }
    for session in &all {
        store.record_session(session).await;
    }
    all.reverse();
    assert_eq!(store.list_sessions(Timestamp(0), 10_000).await, all);
}

async fn a_session_is_there_once(factory: StateFactory<'_>) {
    let store = TestStateStore::new(factory).await;
    let mut tenants = session("m", 0);
    tenants.key.tenant = Some("t".to_owned());
    let later = MeetingSession { peak_users: 7, busy_ms: 1, ..session("m", 0) };
    for session in [session("m", 0), session("M", 0), tenants, session("m", 1), later.clone()] {
        store.record_session(&session).await;
        store.record_session(&session).await;
    }
    let found = store.list_sessions(NOW, 10).await;
    assert_eq!(found.len(), 4, "{found:?}");
    assert!(found.contains(&later) && !found.contains(&session("m", 0)));
}

async fn the_newest_sessions_are_listed_within_bounds(factory: StateFactory<'_>) {
    let store = TestStateStore::new(factory).await;
    assert_eq!(list_ids(&store, 0, 10).await, [""; 0]);
    for (id, ms) in [("n", 10), ("l", 0), ("o", 20), ("m", 5)] {
        store.record_session(&session(id, ms)).await;
    }
    assert_eq!(list_ids(&store, 0, 10).await, ["o", "n", "m", "l"]);
    assert_eq!(list_ids(&store, 5, 10).await, ["o", "n", "m"], "from that moment on");
    assert_eq!(list_ids(&store, 6, 10).await, ["o", "n"]);
    assert_eq!(list_ids(&store, 0, 3).await, ["o", "n", "m"]);
    assert_eq!(list_ids(&store, 0, 0).await, [""; 0]);
    assert_eq!(list_ids(&store, 21, 10).await, [""; 0]);
}

async fn old_and_superfluous_sessions_are_forgotten(factory: StateFactory<'_>) {
    let store = TestStateStore::new(factory).await;
    store.forget_sessions(NOW, 0).await;
    for n in 0..6 {
        store.record_session(&session(&format!("{n}"), n)).await;
    }
    store.forget_sessions(NOW.plus_ms(1), 6).await;
    assert_eq!(list_ids(&store, 0, 10).await, ["5", "4", "3", "2", "1"]);
    store.forget_sessions(NOW, 3).await;
    assert_eq!(list_ids(&store, 0, 10).await, ["5", "4", "3"]);
    store.forget_sessions(NOW, 3).await;
    store.forget_sessions(NOW.plus_ms(4), 2).await;
    assert_eq!(list_ids(&store, 0, 10).await, ["5", "4"]);
    store.forget_sessions(NOW, 0).await;
    assert_eq!(list_ids(&store, 0, 10).await, [""; 0]);
}

async fn more_sessions_than_one_answer_holds(factory: StateFactory<'_>) {
    const SESSION_COUNT: i64 = 2_100;
    let store = TestStateStore::new(factory).await;
    let all: Vec<MeetingSession> =
        (0..SESSION_COUNT).map(|n| session(&format!("{n}"), n)).collect();
    let writer = &store;
    let tasks = all.chunks(100).map(|some| async move {
        for session in some {
            writer.record_session(session).await;
        }
    });
    futures_util::future::join_all(tasks).await;
    let found = store.list_sessions(NOW.plus_ms(50), 2_000).await;
    let expected: Vec<MeetingSession> = all.iter().rev().take(2_000).cloned().collect();
    assert!(found == expected, "{} sessions", found.len());
    assert_eq!(store.list_sessions(NOW.plus_ms(100), 10_000).await.len(), 2_000);
}

async fn a_store_gets_its_id_once(factory: StateFactory<'_>) {
    let store = TestStateStore::new(factory).await.pool();
    assert_eq!(store.claim_store_id("ä 'first'").await, "ä 'first'");
    for id in ["second", "", "ä 'first'"] {
        assert_eq!(store.claim_store_id(id).await, "ä 'first'");
    }
}

async fn lost_servers_are_restored_together(factory: StateFactory<'_>) {
    let store = TestStateStore::new(factory).await.pool();
    let servers = [open_server("z", 1.0), open_server("a", 2.0)];
    assert_eq!(store.claim_store_id("now").await, "now");
    assert!(!store.restore_servers("now", &servers).await, "nothing is lost");
    assert_eq!(store.list_servers().await, []);
    assert!(store.restore_servers("before", &servers).await);
    assert_eq!(store.list_servers().await, servers);
    assert!(
        !store.restore_servers("before", &[open_server("x", 0.0)]).await,
        "another process was faster"
    );
    assert_eq!(store.list_servers().await, servers);
}
