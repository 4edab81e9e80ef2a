//! Tests of plans, and of what is done by them, on a store in memory.

use domain::tenant::Lrs;
use domain::{AdminState, Tenant, TenantSetting};
use proptest::prelude::*;

use super::*;
use crate::context::App;
use crate::test_app::{test_app, test_meeting, test_server};

const FREE: PlanOptions = PlanOptions { prune: false, force: false };
const PRUNE: PlanOptions = PlanOptions { prune: true, force: false };
const FORCE: PlanOptions = PlanOptions { prune: true, force: true };

fn url(host: &str) -> String {
    format!("http://{host}/bigbluebutton/api")
}

fn wanted_server(host: &str) -> WantedServer {
    WantedServer { url: url(host), secret: Some("secret".to_owned()), ..WantedServer::default() }
}

fn servers(servers: &[WantedServer]) -> WantedState {
    WantedState { servers: Some(servers.to_vec()), tenants: None }
}

/// An application with these servers, of which the first one has a meeting, and with tenants.
async fn app_with(hosts: &[&str]) -> App {
    let (app, _) = test_app(hosts, |_| None).await;
    if let Some(host) = hosts.first() {
        app.pool.restore_meeting(&test_meeting(None, "m", host)).await.unwrap();
    }
    let mut policy = (*app.policy).clone();
    policy.multitenancy = true;
    App { policy: std::sync::Arc::new(policy), ..app }
}

/// Does what is wanted; returns the actions and subjects that were planned.
async fn apply(app: &App, wanted: &WantedState, options: PlanOptions) -> Vec<String> {
    let present = read_present(app).await.unwrap();
    assert_eq!(check(wanted, &present), []);
    let plan = plan(wanted, &present, options);
    let carried = carry_out(app, &plan, options).await;
    assert_eq!((carried.failure, carried.done), (None, plan.changes.len()));
    let described = |change: &Change| format!("{} {}", change.action(), change.subject());
    plan.changes.iter().map(described).collect()
}

#[tokio::test(start_paused = true)]
async fn a_state_is_reached_and_stays() {
    let app = app_with(&["a"]).await;
    let mut new = wanted_server("b");
    (new.tag, new.max_users) = (Some(Some("blue".to_owned())), Some(Some(50)));
    let known = WantedServer { load_multiplier: Some(2.0), ..wanted_server("a") };
    let tenant = WantedTenant {
        name: "acme".to_owned(),
        secrets: Some("s1:s2".to_owned()),
        lrs: Lrs { endpoint: Some("https://lrs".to_owned()), ..Lrs::default() },
        settings: Some(vec![WantedSetting {
            param: "record".to_owned(),
            value: "true".to_owned(),
            is_override: true,
        }]),
    };
    let wanted =
        WantedState { servers: Some(vec![known, new]), tenants: Some(vec![tenant.clone()]) };
    let done = apply(&app, &wanted, FREE).await;
    assert_eq!(
        done,
        [
            "change server http://a/bigbluebutton/api",
            "add server http://b/bigbluebutton/api",
            "add tenant acme"
        ]
    );
    assert_eq!(apply(&app, &wanted, PRUNE).await, [""; 0]);
    let added = app.pool.list_servers().await.unwrap().pop().unwrap();
    assert_eq!((added.state, added.limits.max_users), (AdminState::Enabled, Some(50)));
    assert_eq!(added.tag.as_deref(), Some("blue"));

    // Another value, and a setting that nobody lists.
    let id = app.tenants.list_tenants().await.unwrap()[0].id.clone();
    crate::admin::tenants::add_setting(&app, &id, "logo", "l", false).await.unwrap();
    let mut changed = tenant;
    changed.settings.as_mut().unwrap()[0].value = "false".to_owned();
    let wanted = WantedState { servers: None, tenants: Some(vec![changed]) };
    assert_eq!(apply(&app, &wanted, FREE).await, ["change setting record of tenant acme"]);
    assert_eq!(apply(&app, &wanted, PRUNE).await, ["remove setting logo of tenant acme"]);
    assert_eq!(apply(&app, &wanted, PRUNE).await, [""; 0]);
    let settings = app.tenants.list_tenant_settings(None).await.unwrap();
    assert_eq!((settings.len(), settings[0].value.as_str()), (1, "false"));
}

#[tokio::test(start_paused = true)]
async fn nothing_is_removed_that_was_not_asked_for_or_is_in_use() {
    let app = app_with(&["a", "b", "c"]).await;
    let wanted = servers(&[wanted_server("c")]);
    let present = read_present(&app).await.unwrap();
    let free = plan(&wanted, &present, FREE);
    assert_eq!((free.changes.len(), free.unlisted.len(), free.held.len()), (0, 2, 0));
    let pruned = plan(&wanted, &present, PRUNE);
    assert_eq!(pruned.held.len(), 1, "a has a meeting");
    assert_eq!(apply(&app, &wanted, PRUNE).await, ["remove server http://b/bigbluebutton/api"]);
    assert_eq!(app.pool.list_servers().await.unwrap().len(), 2);
    // A meeting that begins after the plan was made.
    let present = read_present(&app).await.unwrap();
    let late = plan(&servers(&[wanted_server("a")]), &present, PRUNE);
    app.pool.restore_meeting(&test_meeting(None, "n", "c")).await.unwrap();
    let carried = carry_out(&app, &late, PRUNE).await;
    assert_eq!((carried.done, carried.held.len()), (0, 1));
    let kept = app.pool.list_servers().await.unwrap();
    assert_eq!(kept[1].state, AdminState::Cordoned);
    assert_eq!(apply(&app, &wanted, FORCE).await, ["remove server http://a/bigbluebutton/api"]);
}

#[test]
fn servers_in_use_are_not_disabled_and_drained_ones_stay_disabled() {
    let mut present = PresentState { servers: vec![test_server("a")], ..PresentState::default() };
    present.meetings.push(test_meeting(None, "m", "a"));
    let wanted = |state| servers(&[WantedServer { state: Some(state), ..wanted_server("a") }]);
    let disabled = plan(&wanted(AdminState::Disabled), &present, FREE);
    assert_eq!((disabled.changes.len(), disabled.held.len()), (0, 1));
    assert_eq!(plan(&wanted(AdminState::Disabled), &present, FORCE).changes.len(), 1);
    assert_eq!(plan(&wanted(AdminState::Cordoned), &present, FREE).changes.len(), 1);
    present.servers[0].set_state(AdminState::Disabled);
    assert_eq!(plan(&wanted(AdminState::Cordoned), &present, FREE).changes, []);
    // What is not written stays as it is.
    assert_eq!(plan(&servers(&[wanted_server("a")]), &present, FREE).changes, []);
}

#[test]
fn faults_are_told_with_their_places() {
    let present = PresentState { servers: vec![test_server("a")], ..PresentState::default() };
    let faulty = |change: fn(&mut WantedServer)| {
        let mut server = wanted_server("b");
        change(&mut server);
        let problems = check(&servers(&[wanted_server("a"), server]), &present);
        problems.into_iter().map(|problem| problem.path).collect::<Vec<_>>()
    };
    assert_eq!(faulty(|_| {}), [""; 0]);
    assert_eq!(faulty(|it| it.url = "ftp://b".to_owned()), ["servers[1].url"]);
    assert_eq!(faulty(|it| it.url = "HTTP://A:80/bigbluebutton".to_owned()), ["servers[1].url"]);
    assert_eq!(faulty(|it| it.secret = None), ["servers[1].secret"]);
    assert_eq!(faulty(|it| it.secret = Some(" ".to_owned())), ["servers[1].secret"]);
    assert_eq!(faulty(|it| it.load_multiplier = Some(f64::NAN)), ["servers[1].load_multiplier"]);
    assert_eq!(faulty(|it| it.tag = Some(Some(String::new()))), ["servers[1].tag"]);
    let setting = WantedSetting { param: "a".to_owned(), ..WantedSetting::default() };
    let tenants = ["acme", "ACME", "a.b"].map(|name| WantedTenant {
        name: name.to_owned(),
        secrets: Some("a::b".to_owned()),
        settings: Some(vec![setting.clone(), setting.clone()]),
        ..WantedTenant::default()
    });
    let wanted = WantedState { servers: None, tenants: Some(tenants.to_vec()) };
    let mut paths: Vec<_> = check(&wanted, &present).into_iter().map(|it| it.path).collect();
    paths.dedup();
    assert_eq!(paths.len(), 3 + 3 + 2, "{paths:?}");
    assert!(paths.contains(&"tenants[2].name".to_owned()), "{paths:?}");
    assert!(paths.contains(&"tenants[0].settings[1].param".to_owned()), "{paths:?}");
}

#[test]
fn secrets_are_not_shown() {
    let server = test_server("a");
    let secret = Some("hunter2".to_owned());
    let wanted = WantedServer { secret: secret.clone(), ..WantedServer::from(&server) };
    let tenant = Tenant {
        id: "1".to_owned(),
        name: "acme".to_owned(),
        secrets: "old-hunter2".to_owned(),
        lrs: Lrs { password: Some("old-hunter2".to_owned()), ..Lrs::default() },
    };
    let wanted_tenant = WantedTenant {
        name: "Acme".to_owned(),
        secrets: secret.clone(),
        lrs: Lrs { password: secret.clone(), kc_password: secret, ..Lrs::default() },
        settings: None,
    };
    let new_tenant = WantedTenant { name: "new".to_owned(), ..wanted_tenant.clone() };
    let present =
        PresentState { servers: vec![server], tenants: vec![tenant], ..PresentState::default() };
    let new = WantedServer { url: url("b"), ..wanted.clone() };
    let wanted = WantedState {
        servers: Some(vec![wanted, new]),
        tenants: Some(vec![wanted_tenant, new_tenant]),
    };
    let plan = plan(&wanted, &present, FREE);
    assert_eq!(plan.changes.len(), 4);
    let shown: Vec<_> = plan.changes.iter().map(Change::fields).collect();
    let text = serde_json::to_string(&shown).unwrap();
    assert!(!text.contains("hunter2") && text.contains("***"), "{text}");
    assert!(!format!("{wanted:?}").contains("hunter2"));
}

fn any_server() -> impl Strategy<Value = WantedServer> {
    let limit = || prop::option::of(prop::option::of(0u32..5));
    let state = prop::option::of(prop_oneof![
        Just(AdminState::Enabled),
        Just(AdminState::Cordoned),
        Just(AdminState::Disabled)
    ]);
    let tag = prop::option::of(prop::option::of("[ab]"));
    let rest =
        (prop::option::of(0.5f64..4.0), tag, state, limit(), limit(), prop::option::of(0u32..3));
    ("[a-d]", "[s-u]", rest).prop_map(|(host, secret, rest)| WantedServer {
        url: url(&host),
        secret: Some(secret),
        join_url: None,
        load_multiplier: rest.0,
        tag: rest.1,
        state: rest.2,
        max_meetings: rest.3,
        max_users: rest.4,
        tier: rest.5,
    })
}

fn any_tenant() -> impl Strategy<Value = WantedTenant> {
    let setting = ("[p-r]", "[v-x]", any::<bool>())
        .prop_map(|(param, value, is_override)| WantedSetting { param, value, is_override });
    let settings = prop::option::of(prop::collection::vec(setting, 0..4)).prop_map(|settings| {
        settings.map(|mut settings| {
            settings.sort_by(|a, b| (&a.param, a.is_override).cmp(&(&b.param, b.is_override)));
            settings.dedup_by(|a, b| a.param == b.param && a.is_override == b.is_override);
            settings
        })
    });
    ("[e-g]", "[a-c](:[d-f])?", settings).prop_map(|(name, secrets, settings)| WantedTenant {
        name,
        secrets: Some(secrets),
        lrs: Lrs::default(),
        settings,
    })
}

fn any_state() -> impl Strategy<Value = WantedState> {
    let servers = prop::collection::vec(any_server(), 0..4).prop_map(|mut servers| {
        servers.sort_by(|a, b| a.url.cmp(&b.url));
        servers.dedup_by(|a, b| a.url == b.url);
        servers
    });
    let tenants = prop::collection::vec(any_tenant(), 0..3).prop_map(|mut tenants| {
        tenants.sort_by(|a, b| a.name.cmp(&b.name));
        tenants.dedup_by(|a, b| a.name == b.name);
        tenants
    });
    (prop::option::of(servers), prop::option::of(tenants))
        .prop_map(|(servers, tenants)| WantedState { servers, tenants })
}

/// What describes a present state completely.
fn describe(present: &PresentState) -> WantedState {
    let settings_of = |tenant: &Tenant| {
        let own = present.settings.iter().filter(|it| it.tenant == tenant.id);
        own.map(|TenantSetting { param, value, is_override, .. }| WantedSetting {
            param: param.clone(),
            value: value.clone(),
            is_override: *is_override,
        })
        .collect()
    };
    let to_wanted = |tenant: &Tenant| WantedTenant {
        name: tenant.name.clone(),
        secrets: Some(tenant.secrets.clone()),
        lrs: tenant.lrs.clone(),
        settings: Some(settings_of(tenant)),
    };
    WantedState {
        servers: Some(present.servers.iter().map(WantedServer::from).collect()),
        tenants: Some(present.tenants.iter().map(to_wanted).collect()),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn what_was_applied_is_there(states in prop::collection::vec((any_state(), any::<bool>()), 1..4)) {
        let runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = { runtime }.enable_all().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let app = app_with(&[]).await;
            for (wanted, prune) in states {
                let options = PlanOptions { prune, force: false };
                apply(&app, &wanted, options).await;
                let present = read_present(&app).await.unwrap();
                // The same again, and a complete description, change nothing.
                assert_eq!(plan(&wanted, &present, options).changes, []);
                let described = describe(&present);
                assert_eq!(check(&described, &present), []);
                assert_eq!(plan(&described, &present, PRUNE), Plan::default());
            }
        });
    }
}
