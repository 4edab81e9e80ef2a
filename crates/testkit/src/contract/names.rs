//! Names of meetings are exact text: what differs in a byte is another meeting.

use std::collections::BTreeSet;

use domain::MeetingKey;

use super::store::{NOW, Store, answer, key, open, reported, request};
use super::{Case, Factory};

pub(super) fn cases(factory: Factory<'_>) -> Vec<Case<'_>> {
    super::cases![factory;
        names_that_look_alike_are_different_meetings,
        each_of_them_is_forgotten_alone,
        each_of_them_is_released_and_joined_alone,
        polls_tell_them_apart,
        voice_bridges_are_exact,
    ]
}

/// IDs that a careless store would mistake for one another: by case, blanks, normal form, number,
/// pattern, quoting or separator.
const IDS: &str = "a|A|a | a|a  |a\t|a\n|a\r\n|a\u{a0}|a\u{200b}|\u{feff}a\
    |\u{e4}|a\u{308}|\u{c4}|ß|ss|ﬁ|fi|💥|💥\u{fe0f}|א|\u{202e}a|\u{10ffff}\
    |1|１|01|1.0|1e0|+1|null|NULL|None\
    |'|''|\"|`|a'b|a''b|a\\|a\\\\|a\\'|%|_|a%|*|?|[a]|{a}|--|;|a;b\
    |a:b|a/b|a,b|a\u{1f}b|\u{1}|\u{7f}|random-1234567";

/// Tenant and id, likewise.
const OF_TENANTS: [(&str, &str); 14] = [
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

fn look_alikes() -> Vec<MeetingKey> {
    let long = "langer Name ".repeat(400);
    let longer = format!("{long}!");
    let of_tenants = OF_TENANTS
        .map(|(tenant, id)| MeetingKey { tenant: Some(tenant.to_owned()), id: id.to_owned() });
    let ids = IDS.split('|').chain(["|", "a|b", &long, &longer]);
    ids.map(key).chain(of_tenants).collect()
}

/// A store with all of them on one server; the claim's token is the same for all.
async fn filled(factory: Factory<'_>) -> (Store, Vec<MeetingKey>) {
    let store = Store::with(factory, &[open("a", 0.0)]).await;
    let keys = look_alikes();
    for (n, key) in keys.iter().enumerate() {
        let mut asked = request("m", &[&format!("{n}")]);
        asked.key = key.clone();
        asked.moderator_pw = Some(format!("password {n}"));
        let won = store.win(asked).await;
        assert_eq!(won.meeting.key, *key);
    }
    (store, keys)
}

async fn names_that_look_alike_are_different_meetings(factory: Factory<'_>) {
    let (store, keys) = filled(factory).await;
    for (n, key) in keys.iter().enumerate() {
        let located = store.meeting(key).await.expect("a meeting");
        assert_eq!(located.meeting.key, *key);
        assert_eq!(located.meeting.moderator_pw, Some(format!("password {n}")), "{key:?}");
    }
    let expected: BTreeSet<_> = keys.iter().cloned().collect();
    assert_eq!(expected.len(), keys.len(), "the list has no doubles");
    let found: Vec<_> = store.meetings().await.into_iter().map(|one| one.key).collect();
    assert_eq!(found, expected.into_iter().collect::<Vec<_>>());
    let weight = f64::from(u32::try_from(keys.len()).unwrap() * 15);
    assert_eq!(store.load("a").await, Some(weight));
}

async fn each_of_them_is_forgotten_alone(factory: Factory<'_>) {
    let (store, keys) = filled(factory).await;
    for (gone, key) in keys.iter().enumerate() {
        assert!(store.forget(key, "a").await, "{key:?}");
        assert_eq!(store.meeting(key).await, None);
        let left = keys.len() - gone - 1;
        assert_eq!(store.meetings().await.len(), left, "after {key:?}");
    }
}

async fn each_of_them_is_released_and_joined_alone(factory: Factory<'_>) {
    let (store, keys) = filled(factory).await;
    let (first, second) = keys.split_at(keys.len() / 2);
    for key in first {
        store.join(key, NOW).await;
        let located = store.meeting(key).await.expect("a meeting");
        assert_eq!(located.meeting.seats.users, 1, "{key:?}");
    }
    for key in second {
        assert!(store.release(key, "m").await, "{key:?}");
        assert_eq!(store.meeting(key).await, None);
    }
    let left = store.meetings().await;
    assert_eq!(left.len(), first.len());
    assert!(left.iter().all(|one| one.seats.users == 1), "{left:?}");
}

async fn polls_tell_them_apart(factory: Factory<'_>) {
    let (store, keys) = filled(factory).await;
    for key in &keys {
        let located = store.meeting(key).await.expect("a meeting");
        store.confirm(&located.meeting, NOW).await;
    }
    let late = NOW.plus_ms(2000);
    store.poll("a", &answer(late, vec![reported("a ", NOW, 2)])).await;
    let later = late.plus_ms(1000);
    let report = store.poll("a", &answer(later, vec![reported("a ", NOW, 2)])).await;
    assert_eq!(report.expect("a server").forgotten.len(), keys.len() - 1);
    let left: Vec<_> = store.meetings().await.into_iter().map(|one| one.key).collect();
    assert_eq!(left, [key("a ")]);
}

async fn voice_bridges_are_exact(factory: Factory<'_>) {
    let store = Store::with(factory, &[open("a", 0.0)]).await;
    let numbers = ["12345", "012345", "0012345", "12345.0", "12345 ", "99999999999999999999"];
    for number in numbers {
        let won = store.win(request(number, &[number, "never needed"])).await;
        assert_eq!(won.meeting.voice_bridge.as_deref(), Some(number));
    }
    for number in numbers {
        assert!(!store.is_free(number).await, "{number}");
    }
}
