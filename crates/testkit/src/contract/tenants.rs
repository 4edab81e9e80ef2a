//! Tenants and their settings.

use app::ports::{StateStore, TenantUpdateResult};
use domain::tenant::Lrs;
use domain::{MeetingKey, Tenant, TenantChange, TenantSetting};

use super::fixtures::{NOW, open_server, place_request};
use super::state_store::{TestStateStore, hostile_texts, rename_to, setting, tenant};
use super::{ContractCase, StateFactory};

pub(super) fn cases() -> Vec<ContractCase<dyn StateStore>> {
    super::cases![
        an_empty_store_has_no_tenants,
        added_tenants_are_there,
        ids_are_unique_and_exact,
        names_are_unique_whatever_their_case,
        only_letters_of_ascii_have_a_case,
        a_change_touches_only_what_it_names,
        a_name_that_is_taken_changes_nothing,
        a_tenant_may_change_the_case_of_its_name,
        a_rename_frees_the_old_name,
        an_unknown_tenant_is_not_changed,
        removal_frees_the_name,
        removal_takes_the_settings,
        removal_leaves_meetings,
        settings_are_there,
        settings_need_their_tenant,
        ids_of_settings_are_unique,
        settings_are_removed_one_by_one,
        a_tenant_that_comes_back_has_no_settings,
        hostile_texts_stay_as_they_are,
        hostile_names_are_found_again,
    ]
}

fn full_tenant(id: &str, name: &str) -> Tenant {
    let values = Lrs::FIELDS.map(|field| Some(format!("{field} of {id}")));
    let secrets = "one:two:three".to_owned();
    Tenant { id: id.to_owned(), name: name.to_owned(), secrets, lrs: Lrs::from_values(values) }
}

/// Asserts that tenants are equal without printing secrets.
#[track_caller]
fn assert_same(found: &[Tenant], expected: &[Tenant]) {
    assert!(found == expected, "{found:?} instead of {expected:?}, or secrets differ");
}

#[track_caller]
fn changed_tenant(update: TenantUpdateResult) -> Tenant {
    match update {
        TenantUpdateResult::Changed(tenant) => *tenant,
        other => panic!("not changed: {other:?}"),
    }
}

async fn an_empty_store_has_no_tenants(factory: StateFactory<'_>) {
    let store = TestStateStore::new(factory).await;
    assert_same(&store.list_tenants().await, &[]);
    assert!(store.find_tenant("a").await.is_none());
    assert_eq!(store.list_settings(None).await, []);
    assert_eq!(store.list_settings(Some("a")).await, []);
    assert!(!store.remove_tenant("a").await);
    assert!(!store.remove_setting("a").await);
}

async fn added_tenants_are_there(factory: StateFactory<'_>) {
    let mut some = full_tenant("c", "gamma");
    (some.lrs.username, some.lrs.kc_password) = (None, None);
    some.lrs.endpoint = Some(String::new());
    let all = [full_tenant("a", "Alpha"), tenant("b", "beta"), some];
    let store = TestStateStore::with(factory, &all).await;
    assert_same(&store.list_tenants().await, &all);
    for tenant in &all {
        assert!(store.find_tenant(&tenant.id).await.as_ref() == Some(tenant), "{tenant:?}");
    }
    assert!(store.find_tenant("Alpha").await.is_none(), "a name is no id");
}

async fn ids_are_unique_and_exact(factory: StateFactory<'_>) {
    let all = [tenant("A", "one"), tenant("a", "two")];
    let store = TestStateStore::with(factory, &all).await;
    assert!(!store.add_tenant(&full_tenant("a", "three")).await);
    assert!(!store.add_tenant(&all[0]).await);
    assert_same(&store.list_tenants().await, &all);
    let rest = tenant("b", "three");
    assert!(store.add_tenant(&rest).await, "the refused ones hold no name");
}

async fn names_are_unique_whatever_their_case(factory: StateFactory<'_>) {
    let all = [tenant("1", "Campus-North"), tenant("2", "campus-south")];
    let store = TestStateStore::with(factory, &all).await;
    for name in ["Campus-North", "campus-north", "CAMPUS-NORTH", "campus-South"] {
        assert!(!store.add_tenant(&full_tenant("3", name)).await, "{name}");
    }
    assert_same(&store.list_tenants().await, &all);
    assert!(store.find_tenant("3").await.is_none());
    assert!(store.add_tenant(&tenant("3", "campus-north ")).await);
}

async fn only_letters_of_ascii_have_a_case(factory: StateFactory<'_>) {
    let names =
        ["\u{e4}", "\u{c4}", "a\u{308}", "stra\u{df}e", "STRASSE", "i", "\u{131}", "k", "\u{212a}"];
    let all: Vec<_> = (0..).zip(names).map(|(n, name)| tenant(&format!("{n}"), name)).collect();
    let store = TestStateStore::with(factory, &all).await;
    assert_same(&store.list_tenants().await, &all);
    assert!(!store.add_tenant(&tenant("x", "STRA\u{df}E")).await);
}

async fn a_change_touches_only_what_it_names(factory: StateFactory<'_>) {
    let text = |text: &str| Some(text.to_owned());
    let lrs = |field: usize, value: &str| {
        let mut values = [const { None }; 8];
        values[field] = text(value);
        TenantChange { lrs: Lrs::from_values(values), ..TenantChange::default() }
    };
    let mut changes = vec![
        TenantChange::default(),
        rename_to("omega"),
        TenantChange { secrets: text("new:secrets"), ..TenantChange::default() },
        TenantChange { lrs: full_tenant("z", "").lrs, ..rename_to("Omega") },
    ];
    changes.extend((0..8).flat_map(|field| [lrs(field, "new"), lrs(field, "")]));
    for change in changes {
        for original in [full_tenant("a", "alpha"), tenant("a", "alpha")] {
            let other = full_tenant("b", "beta");
            let store = TestStateStore::with(factory, &[original.clone(), other.clone()]).await;
            let mut expected = original;
            change.clone().apply(&mut expected);
            let updated = changed_tenant(store.update_tenant("a", change.clone()).await);
            assert_same(&[updated], std::slice::from_ref(&expected));
            assert_same(&store.list_tenants().await, &[expected, other]);
        }
    }
}

async fn a_name_that_is_taken_changes_nothing(factory: StateFactory<'_>) {
    let all = [full_tenant("a", "alpha"), tenant("b", "Beta")];
    let store = TestStateStore::with(factory, &all).await;
    for name in ["Beta", "beta", "BETA"] {
        let change = TenantChange { secrets: Some("new".to_owned()), ..rename_to(name) };
        assert_eq!(store.update_tenant("a", change).await, TenantUpdateResult::NameTaken, "{name}");
    }
    assert_same(&store.list_tenants().await, &all);
}

async fn a_tenant_may_change_the_case_of_its_name(factory: StateFactory<'_>) {
    let store = TestStateStore::with(factory, &[tenant("a", "alpha")]).await;
    for name in ["alpha", "ALPHA", "Alpha"] {
        assert_eq!(changed_tenant(store.update_tenant("a", rename_to(name)).await).name, name);
        assert!(!store.add_tenant(&tenant("b", "aLPHA")).await, "{name}");
    }
    assert_same(
        &store.list_tenants().await,
        &[tenant("a", "alpha")].map(|tenant| Tenant { name: "Alpha".to_owned(), ..tenant }),
    );
}

async fn a_rename_frees_the_old_name(factory: StateFactory<'_>) {
    let store = TestStateStore::with(factory, &[tenant("a", "alpha"), tenant("b", "beta")]).await;
    changed_tenant(store.update_tenant("a", rename_to("gamma")).await);
    assert!(!store.add_tenant(&tenant("c", "Gamma")).await);
    changed_tenant(store.update_tenant("b", rename_to("ALPHA")).await);
    assert!(!store.add_tenant(&tenant("c", "alpha")).await);
    assert!(store.add_tenant(&tenant("c", "beta")).await);
    let names: Vec<_> = store.list_tenants().await.into_iter().map(|tenant| tenant.name).collect();
    assert_eq!(names, ["gamma", "ALPHA", "beta"]);
}

async fn an_unknown_tenant_is_not_changed(factory: StateFactory<'_>) {
    let store = TestStateStore::with(factory, &[tenant("a", "alpha")]).await;
    for change in [TenantChange::default(), rename_to("new"), rename_to("alpha")] {
        assert_eq!(store.update_tenant("A", change).await, TenantUpdateResult::Unknown);
    }
    assert_same(&store.list_tenants().await, &[tenant("a", "alpha")]);
    assert!(store.add_tenant(&tenant("b", "new")).await, "the name was not taken");
}

async fn removal_frees_the_name(factory: StateFactory<'_>) {
    let store = TestStateStore::with(factory, &[tenant("a", "alpha"), tenant("b", "beta")]).await;
    assert!(!store.remove_tenant("A").await);
    assert!(!store.remove_tenant("alpha").await, "a name is no id");
    assert!(store.remove_tenant("a").await);
    assert!(!store.remove_tenant("a").await, "it is gone");
    assert_same(&store.list_tenants().await, &[tenant("b", "beta")]);
    assert!(store.add_tenant(&tenant("c", "ALPHA")).await);
    assert_eq!(store.update_tenant("a", rename_to("x")).await, TenantUpdateResult::Unknown);
}

async fn removal_takes_the_settings(factory: StateFactory<'_>) {
    let store = TestStateStore::with(factory, &[tenant("a", "alpha"), tenant("b", "beta")]).await;
    for (id, tenant) in [("1", "a"), ("2", "b"), ("3", "a")] {
        assert!(store.add_setting(&setting(id, tenant)).await);
    }
    assert!(store.remove_tenant("a").await);
    assert_eq!(store.list_settings(None).await, [setting("2", "b")]);
    assert_eq!(store.list_settings(Some("a")).await, []);
    assert!(!store.remove_setting("1").await);
    assert!(store.add_setting(&setting("1", "b")).await, "its id is free");
}

async fn removal_leaves_meetings(factory: StateFactory<'_>) {
    let store = TestStateStore::with(factory, &[tenant("a", "alpha")]).await;
    let pool = store.pool();
    assert!(pool.add_server(&open_server("s", 0.0)).await);
    let mut request = place_request("m", &["11111"]);
    request.key = MeetingKey { tenant: Some("a".to_owned()), ..request.key };
    let meeting = pool.place_and_confirm(request).await;
    assert!(store.remove_tenant("a").await);
    assert_eq!(pool.list_meetings().await, std::slice::from_ref(&meeting));
    assert!(pool.record_join(&meeting.key, NOW).await.is_some());
    assert_eq!(pool.list_servers().await.len(), 1);
}

async fn settings_are_there(factory: StateFactory<'_>) {
    let store = TestStateStore::with(factory, &[tenant("a", "alpha"), tenant("b", "beta")]).await;
    let overriding = TenantSetting { is_override: true, ..setting("3", "a") };
    let doubled = TenantSetting { param: overriding.param.clone(), ..setting("4", "a") };
    let empty = TenantSetting { value: String::new(), ..setting("5", "b") };
    let all = [setting("1", "a"), setting("2", "b"), overriding, doubled, empty];
    for setting in &all {
        assert!(store.add_setting(setting).await, "{setting:?}");
    }
    assert_eq!(store.list_settings(None).await, all);
    for tenant in ["a", "b", "A", "alpha", ""] {
        let expected: Vec<_> =
            all.iter().filter(|setting| setting.tenant == tenant).cloned().collect();
        assert_eq!(store.list_settings(Some(tenant)).await, expected, "{tenant}");
    }
}

async fn settings_need_their_tenant(factory: StateFactory<'_>) {
    let store = TestStateStore::with(factory, &[tenant("a", "alpha")]).await;
    for unknown in ["A", "alpha", "", "b"] {
        assert!(!store.add_setting(&setting("1", unknown)).await, "{unknown}");
    }
    assert_eq!(store.list_settings(None).await, []);
    assert!(store.add_setting(&setting("1", "a")).await, "the refused ones hold no id");
}

async fn ids_of_settings_are_unique(factory: StateFactory<'_>) {
    let store = TestStateStore::with(factory, &[tenant("a", "alpha"), tenant("b", "beta")]).await;
    assert!(store.add_setting(&setting("x", "a")).await);
    assert!(!store.add_setting(&setting("x", "b")).await);
    let other = TenantSetting { value: "new".to_owned(), is_override: true, ..setting("x", "a") };
    assert!(!store.add_setting(&other).await);
    assert_eq!(store.list_settings(None).await, [setting("x", "a")]);
    assert_eq!(store.list_settings(Some("b")).await, []);
    assert!(store.add_setting(&setting("X", "b")).await);
}

async fn settings_are_removed_one_by_one(factory: StateFactory<'_>) {
    let store = TestStateStore::with(factory, &[tenant("a", "alpha")]).await;
    for id in ["1", "2", "3"] {
        assert!(store.add_setting(&setting(id, "a")).await);
    }
    assert!(!store.remove_setting("4").await);
    assert!(store.remove_setting("2").await);
    assert!(!store.remove_setting("2").await, "it is gone");
    let left = [setting("1", "a"), setting("3", "a")];
    assert_eq!(store.list_settings(Some("a")).await, left);
    assert_eq!(store.list_settings(None).await, left);
    assert_same(&store.list_tenants().await, &[tenant("a", "alpha")]);
}

async fn a_tenant_that_comes_back_has_no_settings(factory: StateFactory<'_>) {
    let store = TestStateStore::with(factory, &[tenant("a", "alpha")]).await;
    assert!(store.add_setting(&setting("1", "a")).await);
    assert!(store.remove_tenant("a").await);
    assert!(store.add_tenant(&tenant("a", "alpha")).await);
    assert_eq!(store.list_settings(Some("a")).await, []);
    assert_eq!(store.list_settings(None).await, []);
}

async fn hostile_texts_stay_as_they_are(factory: StateFactory<'_>) {
    let store = TestStateStore::new(factory).await;
    let texts = hostile_texts();
    let (mut tenants, mut settings) = (Vec::new(), Vec::new());
    for (n, text) in texts.iter().enumerate() {
        let (id, lrs) = (
            format!("{n:03}"),
            Lrs::from_values([const { None }; 8].map(|_: Option<String>| Some(text.clone()))),
        );
        tenants.push(Tenant { secrets: text.clone(), lrs, ..tenant(&id, &format!("tenant-{n}")) });
        assert!(store.add_tenant(&tenants[n]).await, "{text:?}");
        let (param, value) = (text.clone(), text.clone());
        settings.push(TenantSetting { param, value, ..setting(&id, &id) });
        assert!(store.add_setting(&settings[n]).await, "{text:?}");
    }
    for (found, expected) in store.list_tenants().await.iter().zip(&tenants) {
        assert!(found == expected, "{:?} is {:?}", expected.secrets, found.secrets);
    }
    assert_eq!(store.list_tenants().await.len(), tenants.len());
    assert_eq!(store.list_settings(None).await, settings);
}

async fn hostile_names_are_found_again(factory: StateFactory<'_>) {
    let store = TestStateStore::new(factory).await;
    for (n, name) in hostile_texts().iter().enumerate() {
        let id = format!("{n:03}");
        // Some texts differ in case only. The first of them keeps the name.
        let known =
            store.list_tenants().await.iter().any(|tenant| tenant.name.eq_ignore_ascii_case(name));
        assert_eq!(store.add_tenant(&tenant(&id, name)).await, !known, "{name:?}");
        if known {
            continue;
        }
        assert!(!store.add_tenant(&tenant("other", name)).await, "{name:?}");
        assert_eq!(changed_tenant(store.update_tenant(&id, rename_to("free")).await).name, "free");
        assert_eq!(changed_tenant(store.update_tenant(&id, rename_to(name)).await).name, *name);
        assert_eq!(store.find_tenant(&id).await.expect("a tenant").name, *name);
    }
}
