//! Samples of the pool: what was appended is listed, by time and by subject.

use app::ports::StateStore;
use domain::Timestamp;
use domain::samples::SampleSpan::{self, Hour, Minute};

use super::state_store::{TestStateStore, hostile_texts};
use super::{ContractCase, StateFactory};

pub(super) fn cases() -> Vec<ContractCase<dyn StateStore>> {
    super::cases![
        samples_are_appended_to_blocks,
        blocks_are_forgotten_by_age,
        subjects_may_be_any_text,
        samples_of_many_servers_are_appended
    ]
}

const HOUR_MS: i64 = 3_600_000;

/// The starts and the entries of a subject's blocks.
async fn list(
    store: &TestStateStore,
    span: SampleSpan,
    subject: &str,
    from: i64,
) -> Vec<(i64, String)> {
    let blocks =
        store.samples().list_sample_blocks(span, subject, Timestamp(from)).await.expect("listed");
    assert!(blocks.iter().all(|block| block.subject == subject));
    blocks.into_iter().map(|block| (block.start.0, block.entries)).collect()
}

async fn append(store: &TestStateStore, span: SampleSpan, start: i64, entries: &[(&str, &str)]) {
    let entries: Vec<(String, String)> = entries
        .iter()
        .map(|(subject, entry)| ((*subject).to_owned(), (*entry).to_owned()))
        .collect();
    store.samples().append_samples(span, Timestamp(start), &entries).await.expect("appended");
}

async fn samples_are_appended_to_blocks(factory: StateFactory<'_>) {
    let store = TestStateStore::new(factory).await;
    assert_eq!(list(&store, Minute, "pool", 0).await, []);
    append(&store, Minute, 2 * HOUR_MS, &[("pool", "a;"), ("server/1", "b;")]).await;
    append(&store, Minute, 2 * HOUR_MS, &[("pool", "c;")]).await;
    append(&store, Minute, 10 * HOUR_MS, &[("pool", "d;")]).await;
    append(&store, Minute, HOUR_MS, &[("pool", "e;")]).await;
    append(&store, Hour, 0, &[("pool", "f;")]).await;
    append(&store, Hour, 0, &[]).await;
    let text = |text: &str| text.to_owned();
    let all = [(HOUR_MS, text("e;")), (2 * HOUR_MS, text("a;c;")), (10 * HOUR_MS, text("d;"))];
    assert_eq!(list(&store, Minute, "pool", 0).await, all);
    assert_eq!(list(&store, Minute, "pool", 2 * HOUR_MS).await, all[1..]);
    assert_eq!(list(&store, Minute, "pool", 2 * HOUR_MS + 1).await, all[2..]);
    assert_eq!(list(&store, Minute, "server/1", 0).await, [(2 * HOUR_MS, text("b;"))]);
    assert_eq!(list(&store, Minute, "server/2", 0).await, []);
    assert_eq!(list(&store, Hour, "pool", -1).await, [(0, text("f;"))]);
    let at = store.samples().list_blocks_at(Minute, Timestamp(2 * HOUR_MS)).await.expect("listed");
    let at: Vec<_> =
        at.iter().map(|block| (block.subject.as_str(), block.entries.as_str())).collect();
    assert_eq!(at, [("pool", "a;c;"), ("server/1", "b;")]);
    let none =
        store.samples().list_blocks_at(Minute, Timestamp(HOUR_MS + 1)).await.expect("listed");
    assert!(none.is_empty());
}

async fn blocks_are_forgotten_by_age(factory: StateFactory<'_>) {
    let store = TestStateStore::new(factory).await;
    for hour in 1..=3 {
        append(&store, Minute, hour * HOUR_MS, &[("pool", "a;"), ("server/1", "b;")]).await;
        append(&store, Hour, hour * HOUR_MS, &[("pool", "a;")]).await;
    }
    store.samples().forget_samples(Minute, Timestamp(3 * HOUR_MS)).await.expect("forgotten");
    assert_eq!(list(&store, Minute, "pool", 0).await, [(3 * HOUR_MS, "a;".to_owned())]);
    assert_eq!(list(&store, Minute, "server/1", 0).await, [(3 * HOUR_MS, "b;".to_owned())]);
    assert_eq!(list(&store, Hour, "pool", 0).await.len(), 3);
    // A block that was forgotten begins anew.
    append(&store, Minute, HOUR_MS, &[("pool", "c;")]).await;
    assert_eq!(list(&store, Minute, "pool", 0).await[0], (HOUR_MS, "c;".to_owned()));
}

async fn subjects_may_be_any_text(factory: StateFactory<'_>) {
    let store = TestStateStore::new(factory).await;
    for text in hostile_texts() {
        let subject = format!("server/{text}");
        append(&store, Minute, HOUR_MS, &[(&subject, "1;")]).await;
        append(&store, Minute, HOUR_MS, &[(&subject, "2;")]).await;
        assert_eq!(
            list(&store, Minute, &subject, 0).await,
            [(HOUR_MS, "1;2;".to_owned())],
            "{text:?}"
        );
    }
}

async fn samples_of_many_servers_are_appended(factory: StateFactory<'_>) {
    let store = TestStateStore::new(factory).await;
    let subjects: Vec<String> = (0..3_000).map(|number| format!("server/{number}")).collect();
    let entries: Vec<(&str, &str)> =
        subjects.iter().map(|subject| (subject.as_str(), "1;")).collect();
    append(&store, Minute, HOUR_MS, &entries).await;
    let blocks = store.samples().list_blocks_at(Minute, Timestamp(HOUR_MS)).await.expect("listed");
    assert_eq!(blocks.len(), subjects.len());
}
