//! Tenants, tokens, periodic jobs and poll cycles used by many tasks at the same time: one of them
//! is first.

use std::collections::BTreeSet;

use app::ports::{JobClaim, StateStore, TenantUpdateResult};

use super::fixtures::{NOW, open_server, place_request, reported_meeting, successful_poll};
use super::racing::run_together;
use super::state_store::{TestStateStore, grant, rename_to, setting, tenant};
use super::{ContractCase, StateFactory};

const TASK_COUNT: usize = 32;

pub(super) fn cases() -> Vec<ContractCase<dyn StateStore>> {
    super::cases![
        one_of_many_adds_a_name,
        one_of_many_takes_a_name,
        names_are_reused_safely,
        a_tenant_goes_with_all_its_settings,
        one_of_many_adds_a_setting,
        one_of_many_takes_a_token,
        one_of_many_claims_the_run,
        the_latest_cycle_wins,
    ]
}

/// Runs a task for each number below [`TASK_COUNT`] at the same time.
async fn run_all<T, F>(store: &TestStateStore, task: impl Fn(TestStateStore, usize) -> F) -> Vec<T>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    run_together((0..TASK_COUNT).map(|n| task(store.clone(), n))).await
}

/// The numbers of the tasks that succeeded.
fn successful_numbers(results: &[bool]) -> Vec<usize> {
    (0..).zip(results).filter(|(_, claimed)| **claimed).map(|(n, _)| n).collect()
}

async fn one_of_many_adds_a_name(factory: StateFactory<'_>) {
    let store = TestStateStore::new(factory).await;
    for round in 0..8 {
        let tenant_of = move |n: usize| {
            let name = format!("Campus-{round}");
            let name = if n.is_multiple_of(2) { name } else { name.to_uppercase() };
            tenant(&format!("{round}-{n}"), &name)
        };
        let added =
            run_all(&store, |store, n| async move { store.add_tenant(&tenant_of(n)).await }).await;
        let winners = successful_numbers(&added);
        assert_eq!(winners.len(), 1, "round {round}: {winners:?}");
        let found = store.find_tenant(&tenant_of(winners[0]).id).await;
        assert!(found == Some(tenant_of(winners[0])), "{found:?}");
        assert_eq!(store.list_tenants().await.len(), round + 1);
    }
}

async fn one_of_many_takes_a_name(factory: StateFactory<'_>) {
    let ids: Vec<_> =
        (0..TASK_COUNT).map(|n| tenant(&format!("{n}"), &format!("old-{n}"))).collect();
    let store = TestStateStore::with(factory, &ids).await;
    for round in 0..8 {
        let updates = run_all(&store, |store, n| async move {
            store.update_tenant(&format!("{n}"), rename_to(&format!("new-{round}"))).await
        });
        let updates = updates.await;
        let is_changed =
            |update: &TenantUpdateResult| matches!(update, TenantUpdateResult::Changed(_));
        let refused =
            updates.iter().filter(|update| **update == TenantUpdateResult::NameTaken).count();
        assert_eq!(
            (updates.iter().filter(|update| is_changed(update)).count(), refused),
            (1, TASK_COUNT - 1)
        );
        let names = store.list_tenants().await.into_iter().map(|one| one.name);
        assert_eq!(names.collect::<BTreeSet<_>>().len(), TASK_COUNT);
    }
}

/// Tenants are added, renamed and removed at the same time: no name is used twice or lost.
async fn names_are_reused_safely(factory: StateFactory<'_>) {
    let store = TestStateStore::new(factory).await;
    run_all(&store, |store, n| async move {
        let id = format!("{n}");
        for round in 0..10 {
            store.add_tenant(&tenant(&id, &format!("name-{}", (n + round) % 5))).await;
            let names: Vec<_> =
                store.list_tenants().await.into_iter().map(|tenant| tenant.name).collect();
            let distinct: BTreeSet<_> = names.iter().map(|name| name.to_lowercase()).collect();
            assert_eq!(distinct.len(), names.len(), "{names:?}");
            store.update_tenant(&id, rename_to(&format!("NAME-{}", (n + round + 1) % 5))).await;
            store.remove_tenant(&id).await;
        }
    })
    .await;
    assert!(store.list_tenants().await.is_empty());
    for n in 0..5 {
        assert!(store.add_tenant(&tenant(&format!("new-{n}"), &format!("name-{n}"))).await, "{n}");
    }
}

async fn a_tenant_goes_with_all_its_settings(factory: StateFactory<'_>) {
    let store = TestStateStore::new(factory).await;
    for round in 0..8 {
        let id = format!("t{round}");
        assert!(store.add_tenant(&tenant(&id, &id)).await);
        let results = run_all(&store, |store, n| {
            let id = id.clone();
            async move {
                if n == TASK_COUNT / 2 {
                    return store.remove_tenant(&id).await;
                }
                store.add_setting(&setting(&format!("{id}-{n}"), &id)).await
            }
        });
        assert!(results.await[TASK_COUNT / 2], "it was there to be removed");
        assert_eq!(store.list_settings(None).await, [], "round {round}");
        assert_eq!(store.list_settings(Some(&id)).await, []);
        let again = setting(&format!("{id}-0"), &id);
        assert!(store.add_tenant(&tenant(&id, &id)).await);
        assert!(store.add_setting(&again).await, "no id is held");
        assert!(store.remove_tenant(&id).await);
    }
}

async fn one_of_many_adds_a_setting(factory: StateFactory<'_>) {
    let tenants: Vec<_> = (0..4).map(|n| tenant(&format!("{n}"), &format!("{n}"))).collect();
    let store = TestStateStore::with(factory, &tenants).await;
    let of = |n: usize| setting("x", &format!("{}", n % 4));
    let added = run_all(&store, |store, n| async move { store.add_setting(&of(n)).await }).await;
    let winners = successful_numbers(&added);
    assert_eq!(winners.len(), 1, "{winners:?}");
    assert_eq!(store.list_settings(None).await, [of(winners[0])]);
    let removed = run_all(&store, |store, _| async move { store.remove_setting("x").await }).await;
    assert_eq!(removed.into_iter().filter(|removed| *removed).count(), 1);
}

async fn one_of_many_takes_a_token(factory: StateFactory<'_>) {
    let store = TestStateStore::new(factory).await;
    for round in 0..20 {
        let token = format!("token {round}");
        store.put_token(&token, &grant("r"), NOW, NOW.plus_ms(300_000)).await;
        let taken = run_all(&store, |store, _| {
            let token = token.clone();
            async move { store.take_token(&token, &grant("r"), NOW).await }
        });
        let taken = taken.await.into_iter().filter(|taken| *taken).count();
        assert_eq!(taken, 1, "round {round}");
    }
}

async fn one_of_many_claims_the_run(factory: StateFactory<'_>) {
    let store = TestStateStore::new(factory).await;
    for number in 1..=20_i64 {
        let started_at = NOW.plus_ms(number * 60_000);
        let claims = run_all(&store, |store, n| async move {
            // The clocks of the tasks differ a little.
            let now = started_at.plus_ms(i64::try_from(n).unwrap());
            store.claim_run("poll", now, 50_000).await
        });
        let claims = claims.await;
        let claimed: Vec<_> =
            claims.iter().filter(|claim| matches!(claim, JobClaim::Claimed(_))).collect();
        assert_eq!(claimed, [&JobClaim::Claimed(number.unsigned_abs())]);
        let due: BTreeSet<_> = claims
            .iter()
            .filter_map(|claim| match claim {
                JobClaim::NotBefore(due) => Some(*due),
                JobClaim::Claimed(_) => None,
            })
            .collect();
        assert_eq!(due.len(), 1, "all get the same time: {due:?}");
    }
}

async fn the_latest_cycle_wins(factory: StateFactory<'_>) {
    let store = TestStateStore::new(factory).await;
    let pool = store.pool();
    assert!(pool.add_server(&open_server("a", 0.0)).await);
    pool.place_and_confirm(place_request("m", &["11111"])).await;
    for round in 0..8 {
        run_all(&store, |store, n| async move {
            let users = u32::try_from(100 + n).unwrap();
            let poll = successful_poll(NOW.plus_ms(1_000), vec![reported_meeting("m", NOW, users)]);
            let cycle = round * 100 + u64::from(users);
            store.pool().record_poll_in("a", &poll, Some(cycle)).await;
        })
        .await;
        let last = f64::from(u32::try_from(100 + TASK_COUNT - 1).unwrap());
        assert_eq!(pool.find_load("a").await, Some(last), "round {round}");
    }
}
