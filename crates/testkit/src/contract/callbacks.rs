//! Callbacks: the newest one of each meeting is stored, with names and URLs exactly as they were
//! given.

use app::ports::Recordings;
use domain::Timestamp;
use domain::recording::Callback;

use super::fixtures::NOW;
use super::recordings::{TestRecordings, bare_recording};
use super::state_store::hostile_texts;
use super::{ContractCase, RecordingsFactory};

pub(super) fn cases() -> Vec<ContractCase<dyn Recordings>> {
    super::cases![
        a_callback_stays_as_it_is,
        a_callback_is_replaced_whole,
        a_callback_gets_its_recording_id,
        attributes_stay_as_they_are,
        many_attributes_keep_their_order,
        callbacks_of_similar_meetings_are_distinct,
        pages_are_in_byte_order,
        times_keep_their_milliseconds,
        old_callbacks_are_forgotten,
    ]
}

/// Texts that need quotes in YAML, in which a store may write attributes.
const LIKE_YAML: [&str; 46] = [
    "a: b",
    ": ",
    "a:",
    "# a",
    "a # b",
    "a#b",
    "- a",
    "-",
    "--- a",
    "...",
    "\"",
    "\"a\"",
    "'",
    "'a'",
    "a\nb",
    "\n",
    "a\n",
    "\na",
    "a\r\nb",
    "  a",
    "a  ",
    "\ta",
    "a\t",
    "yes",
    "No",
    "on",
    "null",
    "~",
    "",
    "1",
    "1.0",
    "1e3",
    "0x1f",
    "0o17",
    "1_000",
    "12:30:45",
    "2024-01-01",
    ":symbol",
    "{{x}}",
    "{a: b}",
    "[a]",
    "!ruby/object:X",
    "&a",
    "*a",
    "<<",
    "%TAG",
];

fn callback(meeting: &str, attributes: &[(&str, &str)]) -> Callback {
    let attributes = attributes.iter().map(|(name, url)| ((*name).to_owned(), (*url).to_owned()));
    Callback {
        meeting_id: meeting.to_owned(),
        record_id: None,
        attributes: attributes.collect(),
        created_at: NOW.plus_ms(123),
        updated_at: NOW.plus_ms(456),
    }
}

fn usual_callback(meeting: &str) -> Callback {
    let ready = ("recording_ready_url", "https://campus.example.test/ready?id=1&x=%20#top");
    let analytics = ("analytics_callback_url", "https://campus.example.test/analytics");
    callback(meeting, &[ready, analytics])
}

async fn assert_kept(store: &TestRecordings, callback: &Callback) {
    store.put_callback(callback).await;
    let all = store.list_callbacks_after(None, 1_000).await;
    let found = all.iter().find(|listed| listed.meeting_id == callback.meeting_id);
    assert_eq!(found, Some(callback));
}

async fn a_callback_stays_as_it_is(factory: RecordingsFactory<'_>) {
    let store = TestRecordings::new(factory).await;
    for (n, expected) in (1..).zip([usual_callback("a"), callback("b", &[]), usual_callback("c")]) {
        assert_kept(&store, &expected).await;
        assert_eq!(store.count_rows().await, [0, n]);
    }
    let all = [usual_callback("a"), callback("b", &[]), usual_callback("c")];
    assert_eq!(store.list_callbacks_after(None, 10).await, all);
}

async fn a_callback_is_replaced_whole(factory: RecordingsFactory<'_>) {
    let store = TestRecordings::new(factory).await;
    store.put_callback(&usual_callback("other")).await;
    let later = Callback { updated_at: NOW.plus_ms(9_000), ..callback("a", &[("new", "url")]) };
    let anew = Callback { created_at: NOW.plus_ms(8_000), ..later.clone() };
    for expected in [usual_callback("a"), callback("a", &[]), later, anew, usual_callback("a")] {
        assert_kept(&store, &expected).await;
        assert_kept(&store, &usual_callback("other")).await;
        assert_eq!(store.count_rows().await, [0, 2]);
    }
}

async fn a_callback_gets_its_recording_id(factory: RecordingsFactory<'_>) {
    let store = TestRecordings::new(factory).await;
    for id in ["r", "R"] {
        store.put(&bare_recording(id)).await;
    }
    for record_id in [None, Some("r"), Some("R"), None] {
        let record_id = record_id.map(str::to_owned);
        assert_kept(&store, &Callback { record_id, ..usual_callback("a") }).await;
    }
    let known = Callback { record_id: Some("r".to_owned()), ..usual_callback("a") };
    assert_kept(&store, &known).await;
    store.put(&super::recordings::full_recording("r")).await;
    assert_eq!(store.list_callbacks_after(None, 10).await, [known], "it keeps its recording");
    assert_eq!(store.count_rows().await, [2, 1]);
}

async fn attributes_stay_as_they_are(factory: RecordingsFactory<'_>) {
    let store = TestRecordings::new(factory).await;
    for text in hostile_texts().into_iter().chain(LIKE_YAML.map(str::to_owned)) {
        let both = [("before", "1"), (&text, "as a name"), ("value", &text), ("after", "2")];
        assert_kept(&store, &callback("a", &both)).await;
        assert_kept(&store, &callback("a", &[(&text, &text)])).await;
    }
}

async fn many_attributes_keep_their_order(factory: RecordingsFactory<'_>) {
    let store = TestRecordings::new(factory).await;
    let texts: Vec<_> = (0..200).map(|n| format!("{:02}-{n}", (n * 37) % 100)).collect();
    let attributes: Vec<_> = texts.iter().map(|text| (text.as_str(), text.as_str())).collect();
    assert_kept(&store, &callback("a", &attributes)).await;
    let all = LIKE_YAML.map(|text| (text, text));
    assert_kept(&store, &callback("a", &all)).await;
}

async fn callbacks_of_similar_meetings_are_distinct(factory: RecordingsFactory<'_>) {
    let store = TestRecordings::new(factory).await;
    // Some databases cannot index a very long text.
    let mut ids: Vec<_> = hostile_texts().into_iter().filter(|id| id.len() < 1_000).collect();
    for id in &ids {
        store.put_callback(&callback(id, &[("id", id)])).await;
    }
    ids.sort();
    let found = store.list_callbacks_after(None, 1_000).await;
    let expected: Vec<_> = ids.iter().map(|id| callback(id, &[("id", id)])).collect();
    assert_eq!(found, expected);
    assert_eq!(store.count_rows().await, [0, u64::try_from(ids.len()).unwrap()]);
}

async fn pages_are_in_byte_order(factory: RecordingsFactory<'_>) {
    let store = TestRecordings::new(factory).await;
    let sorted = ["", "10", "9", "A", "Z", "a", "a-1", "a1", "ab", "b", "\u{c4}", "\u{e4}", "💥"];
    for id in sorted.iter().rev() {
        store.put_callback(&callback(id, &[("old", "url")])).await;
        store.put_callback(&usual_callback(id)).await;
    }
    for limit in [1, 2, 5, 13, 14] {
        let (mut found, mut after) = (Vec::new(), None::<String>);
        loop {
            let page = store.list_callbacks_after(after.as_deref(), limit).await;
            assert!(page.len() <= usize::try_from(limit).unwrap());
            let Some(last) = page.last() else { break };
            after = Some(last.meeting_id.clone());
            found.extend(page);
        }
        assert_eq!(found, sorted.map(usual_callback), "pages of {limit}");
    }
    assert_eq!(store.list_callbacks_after(None, 0).await, []);
    assert_eq!(store.list_callbacks_after(Some("a!"), 1).await, [usual_callback("a-1")]);
    assert_eq!(store.list_callbacks_after(Some("\u{10ffff}"), 1).await, []);
}

async fn times_keep_their_milliseconds(factory: RecordingsFactory<'_>) {
    let store = TestRecordings::new(factory).await;
    let near = (0..40).map(|n| 1_700_000_000_000 + 37 * n);
    for ms in [0, 1, 999, 1_000, 951_827_199_999].into_iter().chain(near) {
        let (created_at, updated_at) = (Timestamp(ms), Timestamp(ms + 1));
        assert_kept(&store, &Callback { created_at, updated_at, ..usual_callback("a") }).await;
    }
}

async fn old_callbacks_are_forgotten(factory: RecordingsFactory<'_>) {
    let store = TestRecordings::new(factory).await;
    let changed = |meeting: &str, ms: i64| Callback {
        updated_at: NOW.plus_ms(ms),
        ..usual_callback(meeting)
    };
    for (meeting, ms) in [("a", 1), ("b", 5), ("c", 2), ("d", 3)] {
        store.put_callback(&changed(meeting, ms)).await;
    }
    assert_eq!(store.forget_callbacks(NOW.plus_ms(1), 10).await, 0, "none is older");
    assert_eq!(store.forget_callbacks(NOW.plus_ms(4), 2).await, 2, "not more than the limit");
    assert_eq!(store.forget_callbacks(NOW.plus_ms(4), 2).await, 1);
    assert_eq!(store.list_callbacks_after(None, 10).await, [changed("b", 5)]);
}
