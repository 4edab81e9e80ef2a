//! One-time tokens: a token is taken once, before it expires.

use app::ports::StateStore;
use domain::recording::{FormatName, RecordingFormatId};

use super::fixtures::NOW;
use super::state_store::{TestStateStore, grant, hostile_texts};
use super::{ContractCase, StateFactory};

/// How long the tokens are valid, in ms.
const VALIDITY_MS: i64 = 300_000;

pub(super) fn cases() -> Vec<ContractCase<dyn StateStore>> {
    super::cases![
        a_token_is_taken_once,
        a_token_that_is_tried_at_another_format_stays,
        a_token_ends_in_time,
        a_token_may_expire_at_once,
        tokens_are_independent,
        the_last_grant_of_a_token_counts,
        hostile_tokens_stay_as_they_are,
    ]
}

async fn a_token_is_taken_once(factory: StateFactory<'_>) {
    let store = TestStateStore::new(factory).await;
    assert!(!store.take_token("t", &grant("r"), NOW).await);
    for record_id in ["r", "s"] {
        store.put_token("t", &grant(record_id), NOW, NOW.plus_ms(VALIDITY_MS)).await;
        assert!(store.take_token("t", &grant(record_id), NOW).await);
        assert!(!store.take_token("t", &grant(record_id), NOW).await);
    }
}

async fn a_token_that_is_tried_at_another_format_stays(factory: StateFactory<'_>) {
    let store = TestStateStore::new(factory).await;
    let video = FormatName::parse("video").expect("a format");
    let video = RecordingFormatId { format: video, ..grant("r") };
    store.put_token("t", &grant("r"), NOW, NOW.plus_ms(VALIDITY_MS)).await;
    for other in [grant("s"), grant("rr"), video] {
        assert!(!store.take_token("t", &other, NOW).await, "{other:?}");
    }
    assert!(store.take_token("t", &grant("r"), NOW).await);
}

async fn a_token_ends_in_time(factory: StateFactory<'_>) {
    let store = TestStateStore::new(factory).await;
    for (after_ms, holds) in
        [(0, true), (VALIDITY_MS - 1, true), (VALIDITY_MS, false), (VALIDITY_MS * 9, false)]
    {
        store.put_token("t", &grant("r"), NOW, NOW.plus_ms(VALIDITY_MS)).await;
        let taken = store.take_token("t", &grant("r"), NOW.plus_ms(after_ms)).await;
        assert_eq!(taken, holds, "{after_ms} ms later");
        assert!(!store.take_token("t", &grant("r"), NOW).await, "gone in any case");
    }
}

async fn a_token_may_expire_at_once(factory: StateFactory<'_>) {
    let store = TestStateStore::new(factory).await;
    for ms in [0, -1, -VALIDITY_MS] {
        store.put_token("t", &grant("r"), NOW, NOW.plus_ms(ms)).await;
        assert!(!store.take_token("t", &grant("r"), NOW).await, "{ms} ms");
    }
    store.put_token("t", &grant("r"), NOW, NOW.plus_ms(VALIDITY_MS)).await;
    store.put_token("t", &grant("s"), NOW, NOW).await;
    assert!(!store.take_token("t", &grant("r"), NOW).await, "the last one counts");
    assert!(!store.take_token("t", &grant("s"), NOW).await, "expired");
}

async fn tokens_are_independent(factory: StateFactory<'_>) {
    let store = TestStateStore::new(factory).await;
    for n in 0..50_i64 {
        let until = NOW.plus_ms(VALIDITY_MS + 1_000 * n);
        store.put_token(&format!("t{n}"), &grant(&format!("r{n}")), NOW, until).await;
    }
    // Half of the tokens have expired when another one is stored.
    let later = NOW.plus_ms(VALIDITY_MS + 25_000);
    store.put_token("new", &grant("new"), later, later.plus_ms(VALIDITY_MS)).await;
    for n in (0..50_i64).rev() {
        let taken = store.take_token(&format!("t{n}"), &grant(&format!("r{n}")), later).await;
        assert_eq!(taken, n > 25, "t{n}");
    }
    assert!(store.take_token("new", &grant("new"), later).await);
}

async fn the_last_grant_of_a_token_counts(factory: StateFactory<'_>) {
    let store = TestStateStore::new(factory).await;
    store.put_token("t", &grant("r"), NOW, NOW.plus_ms(1_000)).await;
    let format = FormatName::parse("video").expect("a format");
    let video = RecordingFormatId { format, ..grant("r") };
    store.put_token("t", &video, NOW, NOW.plus_ms(VALIDITY_MS)).await;
    assert!(!store.take_token("t", &grant("r"), NOW).await);
    assert!(store.take_token("t", &video, NOW.plus_ms(1_001)).await);
    assert!(!store.take_token("t", &video, NOW).await);
}

async fn hostile_tokens_stay_as_they_are(factory: StateFactory<'_>) {
    let store = TestStateStore::new(factory).await;
    let texts = hostile_texts();
    let until = NOW.plus_ms(VALIDITY_MS);
    for (n, text) in texts.iter().enumerate() {
        store.put_token(text, &grant(&format!("r{n}")), NOW, until).await;
    }
    for (n, text) in texts.iter().enumerate() {
        let granted = grant(&format!("r{n}"));
        assert!(store.take_token(text, &granted, NOW).await, "{text:?}");
        assert!(!store.take_token(text, &granted, NOW).await, "{text:?}");
    }
}
