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
        a_token_ends_in_time,
        a_token_may_expire_at_once,
        tokens_are_independent,
        the_last_grant_of_a_token_counts,
        hostile_tokens_stay_as_they_are,
    ]
}

async fn a_token_is_taken_once(factory: StateFactory<'_>) {
    let store = TestStateStore::new(factory).await;
    assert_eq!(store.take_token("t", NOW).await, None);
    store.put_token("t", &grant("r"), NOW, NOW.plus_ms(VALIDITY_MS)).await;
    assert_eq!(store.take_token("t", NOW).await, Some(grant("r")));
    assert_eq!(store.take_token("t", NOW).await, None);
    store.put_token("t", &grant("s"), NOW, NOW.plus_ms(VALIDITY_MS)).await;
    assert_eq!(store.take_token("t", NOW).await, Some(grant("s")));
    assert_eq!(store.take_token("t", NOW).await, None);
}

async fn a_token_ends_in_time(factory: StateFactory<'_>) {
    let store = TestStateStore::new(factory).await;
    for (after_ms, holds) in
        [(0, true), (VALIDITY_MS - 1, true), (VALIDITY_MS, false), (VALIDITY_MS * 9, false)]
    {
        store.put_token("t", &grant("r"), NOW, NOW.plus_ms(VALIDITY_MS)).await;
        let taken = store.take_token("t", NOW.plus_ms(after_ms)).await;
        assert_eq!(taken, holds.then(|| grant("r")), "{after_ms} ms later");
        assert_eq!(store.take_token("t", NOW).await, None, "gone in any case");
    }
}

async fn a_token_may_expire_at_once(factory: StateFactory<'_>) {
    let store = TestStateStore::new(factory).await;
    for ms in [0, -1, -VALIDITY_MS] {
        store.put_token("t", &grant("r"), NOW, NOW.plus_ms(ms)).await;
        assert_eq!(store.take_token("t", NOW).await, None, "{ms} ms");
    }
    store.put_token("t", &grant("r"), NOW, NOW.plus_ms(VALIDITY_MS)).await;
    store.put_token("t", &grant("s"), NOW, NOW).await;
    assert_eq!(store.take_token("t", NOW).await, None, "the last one counts");
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
        let taken = store.take_token(&format!("t{n}"), later).await;
        assert_eq!(taken, (n > 25).then(|| grant(&format!("r{n}"))), "t{n}");
    }
    assert_eq!(store.take_token("new", later).await, Some(grant("new")));
}

async fn the_last_grant_of_a_token_counts(factory: StateFactory<'_>) {
    let store = TestStateStore::new(factory).await;
    store.put_token("t", &grant("r"), NOW, NOW.plus_ms(1_000)).await;
    let format = FormatName::parse("video").expect("a format");
    let video = RecordingFormatId { format, ..grant("r") };
    store.put_token("t", &video, NOW, NOW.plus_ms(VALIDITY_MS)).await;
    assert_eq!(store.take_token("t", NOW.plus_ms(1_001)).await, Some(video));
    assert_eq!(store.take_token("t", NOW).await, None);
}

async fn hostile_tokens_stay_as_they_are(factory: StateFactory<'_>) {
    let store = TestStateStore::new(factory).await;
    let texts = hostile_texts();
    let until = NOW.plus_ms(VALIDITY_MS);
    for (n, text) in texts.iter().enumerate() {
        store.put_token(text, &grant(&format!("r{n}")), NOW, until).await;
    }
    for (n, text) in texts.iter().enumerate() {
        let granted = Some(grant(&format!("r{n}")));
        assert_eq!(store.take_token(text, NOW).await, granted, "{text:?}");
        assert_eq!(store.take_token(text, NOW).await, None, "{text:?}");
    }
}
