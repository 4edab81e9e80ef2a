//! Ids of meetings are exact: ids that differ in one byte belong to different meetings.

use std::collections::BTreeSet;

use app::ports::{PlaceOutcome, PoolStore};
use domain::placement::PlacementRefusal;
use domain::{Meeting, MeetingKey};

use super::fixtures::{NOW, key, open_server, place_request, reported_meeting, successful_poll};
use super::pool_store::TestPoolStore;
use super::{ContractCase, PoolFactory};

pub(super) fn cases() -> Vec<ContractCase<dyn PoolStore>> {
    super::cases![
        names_that_look_alike_are_different_meetings,
        similar_meetings_are_forgotten_separately,
        similar_meetings_are_released_and_joined_separately,
        a_server_gets_one_meeting_of_an_id,
        polls_distinguish_similar_meetings,
        voice_bridges_are_exact,
    ]
}

/// Ids that a store could mistake for one another: by case, blanks, Unicode normal form, number,
/// pattern, quoting or separator. They are separated by `|`.
const IDS: &str = "a|A|a | a|a  |a\t|a\n|a\r\n|a\u{a0}|a\u{200b}|\u{feff}a\
    |\u{e4}|a\u{308}|\u{c4}|ß|ss|ﬁ|fi|💥|💥\u{fe0f}|א|\u{202e}a|\u{10ffff}\
    |1|１|01|1.0|1e0|+1|null|NULL|None\
    |'|''|\"|`|a'b|a''b|a\\|a\\\\|a\\'|%|_|a%|*|?|[a]|{a}|--|;|a;b\
    |a:b|a/b|a,b|a\u{1f}b|\u{1}|\u{7f}|random-1234567";

/// Pairs of tenant and id that a store could mistake for one another.
const TENANT_IDS: [(&str, &str); 14] = [
    ("a", "a"),
    ("A", "a"),
    ("a ", "a"),
    ("a", "b"),
    ("b", "a"),
    ("a:b", "c"),
    ("a", "b:c"),
    ("ab", "c"),
    ("a", "bc"),
    ("null", "a"),
    ("None", "a"),
    ("\u{e4}", "a"),
    ("a\u{308}", "a"),
    ("it's", "a"),
];

fn look_alike_keys() -> Vec<MeetingKey> {
    let long = "langer Name ".repeat(400);
    let longer = format!("{long}!");
    let of_tenants = TENANT_IDS
        .map(|(tenant, id)| MeetingKey { tenant: Some(tenant.to_owned()), id: id.to_owned() });
    let ids = IDS.split('|').chain(["|", "a|b", &long, &longer]);
    ids.map(key).chain(of_tenants).collect()
}

/// Servers for meetings with the same id: a server gets one of them only.
const MORE_SERVERS: [&str; 9] = ["b0", "b1", "b2", "b3", "b4", "b5", "b6", "b7", "b8"];

/// A store with a meeting for each key: as many as possible on the server `a`, the rest on others.
/// All claims have the same token.
async fn store_with_look_alikes(factory: PoolFactory<'_>) -> (TestPoolStore, Vec<MeetingKey>) {
    let mut servers = vec![open_server("a", 0.0)];
    servers.extend(MORE_SERVERS.map(|id| open_server(id, 1e6)));
    let store = TestPoolStore::with(factory, &servers).await;
    let keys = look_alike_keys();
    for (n, key) in keys.iter().enumerate() {
        let mut request = place_request("m", &[&format!("{n}")]);
        request.key = key.clone();
        request.moderator_pw = Some(format!("password {n}"));
        let claimed = store.place_new_meeting(request).await;
        assert_eq!(claimed.meeting.key, *key);
    }
    (store, keys)
}

async fn names_that_look_alike_are_different_meetings(factory: PoolFactory<'_>) {
    let (store, keys) = store_with_look_alikes(factory).await;
    for (n, key) in keys.iter().enumerate() {
        let found = store.find_meeting(key).await.expect("a meeting");
        assert_eq!(found.meeting.key, *key);
        assert_eq!(found.meeting.moderator_pw, Some(format!("password {n}")), "{key:?}");
    }
    let expected: BTreeSet<_> = keys.iter().cloned().collect();
    assert_eq!(expected.len(), keys.len(), "the list has no doubles");
    let found: Vec<_> =
        store.list_meetings().await.into_iter().map(|meeting| meeting.key).collect();
    assert_eq!(found, expected.into_iter().collect::<Vec<_>>());
    let (on_a, _) = keys_by_server(&store).await;
    let weight = f64::from(u32::try_from(on_a.len()).unwrap() * 15);
    assert_eq!(store.find_load("a").await, Some(weight));
}

/// The keys of meetings on the server `a`, and of those on others.
async fn keys_by_server(store: &TestPoolStore) -> (Vec<MeetingKey>, Vec<MeetingKey>) {
    let (here, there): (Vec<_>, Vec<_>) =
        store.list_meetings().await.into_iter().partition(|meeting| meeting.server.0 == "a");
    let keys = |all: Vec<Meeting>| all.into_iter().map(|meeting| meeting.key).collect();
    (keys(here), keys(there))
}

async fn a_server_gets_one_meeting_of_an_id(factory: PoolFactory<'_>) {
    let (store, _) = store_with_look_alikes(factory).await;
    let mut seen = BTreeSet::new();
    for meeting in store.list_meetings().await {
        assert!(seen.insert((meeting.server.clone(), meeting.key.id.clone())), "{meeting:?}");
    }
    let mut request = place_request("m", &["new"]);
    request.key = MeetingKey { tenant: Some("one too many".to_owned()), ..key("a") };
    assert_eq!(
        store.place_meeting(request.clone()).await,
        PlaceOutcome::Refused(PlacementRefusal::NoServer)
    );
    assert!(store.forget_meeting(&key("a"), "a").await);
    assert_eq!(store.place_new_meeting(request).await.server.id.0, "a");
}

async fn similar_meetings_are_forgotten_separately(factory: PoolFactory<'_>) {
    let (store, keys) = store_with_look_alikes(factory).await;
    for (gone, key) in keys.iter().enumerate() {
        let server = store.find_meeting(key).await.expect("a meeting").server.id.0;
        assert!(store.forget_meeting(key, &server).await, "{key:?}");
        assert_eq!(store.find_meeting(key).await, None);
        let left = keys.len() - gone - 1;
        assert_eq!(store.list_meetings().await.len(), left, "after {key:?}");
    }
}

async fn similar_meetings_are_released_and_joined_separately(factory: PoolFactory<'_>) {
    let (store, keys) = store_with_look_alikes(factory).await;
    let (first, second) = keys.split_at(keys.len() / 2);
    for key in first {
        store.record_join(key, NOW).await;
        let found = store.find_meeting(key).await.expect("a meeting");
        assert_eq!(found.meeting.load.users, 1, "{key:?}");
    }
    for key in second {
        assert!(store.release_claim(key, "m").await, "{key:?}");
        assert_eq!(store.find_meeting(key).await, None);
    }
    let left = store.list_meetings().await;
    assert_eq!(left.len(), first.len());
    assert!(left.iter().all(|meeting| meeting.load.users == 1), "{left:?}");
}

async fn polls_distinguish_similar_meetings(factory: PoolFactory<'_>) {
    let (store, keys) = store_with_look_alikes(factory).await;
    for key in &keys {
        let found = store.find_meeting(key).await.expect("a meeting");
        store.confirm_meeting(&found.meeting, NOW).await;
    }
    let (here, mut others) = keys_by_server(&store).await;
    let late = NOW.plus_ms(2000);
    store.record_poll("a", &successful_poll(late, vec![reported_meeting("a ", NOW, 2)])).await;
    let later = late.plus_ms(1000);
    let report =
        store.record_poll("a", &successful_poll(later, vec![reported_meeting("a ", NOW, 2)])).await;
    assert_eq!(report.expect("a server").forgotten.len(), here.len() - 1);
    let left: Vec<_> = store.list_meetings().await.into_iter().map(|meeting| meeting.key).collect();
    others.push(key("a "));
    others.sort();
    assert_eq!(left, others);
}

async fn voice_bridges_are_exact(factory: PoolFactory<'_>) {
    let store = TestPoolStore::with(factory, &[open_server("a", 0.0)]).await;
    let numbers = ["12345", "012345", "0012345", "12345.0", "12345 ", "99999999999999999999"];
    for number in numbers {
        let claimed =
            store.place_new_meeting(place_request(number, &[number, "never needed"])).await;
        assert_eq!(claimed.meeting.voice_bridge.as_deref(), Some(number));
    }
    for number in numbers {
        assert!(!store.is_bridge_free(number).await, "{number}");
    }
}
