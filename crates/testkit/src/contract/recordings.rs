//! Recordings: stored and replaced as a whole, listed in byte order.

use std::sync::Arc;

use app::ports::{RecordingCounts, Recordings};
use domain::Timestamp;
use domain::recording::{Callback, PlaybackFormat, Recording, RecordingDetails, Thumbnail};

use super::fixtures::NOW;
use super::state_store::hostile_texts;
use super::{ContractCase, RecordingsFactory};

pub(super) fn cases() -> Vec<ContractCase<dyn Recordings>> {
    super::cases![
        an_empty_store_has_nothing,
        a_recording_stays_as_it_is,
        every_part_may_be_missing,
        a_recording_is_replaced_whole,
        flags_are_independent,
        times_keep_their_milliseconds,
        numbers_keep_their_range,
        metadata_and_formats_come_in_byte_order,
        previews_keep_their_order,
        hostile_texts_stay_as_they_are,
        hostile_ids_are_exact,
        pages_are_in_byte_order,
        deleted_recordings_count,
        a_large_recording_stays_as_it_is,
    ]
}

/// A store under test. Its methods panic when a call fails.
#[derive(Clone)]
pub(super) struct TestRecordings(Arc<dyn Recordings>);

impl TestRecordings {
    pub(super) async fn new(factory: RecordingsFactory<'_>) -> Self {
        Self(factory().await)
    }

    pub(super) async fn count_rows(&self) -> [u64; 2] {
        let counts = self.0.count_recordings().await.expect("count_recordings");
        let RecordingCounts { recordings, callbacks } = counts;
        [recordings, callbacks]
    }

    pub(super) async fn get(&self, id: &str) -> Option<Recording> {
        self.0.find_recording(id).await.expect("recording")
    }

    pub(super) async fn put(&self, recording: &Recording) {
        self.0.put_recording(recording).await.expect("put_recording");
    }

    pub(super) async fn list_after(&self, after: Option<&str>, limit: u32) -> Vec<Recording> {
        self.0.list_recordings_after(after, limit).await.expect("recordings_after")
    }

    pub(super) async fn forget_callbacks(&self, before: Timestamp, limit: u32) -> u64 {
        self.0.forget_callbacks(before, limit).await.expect("forget_callbacks")
    }

    pub(super) async fn put_callback(&self, callback: &Callback) {
        self.0.put_callback(callback).await.expect("put_callback");
    }

    pub(super) async fn list_callbacks_after(
        &self,
        after: Option<&str>,
        limit: u32,
    ) -> Vec<Callback> {
        self.0.list_callbacks_after(after, limit).await.expect("callbacks_after")
    }

    /// Stores a recording and asserts that both ways to read it return it.
    async fn assert_kept(&self, recording: &Recording) {
        self.put(recording).await;
        let found = self.get(&recording.record_id).await;
        assert_eq!(found.as_ref(), Some(recording));
        let listed = self.list_after(None, 1_000).await;
        let listed = listed.iter().find(|listed| listed.record_id == recording.record_id);
        assert_eq!(listed, Some(recording));
    }
}

pub(super) fn bare_recording(id: &str) -> Recording {
    Recording { record_id: id.to_owned(), ..Recording::default() }
}

fn text(text: &str) -> Option<String> {
    Some(text.to_owned())
}

pub(super) fn full_recording(id: &str) -> Recording {
    let pair = |name: &str, value: &str| (name.to_owned(), text(value));
    let thumbnail = |n: i32| Thumbnail {
        width: Some(176),
        height: Some(136),
        alt: Some(format!("Folie {n} – «Über»")),
        url: Some(format!("/presentation/{id}/thumb-{n}.png?size=1&x=%20")),
        sequence: Some(n),
    };
    let format = |name: &str, previews: i32| PlaybackFormat {
        format: name.to_owned(),
        url: Some(format!("/playback/{name}/2.3/{id}")),
        length_minutes: Some(61),
        processing_time_ms: Some(7_177),
        thumbnails: (0..previews).map(thumbnail).collect(),
        size: None,
    };
    Recording {
        record_id: id.to_owned(),
        meeting_id: Some(format!("meeting of {id}")),
        name: text("Vorlesung 1: «Grüße» & Ähnliches"),
        published: true,
        participants: Some(23),
        state: text("published"),
        started_at: Some(NOW.plus_ms(123)),
        ended_at: Some(NOW.plus_ms(3_600_456)),
        deleted_at: Some(NOW.plus_ms(7_200_789)),
        protected: true,
        publish_updated: true,
        metadata: vec![pair("bbb-origin", "campus"), pair("isBreakout", "false"), pair("näme", "")],
        formats: vec![format("notes", 0), format("presentation", 3), format("video", 12)],
        details: RecordingDetails::default(),
    }
}

async fn an_empty_store_has_nothing(factory: RecordingsFactory<'_>) {
    let store = TestRecordings::new(factory).await;
    store.0.check_recording_store().await.expect("check_recordings");
    assert_eq!(store.count_rows().await, [0, 0]);
    assert_eq!(store.get("a").await, None);
    assert_eq!(store.list_after(None, 10).await, []);
    assert_eq!(store.list_after(Some("a"), 10).await, []);
    assert_eq!(store.list_callbacks_after(None, 10).await, []);
}

async fn a_recording_stays_as_it_is(factory: RecordingsFactory<'_>) {
    let store = TestRecordings::new(factory).await;
    let all = [bare_recording("a"), full_recording("b"), full_recording("c")];
    for recording in &all {
        store.assert_kept(recording).await;
    }
    assert_eq!(store.list_after(None, 10).await, all);
    assert_eq!(store.count_rows().await, [3, 0]);
}

async fn every_part_may_be_missing(factory: RecordingsFactory<'_>) {
    let store = TestRecordings::new(factory).await;
    let without: [fn(&mut Recording); 12] = [
        |recording| recording.meeting_id = None,
        |recording| recording.name = None,
        |recording| recording.participants = None,
        |recording| recording.state = None,
        |recording| recording.started_at = None,
        |recording| recording.ended_at = None,
        |recording| recording.deleted_at = None,
        |recording| recording.metadata.clear(),
        |recording| recording.metadata[1].1 = None,
        |recording| recording.formats.clear(),
        |recording| {
            recording.formats[1] =
                PlaybackFormat { format: "presentation".to_owned(), ..PlaybackFormat::default() }
        },
        |recording| recording.formats[1].thumbnails[1] = Thumbnail::default(),
    ];
    for change in without {
        let mut recording = full_recording("a");
        change(&mut recording);
        store.assert_kept(&recording).await;
    }
    let mut empty = full_recording("a");
    (empty.name, empty.state, empty.meeting_id) = (text(""), text(""), text(""));
    (empty.formats[0].url, empty.formats[1].thumbnails[0].alt) = (text(""), text(""));
    store.assert_kept(&empty).await;
}

async fn a_recording_is_replaced_whole(factory: RecordingsFactory<'_>) {
    let store = TestRecordings::new(factory).await;
    let other = full_recording("other");
    store.put(&other).await;
    let mut changed = full_recording("a");
    changed.metadata[0].1 = text("new");
    changed.metadata.remove(1);
    changed.formats.remove(1);
    changed.formats[1].thumbnails.truncate(2);
    for recording in [
        full_recording("a"),
        bare_recording("a"),
        changed,
        full_recording("a"),
        bare_recording("a"),
    ] {
        store.assert_kept(&recording).await;
        store.assert_kept(&recording).await;
        assert_eq!(store.get("other").await.as_ref(), Some(&other));
        assert_eq!(store.count_rows().await, [2, 0]);
    }
}

async fn flags_are_independent(factory: RecordingsFactory<'_>) {
    let store = TestRecordings::new(factory).await;
    for bits in 0..8 {
        let [published, protected, publish_updated] = [1, 2, 4].map(|bit| bits & bit != 0);
        let recording = Recording { published, protected, publish_updated, ..full_recording("a") };
        store.assert_kept(&recording).await;
    }
}

async fn times_keep_their_milliseconds(factory: RecordingsFactory<'_>) {
    let store = TestRecordings::new(factory).await;
    let odd = [0, 1, 999, 1_000, 1_001, 86_399_999, 951_827_199_999, 4_102_444_800_001];
    let near = (0..40).map(|n| 1_700_000_000_000 + 37 * n);
    for ms in odd.into_iter().chain(near) {
        let time = |ms| Some(Timestamp(ms));
        let (started_at, ended_at, deleted_at) = (time(ms), time(ms + 1), time(ms + 2));
        store
            .assert_kept(&Recording { started_at, ended_at, deleted_at, ..bare_recording("a") })
            .await;
    }
}

async fn numbers_keep_their_range(factory: RecordingsFactory<'_>) {
    let store = TestRecordings::new(factory).await;
    for number in [0, 1, -1, i32::MAX, i32::MIN] {
        let mut recording = full_recording("a");
        let number = Some(number);
        let format = &mut recording.formats[1];
        (format.length_minutes, format.processing_time_ms) = (number, number);
        (format.thumbnails[0].width, format.thumbnails[0].height) = (number, number);
        recording.participants = number;
        store.assert_kept(&recording).await;
    }
}

/// Names in byte order, which differs from the order of languages.
const NAMES_IN_ORDER: [&str; 21] = [
    " ", "-a", "10", "9", "A", "B", "Z", "_", "a", "a ", "a-1", "a-b", "a1", "aB", "aa", "ab", "b",
    "z", "\u{c4}", "\u{e4}", "💥",
];

async fn metadata_and_formats_come_in_byte_order(factory: RecordingsFactory<'_>) {
    let store = TestRecordings::new(factory).await;
    let mut expected = bare_recording("r");
    expected.metadata = NAMES_IN_ORDER.map(|name| (name.to_owned(), text(name))).to_vec();
    let format =
        |name: &str| PlaybackFormat { format: name.to_owned(), ..PlaybackFormat::default() };
    expected.formats = NAMES_IN_ORDER.map(format).to_vec();
    let mut shuffled = expected.clone();
    shuffled.metadata.reverse();
    shuffled.formats.rotate_left(7);
    for recording in [&shuffled, &expected] {
        store.put(recording).await;
        assert_eq!(store.get("r").await.as_ref(), Some(&expected));
        assert_eq!(store.list_after(None, 1).await, std::slice::from_ref(&expected));
    }
}

async fn previews_keep_their_order(factory: RecordingsFactory<'_>) {
    let store = TestRecordings::new(factory).await;
    let mut recording = full_recording("a");
    for (n, preview) in (0..).zip(&mut recording.formats[2].thumbnails) {
        preview.alt = Some(format!("{}", (n * 7) % 12));
    }
    store.assert_kept(&recording).await;
    for preview in &mut recording.formats[2].thumbnails {
        preview.sequence = None;
    }
    store.assert_kept(&recording).await;
    recording.formats[2].thumbnails =
        vec![Thumbnail { url: text("/same"), ..Thumbnail::default() }; 3];
    store.assert_kept(&recording).await;
}

async fn hostile_texts_stay_as_they_are(factory: RecordingsFactory<'_>) {
    let store = TestRecordings::new(factory).await;
    for text in hostile_texts() {
        let mut recording = full_recording("a");
        (recording.meeting_id, recording.name, recording.state) =
            (Some(text.clone()), Some(text.clone()), Some(text.clone()));
        recording.metadata = vec![(text.clone(), Some(text.clone()))];
        let format = &mut recording.formats[1];
        (format.format, format.url) = (text.clone(), Some(text.clone()));
        let preview = &mut format.thumbnails[1];
        (preview.alt, preview.url) = (Some(text.clone()), Some(text));
        recording.formats.truncate(2);
        recording.formats.sort_by(|first, second| first.format.cmp(&second.format));
        store.assert_kept(&recording).await;
    }
}

async fn hostile_ids_are_exact(factory: RecordingsFactory<'_>) {
    let store = TestRecordings::new(factory).await;
    // Some databases cannot index a very long text.
    let ids: Vec<_> = hostile_texts().into_iter().filter(|id| id.len() < 1_000).collect();
    for id in &ids {
        store.put(&Recording { name: Some(format!("name of {id}")), ..bare_recording(id) }).await;
    }
    assert_eq!(store.count_rows().await, [u64::try_from(ids.len()).unwrap(), 0]);
    for id in &ids {
        let name = store.get(id).await.and_then(|recording| recording.name);
        assert_eq!(name, Some(format!("name of {id}")), "{id:?}");
    }
}

async fn pages_are_in_byte_order(factory: RecordingsFactory<'_>) {
    let store = TestRecordings::new(factory).await;
    for (n, id) in NAMES_IN_ORDER.iter().enumerate().rev() {
        let recording = if n % 2 == 0 { full_recording(id) } else { bare_recording(id) };
        store.put(&recording).await;
    }
    let ids = |page: &[Recording]| {
        page.iter().map(|recording| recording.record_id.clone()).collect::<Vec<_>>()
    };
    for limit in [1, 2, 3, 20, 21, 22, 1_000] {
        let (mut found, mut after) = (Vec::new(), None::<String>);
        loop {
            let page = store.list_after(after.as_deref(), limit).await;
            assert!(page.len() <= usize::try_from(limit).unwrap());
            found.extend(ids(&page));
            let Some(last) = page.last() else { break };
            let whole = if found.len() % 2 == 1 {
                full_recording(&last.record_id)
            } else {
                bare_recording(&last.record_id)
            };
            assert_eq!(*last, whole, "pages hold whole recordings");
            after = Some(last.record_id.clone());
        }
        assert_eq!(found, NAMES_IN_ORDER, "pages of {limit}");
    }
    assert_eq!(store.list_after(None, 0).await, []);
    for (after, next) in
        [("", " "), ("B!", "Z"), ("a!", "a-1"), ("a-", "a-1"), ("c", "z"), ("\u{c5}", "\u{e4}")]
    {
        assert_eq!(ids(&store.list_after(Some(after), 1).await), [next], "after {after:?}");
    }
    assert_eq!(store.list_after(Some("\u{10ffff}"), 10).await, []);
}

async fn deleted_recordings_count(factory: RecordingsFactory<'_>) {
    let store = TestRecordings::new(factory).await;
    for (n, state) in ["published", "unpublished", "deleted", "processing"].iter().enumerate() {
        let state = Some((*state).to_owned());
        store
            .assert_kept(&Recording { state, published: false, ..full_recording(&format!("{n}")) })
            .await;
    }
    assert_eq!(store.count_rows().await, [4, 0]);
    assert_eq!(store.list_after(None, 10).await.len(), 4);
}

async fn a_large_recording_stays_as_it_is(factory: RecordingsFactory<'_>) {
    let store = TestRecordings::new(factory).await;
    let mut recording = full_recording("a");
    let long = "Ä".repeat(100_000);
    recording.metadata =
        (0..300).map(|n| (format!("name-{n:03}"), Some(format!("value {n}")))).collect();
    recording.metadata[150].1 = Some(long.clone());
    recording.name = Some(long);
    let preview = recording.formats[1].thumbnails[0].clone();
    recording.formats[1].thumbnails =
        (0..500).map(|n| Thumbnail { sequence: Some(n), ..preview.clone() }).collect();
    store.assert_kept(&recording).await;
    store.assert_kept(&bare_recording("a")).await;
}
