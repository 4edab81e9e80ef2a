//! Claims on recordings: of all processes one moves the files of a recording.

use std::sync::Arc;

use app::ports::RecordingStore;
use futures_util::future::join_all;

use super::fixtures::NOW;
use super::{ContractCase, RecordingStoreFactory};

pub(super) fn cases() -> Vec<ContractCase<dyn RecordingStore>> {
    super::cases![a_recording_is_claimed_once, a_claim_expires_and_is_renewed]
}

pub(super) fn racing_cases() -> Vec<ContractCase<dyn RecordingStore>> {
    super::cases![of_many_one_gets_the_claim]
}

async fn a_recording_is_claimed_once(factory: RecordingStoreFactory<'_>) {
    let store = factory().await;
    let until = NOW.plus_ms(10);
    assert!(store.claim_recording("a", "t1", NOW, until).await.unwrap());
    assert!(!store.claim_recording("a", "t2", NOW, until).await.unwrap());
    assert!(store.claim_recording("b", "t2", NOW, until).await.unwrap());
    store.release_recording("a", "t2").await.unwrap();
    assert!(!store.claim_recording("a", "t2", NOW, until).await.unwrap());
    store.release_recording("a", "t1").await.unwrap();
    assert!(store.claim_recording("a", "t2", NOW, until).await.unwrap());
    assert!(!store.renew_recording_claim("a", "t1", until).await.unwrap());
}

async fn a_claim_expires_and_is_renewed(factory: RecordingStoreFactory<'_>) {
    let store = factory().await;
    assert!(store.claim_recording("a", "t1", NOW, NOW.plus_ms(10)).await.unwrap());
    assert!(store.renew_recording_claim("a", "t1", NOW.plus_ms(20)).await.unwrap());
    let claim = async |ms: i64| {
        let now = NOW.plus_ms(ms);
        store.claim_recording("a", "t2", now, now.plus_ms(10)).await.unwrap()
    };
    assert!(!claim(19).await);
    assert!(claim(20).await);
    assert!(!store.renew_recording_claim("a", "t1", NOW.plus_ms(99)).await.unwrap());
    // The earlier holder ends nothing any more.
    store.release_recording("a", "t1").await.unwrap();
    assert!(!claim(21).await);
}

async fn of_many_one_gets_the_claim(factory: RecordingStoreFactory<'_>) {
    let store: Arc<dyn RecordingStore> = factory().await;
    let claims = (0..20).map(|number| {
        let store = Arc::clone(&store);
        let token = format!("t{number}");
        async move { store.claim_recording("a", &token, NOW, NOW.plus_ms(9)).await.unwrap() }
    });
    let won = join_all(claims).await.into_iter().filter(|won| *won).count();
    assert_eq!(won, 1);
}
