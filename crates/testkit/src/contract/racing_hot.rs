//! Many tasks at tenants, tokens, turns and cycles: whatever the order, one of them comes first.

use std::collections::BTreeSet;

use app::ports::{TenantUpdate, Turn};

use super::hot::{HotStore, grant, renamed, setting, tenant};
use super::racing::together;
use super::store::{NOW, answer, open, reported, request};
use super::{Case, HotFactory};

const TASKS: usize = 32;

pub(super) fn of_tenants(factory: HotFactory<'_>) -> Vec<Case<'_>> {
    super::cases![factory;
        one_of_many_adds_a_name,
        one_of_many_takes_a_name,
        names_go_from_hand_to_hand,
        a_tenant_goes_with_all_its_settings,
        one_of_many_adds_a_setting,
    ]
}

pub(super) fn of_tokens(factory: HotFactory<'_>) -> Vec<Case<'_>> {
    super::cases![factory; one_of_many_takes_a_token]
}

pub(super) fn of_turns(factory: HotFactory<'_>) -> Vec<Case<'_>> {
    super::cases![factory; one_of_many_gets_the_turn, the_latest_cycle_wins]
}

/// Runs a task for each number at the same time.
async fn all<T, F>(store: &HotStore, task: impl Fn(HotStore, usize) -> F) -> Vec<T>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    together((0..TASKS).map(|n| task(store.clone(), n))).await
}

/// The numbers of those that succeeded.
fn winners(results: &[bool]) -> Vec<usize> {
    (0..).zip(results).filter(|(_, won)| **won).map(|(n, _)| n).collect()
}

async fn one_of_many_adds_a_name(factory: HotFactory<'_>) {
    let store = HotStore::new(factory).await;
    for round in 0..8 {
        let one = move |n: usize| {
            let name = format!("Campus-{round}");
            let name = if n.is_multiple_of(2) { name } else { name.to_uppercase() };
            tenant(&format!("{round}-{n}"), &name)
        };
        let added = all(&store, |store, n| async move { store.add(&one(n)).await }).await;
        let winners = winners(&added);
        assert_eq!(winners.len(), 1, "round {round}: {winners:?}");
        let found = store.tenant(&one(winners[0]).id).await;
        assert!(found == Some(one(winners[0])), "{found:?}");
        assert_eq!(store.tenants().await.len(), round + 1);
    }
}

async fn one_of_many_takes_a_name(factory: HotFactory<'_>) {
    let ids: Vec<_> = (0..TASKS).map(|n| tenant(&format!("{n}"), &format!("old-{n}"))).collect();
    let store = HotStore::with(factory, &ids).await;
    for round in 0..8 {
        let updates = all(&store, |store, n| async move {
            store.update(&format!("{n}"), renamed(&format!("new-{round}"))).await
        });
        let updates = updates.await;
        let won = |update: &TenantUpdate| matches!(update, TenantUpdate::Changed(_));
        let taken = updates.iter().filter(|update| **update == TenantUpdate::NameTaken).count();
        assert_eq!((updates.iter().filter(|one| won(one)).count(), taken), (1, TASKS - 1));
        let names = store.tenants().await.into_iter().map(|one| one.name);
        assert_eq!(names.collect::<BTreeSet<_>>().len(), TASKS);
    }
}

/// Names are added, renamed and removed all at once: none is ever held twice or lost for ever.
async fn names_go_from_hand_to_hand(factory: HotFactory<'_>) {
    let store = HotStore::new(factory).await;
    all(&store, |store, n| async move {
        let id = format!("{n}");
        for round in 0..10 {
            store.add(&tenant(&id, &format!("name-{}", (n + round) % 5))).await;
            let names: Vec<_> = store.tenants().await.into_iter().map(|one| one.name).collect();
            let distinct: BTreeSet<_> = names.iter().map(|name| name.to_lowercase()).collect();
            assert_eq!(distinct.len(), names.len(), "{names:?}");
            store.update(&id, renamed(&format!("NAME-{}", (n + round + 1) % 5))).await;
            store.remove(&id).await;
        }
    })
    .await;
    assert!(store.tenants().await.is_empty());
    for n in 0..5 {
        assert!(store.add(&tenant(&format!("new-{n}"), &format!("name-{n}"))).await, "{n}");
    }
}

async fn a_tenant_goes_with_all_its_settings(factory: HotFactory<'_>) {
    let store = HotStore::new(factory).await;
    for round in 0..8 {
        let id = format!("t{round}");
        assert!(store.add(&tenant(&id, &id)).await);
        let results = all(&store, |store, n| {
            let id = id.clone();
            async move {
                if n == TASKS / 2 {
                    return store.remove(&id).await;
                }
                store.add_setting(&setting(&format!("{id}-{n}"), &id)).await
            }
        });
        assert!(results.await[TASKS / 2], "it was there to be removed");
        assert_eq!(store.settings(None).await, [], "round {round}");
        assert_eq!(store.settings(Some(&id)).await, []);
        let again = setting(&format!("{id}-0"), &id);
        assert!(store.add(&tenant(&id, &id)).await);
        assert!(store.add_setting(&again).await, "no id is held");
        assert!(store.remove(&id).await);
    }
}

async fn one_of_many_adds_a_setting(factory: HotFactory<'_>) {
    let tenants: Vec<_> = (0..4).map(|n| tenant(&format!("{n}"), &format!("{n}"))).collect();
    let store = HotStore::with(factory, &tenants).await;
    let of = |n: usize| setting("x", &format!("{}", n % 4));
    let added = all(&store, |store, n| async move { store.add_setting(&of(n)).await }).await;
    let winners = winners(&added);
    assert_eq!(winners.len(), 1, "{winners:?}");
    assert_eq!(store.settings(None).await, [of(winners[0])]);
    let removed = all(&store, |store, _| async move { store.remove_setting("x").await }).await;
    assert_eq!(removed.into_iter().filter(|removed| *removed).count(), 1);
}

async fn one_of_many_takes_a_token(factory: HotFactory<'_>) {
    let store = HotStore::new(factory).await;
    for round in 0..20 {
        let token = format!("token {round}");
        store.put(&token, &grant("r"), NOW, NOW.plus_ms(300_000)).await;
        let taken = all(&store, |store, _| {
            let token = token.clone();
            async move { store.take(&token, NOW).await }
        });
        let taken: Vec<_> = taken.await.into_iter().flatten().collect();
        assert_eq!(taken, [grant("r")], "round {round}");
    }
}

async fn one_of_many_gets_the_turn(factory: HotFactory<'_>) {
    let store = HotStore::new(factory).await;
    for number in 1..=20_i64 {
        let begun = NOW.plus_ms(number * 60_000);
        let turns = all(&store, |store, n| async move {
            // Their clocks differ a little.
            let now = begun.plus_ms(i64::try_from(n).unwrap());
            store.turn("poll", now, 50_000).await
        });
        let turns = turns.await;
        let won: Vec<_> = turns.iter().filter(|turn| matches!(turn, Turn::Yours(_))).collect();
        assert_eq!(won, [&Turn::Yours(number.unsigned_abs())]);
        let due: BTreeSet<_> = turns
            .iter()
            .filter_map(|turn| match turn {
                Turn::NotBefore(due) => Some(*due),
                Turn::Yours(_) => None,
            })
            .collect();
        assert_eq!(due.len(), 1, "all are told the same time: {due:?}");
    }
}

async fn the_latest_cycle_wins(factory: HotFactory<'_>) {
    let store = HotStore::new(factory).await;
    let cluster = store.cluster();
    assert!(cluster.add(&open("a", 0.0)).await);
    cluster.settle(request("m", &["11111"])).await;
    for round in 0..8 {
        all(&store, |store, n| async move {
            let users = u32::try_from(100 + n).unwrap();
            let poll = answer(NOW.plus_ms(1_000), vec![reported("m", NOW, users)]);
            let cycle = round * 100 + u64::from(users);
            store.cluster().poll_in("a", &poll, Some(cycle)).await;
        })
        .await;
        let last = f64::from(u32::try_from(100 + TASKS - 1).unwrap());
        assert_eq!(cluster.load("a").await, Some(last), "round {round}");
    }
}
