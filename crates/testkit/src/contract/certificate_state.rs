//! The certificate that replicas share: of all that replace the same text, one does.

use app::ports::StateStore;

use super::state_store::{TestStateStore, hostile_texts};
use super::{ContractCase, StateFactory};

pub(super) fn cases() -> Vec<ContractCase<dyn StateStore>> {
    super::cases![a_text_is_replaced_if_it_is_the_expected_one, one_of_many_replaces_it]
}

async fn a_text_is_replaced_if_it_is_the_expected_one(factory: StateFactory<'_>) {
    let store = TestStateStore::new(factory).await;
    assert_eq!(store.read_certificate_state().await, None);
    assert!(!store.replace_certificate_state(Some("other"), "a").await);
    assert_eq!(store.read_certificate_state().await, None);
    assert!(store.replace_certificate_state(None, "a").await);
    assert!(!store.replace_certificate_state(None, "b").await);
    assert!(!store.replace_certificate_state(Some("b"), "c").await);
    assert_eq!(store.read_certificate_state().await, Some("a".to_owned()));
    let mut last = "a".to_owned();
    let long = "x".repeat(200_000);
    for text in hostile_texts().into_iter().filter(|text| !text.is_empty()).chain([long]) {
        assert!(store.replace_certificate_state(Some(&last), &text).await, "{text:?}");
        last = text;
        assert_eq!(store.read_certificate_state().await, Some(last.clone()));
    }
}

async fn one_of_many_replaces_it(factory: StateFactory<'_>) {
    let store = TestStateStore::new(factory).await;
    for expected in [None, Some("first")] {
        let tries = (0..8).map(|number| {
            let new = match expected {
                None => "first".to_owned(),
                Some(_) => format!("second {number}"),
            };
            let store = &store;
            async move { store.replace_certificate_state(expected, &new).await }
        });
        let replaced = futures_util::future::join_all(tries).await;
        assert_eq!(replaced.iter().filter(|replaced| **replaced).count(), 1, "{replaced:?}");
    }
}
