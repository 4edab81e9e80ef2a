//! Servers: they are returned as they were stored, and a change affects only the fields that it
//! names.

use app::ports::{PoolStore, ServerChange};
use domain::health::{Health, ServerFailure};
use domain::server::ServerStats;
use domain::{AdminState, Server, ServerLimits};

use super::fixtures::{NOW, key, open_server, place_request, server_id};
use super::pool_store::TestPoolStore;
use super::{ContractCase, PoolFactory};

pub(super) fn cases() -> Vec<ContractCase<dyn PoolStore>> {
    super::cases![
        an_empty_store_is_ready,
        servers_come_back_whole_and_in_order,
        ids_of_servers_are_exact,
        a_server_is_added_once,
        a_server_added_again_is_the_last,
        each_field_changes_alone,
        fields_change_together,
        nothing_changes_where_nothing_is_asked,
        an_unknown_server_is_not_changed,
        disabling_takes_the_load_away,
        enabling_brings_no_load,
        meetings_stay_when_their_server_is_disabled,
        removal_forgets_the_meetings,
        an_unknown_server_is_not_removed,
        versions_are_recorded,
    ]
}

/// Servers that differ in every field.
fn varied_servers() -> Vec<Server> {
    let mut rich = open_server("zwölf–12", 12.5);
    rich.url = "https://bücher.example.test:8443/bigbluebutton/api/".to_owned();
    rich.secret = "a'b\"c\\d%_;--$1 \t{}|é\u{301}💥 ".to_owned();
    rich.tag = Some("röt; 'none'".to_owned());
    rich.state = AdminState::Cordoned;
    rich.load_multiplier = 0.1;
    rich.stats = ServerStats { meetings: 7, users: u32::MAX, largest_meeting: 300, videos: 41 };
    rich.bbb_version = Some("3.0.0-β.1".to_owned());
    rich.health = Health {
        online: true,
        healthy_count: 3,
        unhealthy_count: 1,
        last_failure: Some(ServerFailure {
            at: NOW.plus_ms(1),
            reason: "connect: «Zeitüberschreitung»\n'quoted'".to_owned(),
        }),
        failures: u32::MAX,
        relapses: 3,
        probation_until: NOW.plus_ms(15_000),
        answered_at: NOW,
    };
    rich.limits = ServerLimits { max_meetings: Some(0), max_users: Some(u32::MAX), tier: 9 };
    rich.placed_since_poll = 4;
    rich.join_url = Some("https://proxy.example.test/b%20ü/api".to_owned());
    let mut probation = open_server("a-probation", 0.0);
    probation.health =
        Health { online: false, healthy_count: 2, unhealthy_count: 0, ..Health::default() };
    probation.load = None;
    probation.tag = Some("none".to_owned());
    let mut idle = open_server("m-idle", 0.0);
    idle.load_multiplier = 1.0 / 3.0;
    idle.tag = Some(" ".to_owned());
    idle.limits.max_meetings = Some(70);
    let plain = Server::new(server_id("plain"), String::new(), String::new());
    vec![rich, probation, idle, plain]
}

/// Asserts that servers are equal, with messages about the fields that [`Server`] leaves out of its
/// `Debug` output.
fn assert_same(found: &Server, expected: &Server) {
    let rest = |server: &Server| {
        (
            server.secret.clone(),
            (server.tag.clone(), server.join_url.clone()),
            server.load_multiplier,
            server.stats,
            server.bbb_version.clone(),
            (server.limits, server.placed_since_poll),
        )
    };
    assert_eq!(rest(found), rest(expected), "{}", expected.id);
    assert_eq!(found, expected);
}

async fn an_empty_store_is_ready(factory: PoolFactory<'_>) {
    let store = TestPoolStore::new(factory).await;
    store.check_store().await;
    assert_eq!(store.list_servers().await, []);
    assert_eq!(store.list_meetings().await, []);
    assert_eq!(store.find_server("a").await, None);
    assert_eq!(store.find_meeting(&key("m")).await, None);
}

async fn servers_come_back_whole_and_in_order(factory: PoolFactory<'_>) {
    let all = varied_servers();
    let store = TestPoolStore::with(factory, &all).await;
    let found = store.list_servers().await;
    assert_eq!(found.len(), all.len());
    for (found, expected) in found.iter().zip(&all) {
        assert_same(found, expected);
        let server = store.find_server(&expected.id.0).await.expect("one server");
        assert_same(&server, expected);
    }
    store.check_store().await;
}

async fn ids_of_servers_are_exact(factory: PoolFactory<'_>) {
    let ids = ["bbb", "BBB", "bbb ", " bbb", "b\u{e4}", "ba\u{308}", "b'b"];
    let all: Vec<_> = (0..).zip(ids).map(|(n, id)| open_server(id, f64::from(n))).collect();
    let store = TestPoolStore::with(factory, &all).await;
    for server in &all {
        assert_eq!(store.find_server(&server.id.0).await.as_ref(), Some(server));
    }
    assert_eq!(store.find_server("Bbb").await, None);
    assert_eq!(store.remove_server("BBB").await, Some(vec![]));
    assert_eq!(store.list_servers().await.len(), ids.len() - 1);
    assert!(store.find_server("bbb").await.is_some());
}

async fn a_server_is_added_once(factory: PoolFactory<'_>) {
    let all = [open_server("a", 3.0), open_server("b", 0.0)];
    let store = TestPoolStore::with(factory, &all).await;
    store.place_new_meeting(place_request("m", &["11111"])).await;
    let before = store.list_servers().await;
    let mut other = open_server("a", 99.0);
    other.secret = "another".to_owned();
    assert!(!store.add_server(&other).await);
    assert_eq!(store.list_servers().await, before);
    assert_eq!(store.list_meetings().await.len(), 1);
}

async fn a_server_added_again_is_the_last(factory: PoolFactory<'_>) {
    let all = [open_server("a", 0.0), open_server("b", 50.0), open_server("c", 50.0)];
    let store = TestPoolStore::with(factory, &all).await;
    store.place_new_meeting(place_request("m", &["11111"])).await;
    assert!(store.remove_server("a").await.is_some());
    assert!(store.add_server(&open_server("a", 0.0)).await);
    let order: Vec<_> = store.list_servers().await.into_iter().map(|server| server.id.0).collect();
    assert_eq!(order, ["b", "c", "a"]);
    assert_eq!(store.list_meetings_on("a").await, [], "its meetings stay away");
}

async fn each_field_changes_alone(factory: PoolFactory<'_>) {
    let mut original = varied_servers().remove(0);
    original.id = server_id("a");
    let text = |text: &str| Some(text.to_owned());
    let changes = [
        ServerChange { url: text("http://neu.example.test/api"), ..ServerChange::default() },
        ServerChange { secret: text("n'eu\" "), ..ServerChange::default() },
        ServerChange { secret: text(""), ..ServerChange::default() },
        ServerChange { tag: Some(text("grün")), ..ServerChange::default() },
        ServerChange { tag: Some(None), ..ServerChange::default() },
        ServerChange { load_multiplier: Some(0.7), ..ServerChange::default() },
        ServerChange { max_meetings: Some(Some(7)), ..ServerChange::default() },
        ServerChange { max_meetings: Some(None), ..ServerChange::default() },
        ServerChange { max_users: Some(Some(0)), ..ServerChange::default() },
        ServerChange { max_users: Some(None), ..ServerChange::default() },
        ServerChange { tier: Some(2), ..ServerChange::default() },
        ServerChange { tier: Some(0), ..ServerChange::default() },
        ServerChange::with_state(AdminState::Enabled),
        ServerChange::with_state(AdminState::Cordoned),
        ServerChange::with_state(AdminState::Disabled),
    ];
    for change in changes {
        let all = [open_server("before", 1.0), original.clone(), open_server("after", 2.0)];
        let store = TestPoolStore::with(factory, &all).await;
        let mut expected = original.clone();
        change.clone().apply(&mut expected);
        let updated = store.update_server("a", change.clone()).await.expect("a server");
        assert_same(&updated, &expected);
        let found = store.list_servers().await;
        assert_eq!(found, [all[0].clone(), expected, all[2].clone()], "{change:?}");
    }
}

async fn fields_change_together(factory: PoolFactory<'_>) {
    let store = TestPoolStore::with(factory, &[open_server("a", 20.0)]).await;
    let change = ServerChange {
        url: Some("https://u".to_owned()),
        secret: Some("s".to_owned()),
        tag: Some(Some("t".to_owned())),
        join_url: Some(Some("https://j".to_owned())),
        state: Some(AdminState::Cordoned),
        load_multiplier: Some(3.0),
        max_meetings: Some(Some(5)),
        max_users: Some(Some(500)),
        tier: Some(1),
    };
    let updated = store.update_server("a", change).await.expect("a server");
    let mut expected = open_server("a", 20.0);
    (expected.url, expected.secret) = ("https://u".to_owned(), "s".to_owned());
    expected.join_url = Some("https://j".to_owned());
    expected.tag = Some("t".to_owned());
    expected.state = AdminState::Cordoned;
    expected.load_multiplier = 3.0;
    expected.limits = ServerLimits { max_meetings: Some(5), max_users: Some(500), tier: 1 };
    assert_same(&updated, &expected);
    assert_eq!(store.find_load("a").await, Some(20.0), "until the next poll");
    let change = ServerChange { join_url: Some(None), ..ServerChange::default() };
    let updated = store.update_server("a", change).await.expect("a server");
    expected.join_url = None;
    assert_same(&updated, &expected);
}

async fn nothing_changes_where_nothing_is_asked(factory: PoolFactory<'_>) {
    let all = varied_servers();
    let store = TestPoolStore::with(factory, &all).await;
    for server in &all {
        let updated = store.update_server(&server.id.0, ServerChange::default()).await;
        assert_same(&updated.expect("a server"), server);
    }
    assert_eq!(store.list_servers().await, all);
}

async fn an_unknown_server_is_not_changed(factory: PoolFactory<'_>) {
    let store = TestPoolStore::with(factory, &[open_server("a", 1.0)]).await;
    let change = ServerChange::with_state(AdminState::Disabled);
    assert_eq!(store.update_server("A", change).await, None);
    assert_eq!(store.list_servers().await, [open_server("a", 1.0)]);
}

async fn disabling_takes_the_load_away(factory: PoolFactory<'_>) {
    let store =
        TestPoolStore::with(factory, &[open_server("a", 12.5), open_server("b", 7.0)]).await;
    let cordoned = store.update_server("a", ServerChange::with_state(AdminState::Cordoned)).await;
    assert_eq!(cordoned.expect("a server").load, Some(12.5));
    assert_eq!(store.find_load("a").await, Some(12.5));
    let disabled = store.update_server("a", ServerChange::with_state(AdminState::Disabled)).await;
    assert_eq!(disabled.expect("a server").load, None);
    assert_eq!(store.find_load("a").await, None);
    assert_eq!(store.find_load("b").await, Some(7.0));
}

async fn enabling_brings_no_load(factory: PoolFactory<'_>) {
    let store = TestPoolStore::with(factory, &[open_server("a", 12.5)]).await;
    for state in [AdminState::Disabled, AdminState::Cordoned, AdminState::Enabled] {
        store.update_server("a", ServerChange::with_state(state)).await;
        assert_eq!(store.find_load("a").await, None, "{state:?}, and not polled yet");
    }
}

async fn meetings_stay_when_their_server_is_disabled(factory: PoolFactory<'_>) {
    let store = TestPoolStore::with(factory, &[open_server("a", 0.0)]).await;
    let meeting = store.place_and_confirm(place_request("m", &["11111"])).await;
    store.update_server("a", ServerChange::with_state(AdminState::Disabled)).await;
    assert_eq!(store.list_meetings().await, [meeting]);
    let found = store.find_meeting(&key("m")).await.expect("a meeting");
    assert_eq!(found.server.state, AdminState::Disabled);
}

async fn removal_forgets_the_meetings(factory: PoolFactory<'_>) {
    let store =
        TestPoolStore::with(factory, &[open_server("a", 0.0), open_server("b", 100.0)]).await;
    let first = store.place_and_confirm(place_request("one", &["11111"])).await;
    let claimed = store.place_new_meeting(place_request("two", &["22222"])).await.meeting;
    store.update_server("a", ServerChange::with_state(AdminState::Cordoned)).await;
    let other = store.place_and_confirm(place_request("other", &["33333"])).await;
    assert_eq!((first.server.0.as_str(), other.server.0.as_str()), ("a", "b"));
    assert_eq!(store.remove_server("a").await, Some(vec![first, claimed]));
    assert_eq!(store.find_server("a").await, None);
    assert_eq!(store.list_meetings().await, [other]);
    assert_eq!(store.find_meeting(&key("one")).await, None);
    assert!(store.is_bridge_free("11111").await && store.is_bridge_free("22222").await);
    assert!(!store.is_bridge_free("33333").await);
    assert_eq!(store.remove_server("a").await, None, "it is gone");
}

async fn an_unknown_server_is_not_removed(factory: PoolFactory<'_>) {
    let store = TestPoolStore::with(factory, &[open_server("a", 0.0)]).await;
    assert_eq!(store.remove_server("x").await, None);
    assert_eq!(store.list_servers().await.len(), 1);
}

async fn versions_are_recorded(factory: PoolFactory<'_>) {
    let store = TestPoolStore::with(factory, &[open_server("a", 1.0), open_server("b", 2.0)]).await;
    for version in ["2.7.3", "3.0-β 'x'"] {
        store.record_version("a", version).await;
        let mut expected = open_server("a", 1.0);
        expected.bbb_version = Some(version.to_owned());
        assert_same(&store.find_server("a").await.expect("a server"), &expected);
    }
    store.record_version("unknown", "1").await;
    assert_eq!(store.list_servers().await.len(), 2);
    assert_eq!(store.find_server("b").await, Some(open_server("b", 2.0)));
}
