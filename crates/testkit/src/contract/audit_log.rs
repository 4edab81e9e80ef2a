//! The audit: records are appended, listed in pages from the newest on, and forgotten by age and number.

use app::ports::{AuditRecord, AuditTarget, StateStore};
use domain::Timestamp;

use super::fixtures::NOW;
use super::state_store::{TestStateStore, hostile_texts};
use super::{ContractCase, StateFactory};

pub(super) fn cases() -> Vec<ContractCase<dyn StateStore>> {
    super::cases![
        records_come_back_whole_and_the_newest_first,
        a_record_is_there_once,
        lists_continue_where_they_ended,
        records_of_one_time_are_listed_in_pages,
        old_and_superfluous_records_are_forgotten,
    ]
}

fn record(id: &str, ms: i64) -> AuditRecord {
    AuditRecord {
        at: NOW.plus_ms(ms),
        id: id.to_owned(),
        actor: "ada@example".to_owned(),
        action: "server.update".to_owned(),
        target: AuditTarget { server: Some("s".to_owned()), ..AuditTarget::default() },
        before: None,
        after: None,
        request_id: None,
    }
}

async fn append(store: &TestStateStore, records: &[AuditRecord]) {
    store.state().append_audit(records).await.expect("append_audit");
}

async fn list(
    store: &TestStateStore,
    since: i64,
    before: Option<&AuditRecord>,
    max: usize,
) -> Vec<AuditRecord> {
    let before = before.map(AuditRecord::position);
    let found = store.state().list_audit(NOW.plus_ms(since), before.as_ref(), max).await;
    found.expect("list_audit")
}

fn ids(records: &[AuditRecord]) -> Vec<&str> {
    records.iter().map(|record| record.id.as_str()).collect()
}

async fn records_come_back_whole_and_the_newest_first(factory: StateFactory<'_>) {
    let store = TestStateStore::new(factory).await;
    assert_eq!(list(&store, 0, None, 10).await, []);
    append(&store, &[]).await;
    let mut all: Vec<AuditRecord> = Vec::new();
    for (n, text) in (0..).zip(hostile_texts()) {
        all.push(AuditRecord {
            actor: text.clone(),
            action: text.clone(),
            target: AuditTarget {
                server: Some(text.clone()),
                host: (n % 2 == 0).then(|| text.clone()),
                meeting: Some(format!("{text}\0")),
                tenant: Some(text.clone()),
                recording: Some(text.clone()),
                name: Some(text.clone()),
            },
            before: (n % 2 == 0).then(|| text.clone()),
            after: Some(text.clone()),
            request_id: Some(text.clone()),
            ..record(&format!("id {n}"), n)
        });
    }
    append(&store, &all).await;
    all.reverse();
    assert_eq!(list(&store, 0, None, 10_000).await, all);
}

async fn a_record_is_there_once(factory: StateFactory<'_>) {
    let store = TestStateStore::new(factory).await;
    let first = record("a", 0);
    append(&store, &[first.clone(), record("b", 0)]).await;
    let other = AuditRecord { actor: "somebody else".to_owned(), ..first.clone() };
    append(&store, &[other, record("c", 0), record("a", 1)]).await;
    let found = list(&store, 0, None, 10).await;
    assert_eq!(ids(&found), ["a", "c", "b", "a"]);
    assert_eq!(found[3], first, "it stays as it is");
}

async fn lists_continue_where_they_ended(factory: StateFactory<'_>) {
    let store = TestStateStore::new(factory).await;
    let all: Vec<_> = (0..10).map(|n| record(&format!("r{n}"), i64::from(n) * 10)).collect();
    append(&store, &all).await;
    assert_eq!(ids(&list(&store, 75, None, 10).await), ["r9", "r8"]);
    assert_eq!(ids(&list(&store, 0, None, 3).await), ["r9", "r8", "r7"]);
    assert_eq!(ids(&list(&store, 0, Some(&all[7]), 2).await), ["r6", "r5"]);
    assert_eq!(ids(&list(&store, 60, Some(&all[7]), 9).await), ["r6"]);
    assert_eq!(ids(&list(&store, 0, Some(&record("zz", 70)), 1).await), ["r7"]);
    assert_eq!(list(&store, 0, Some(&all[0]), 9).await, []);
    assert_eq!(list(&store, 0, None, 0).await, []);
}

async fn records_of_one_time_are_listed_in_pages(factory: StateFactory<'_>) {
    const COUNT: usize = 1_200;
    let store = TestStateStore::new(factory).await;
    let all: Vec<_> = (0..COUNT)
        .map(|number| record(&format!("r{number:05}"), i64::from(number % 7 == 0)))
        .collect();
    // Ids do not follow the order in which the store got them.
    for chunk in all.iter().rev().cloned().collect::<Vec<_>>().chunks(400) {
        append(&store, chunk).await;
    }
    let mut expected = all;
    expected.sort_by_key(|record| std::cmp::Reverse(record.position()));
    let (mut found, mut last): (Vec<AuditRecord>, Option<AuditRecord>) = (Vec::new(), None);
    loop {
        let page = list(&store, 0, last.as_ref(), 250).await;
        let Some(end) = page.last() else { break };
        last = Some(end.clone());
        found.extend(page);
    }
    assert_eq!(ids(&found), ids(&expected));
}

async fn old_and_superfluous_records_are_forgotten(factory: StateFactory<'_>) {
    let store = TestStateStore::new(factory).await;
    let all: Vec<_> = (0..10).map(|n| record(&format!("r{n}"), i64::from(n / 2))).collect();
    append(&store, &all).await;
    let forget = async |before: Timestamp, max: usize| {
        store.state().forget_audit(before, max).await.expect("forget_audit");
    };
    forget(NOW, 10).await;
    assert_eq!(list(&store, 0, None, 99).await.len(), 10);
    forget(NOW.plus_ms(1), 10).await;
    assert_eq!(ids(&list(&store, 0, None, 99).await).last(), Some(&"r2"));
    forget(NOW.plus_ms(1), 3).await;
    assert_eq!(ids(&list(&store, 0, None, 99).await), ["r9", "r8", "r7"]);
    forget(NOW.plus_ms(99), 3).await;
    assert_eq!(list(&store, 0, None, 99).await, []);
    forget(NOW.plus_ms(99), 3).await;
}
