//! Management tokens: their names are unique, there is a largest number of them, and the time of the last use only grows.

use app::ports::{ManagementToken, StateStore, TokenAddition};
use domain::Timestamp;
use domain::management::{Scope, Scopes};

use super::fixtures::NOW;
use super::state_store::{TestStateStore, hostile_texts};
use super::{ContractCase, StateFactory};

const MAX: usize = 500;

pub(super) fn cases() -> Vec<ContractCase<dyn StateStore>> {
    super::cases![
        tokens_come_back_whole_and_by_name,
        names_and_ids_are_there_once,
        there_is_a_largest_number,
        a_removed_token_is_gone,
        the_last_use_is_kept,
    ]
}

fn token(id: &str, name: &str) -> ManagementToken {
    ManagementToken {
        id: id.to_owned(),
        name: name.to_owned(),
        digest: format!("digest of {id}"),
        scopes: Scopes::new([Scope::ServersRead]),
        tenant: None,
        created_at: NOW,
        created_by: "ada@example".to_owned(),
        expires_at: None,
        last_used_at: None,
    }
}

async fn add(store: &TestStateStore, token: &ManagementToken, max: usize) -> TokenAddition {
    store.state().add_management_token(token, max).await.expect("add_management_token")
}

async fn list(store: &TestStateStore) -> Vec<ManagementToken> {
    store.state().list_management_tokens().await.expect("list_management_tokens")
}

async fn tokens_come_back_whole_and_by_name(factory: StateFactory<'_>) {
    let store = TestStateStore::new(factory).await;
    assert_eq!(list(&store).await, []);
    let mut all: Vec<ManagementToken> = Vec::new();
    for (number, text) in hostile_texts().into_iter().enumerate() {
        let at = i64::try_from(number).expect("a small number");
        all.push(ManagementToken {
            digest: text.clone(),
            tenant: (number % 2 == 0).then(|| text.clone()),
            created_by: text.clone(),
            scopes: Scopes::new([Scope::ALL[number % 10], Scope::Admin]),
            expires_at: (number % 3 == 0).then(|| NOW.plus_ms(at)),
            last_used_at: (number % 4 == 0).then(|| NOW.plus_ms(at)),
            // The index of names has a limit in PostgreSQL.
            ..token(&format!("id {number}"), &text.chars().take(200).collect::<String>())
        });
        assert_eq!(add(&store, &all[number], MAX).await, TokenAddition::Added, "{text:?}");
    }
    all.sort_by(|a, b| a.name.cmp(&b.name));
    assert_eq!(list(&store).await, all);
}

async fn names_and_ids_are_there_once(factory: StateFactory<'_>) {
    let store = TestStateStore::new(factory).await;
    assert_eq!(add(&store, &token("1", "a"), MAX).await, TokenAddition::Added);
    for other in [token("1", "b"), token("2", "a"), token("1", "a")] {
        assert_eq!(add(&store, &other, MAX).await, TokenAddition::NameTaken);
    }
    assert_eq!(add(&store, &token("2", "A"), MAX).await, TokenAddition::Added);
    assert_eq!(list(&store).await, [token("2", "A"), token("1", "a")]);
    let tries = (0..8).map(|number| {
        let store = &store;
        async move { add(store, &token(&format!("r{number}"), "one"), MAX).await }
    });
    let results = futures_util::future::join_all(tries).await;
    let added = results.iter().filter(|result| **result == TokenAddition::Added).count();
    assert_eq!(added, 1, "{results:?}");
}

async fn there_is_a_largest_number(factory: StateFactory<'_>) {
    let store = TestStateStore::new(factory).await;
    for number in 0..3 {
        let token = token(&number.to_string(), &number.to_string());
        assert_eq!(add(&store, &token, 3).await, TokenAddition::Added);
    }
    assert_eq!(add(&store, &token("3", "3"), 3).await, TokenAddition::TooMany);
    assert_eq!(list(&store).await.len(), 3);
    assert_eq!(add(&store, &token("3", "3"), 4).await, TokenAddition::Added);
}

async fn a_removed_token_is_gone(factory: StateFactory<'_>) {
    let store = TestStateStore::new(factory).await;
    add(&store, &token("1", "a"), MAX).await;
    record_use(&store, "1", NOW).await;
    let remove = async |id: &str| store.state().remove_management_token(id).await;
    assert_eq!(remove("2").await, Ok(false));
    assert_eq!(remove("1").await, Ok(true));
    assert_eq!(remove("1").await, Ok(false));
    assert_eq!(list(&store).await, []);
    add(&store, &token("1", "a"), MAX).await;
    assert_eq!(list(&store).await, [token("1", "a")], "nothing of the old one is left");
}

async fn record_use(store: &TestStateStore, id: &str, at: Timestamp) {
    store.state().record_token_use(id, at).await.expect("record_token_use");
}

async fn the_last_use_is_kept(factory: StateFactory<'_>) {
    let store = TestStateStore::new(factory).await;
    add(&store, &token("1", "a"), MAX).await;
    add(&store, &token("2", "b"), MAX).await;
    for (ms, expected) in [(5, 5), (3, 5), (9, 9)] {
        record_use(&store, "1", NOW.plus_ms(ms)).await;
        record_use(&store, "unknown", NOW).await;
        let used: Vec<_> = list(&store).await.into_iter().map(|token| token.last_used_at).collect();
        assert_eq!(used, [Some(NOW.plus_ms(expected)), None]);
    }
}
