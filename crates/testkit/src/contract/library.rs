//! The library: searches, changes, journeys and imports, one behaviour at a time.

use std::sync::Arc;

use app::ports::{Cursor, Destination, Imported, Journey, Records, Topic};
use domain::Timestamp;
use domain::recording::library::{Change, Filter, Incoming, Scope, States, Wanted};
use domain::recording::{Breakout, Callback, Facts, PlaybackFormat, Recording};

use super::hot::hostile;
use super::recordings::{bare, full};
use super::store::NOW;
use super::{Case, RecordsFactory};

pub(super) fn cases(factory: RecordsFactory<'_>) -> Vec<Case<'_>> {
    super::cases![factory;
        facts_and_sizes_stay_as_they_are,
        an_empty_library_finds_nothing,
        the_newest_come_first_and_those_without_a_time_last,
        ids_are_prefixes_and_exact,
        many_ids_are_found_at_once,
        states_are_found,
        metadata_must_all_match,
        metadata_is_matched_letter_by_letter,
        a_filter_does_not_limit_what_is_shown,
        a_tenant_finds_its_own,
        few_of_many_and_many_of_many,
        pages_count_all,
        a_change_changes_those_of_the_scope,
        hostile_metadata_is_set_and_removed,
        a_journey_begins_and_ends,
        a_change_of_mind_replaces_a_journey,
        deleting_leaves_a_tombstone,
        the_last_trace_goes_when_nothing_is_under_way,
        an_import_adds_and_merges,
        an_import_keeps_what_people_decided,
        an_import_sends_older_formats_after_newer_ones,
        an_import_tells_the_callback,
    ]
}

/// A library under test whose calls cannot fail.
#[derive(Clone)]
pub(super) struct Shelf(pub(super) Arc<dyn Records>);

impl Shelf {
    pub(super) async fn new(factory: RecordsFactory<'_>) -> Self {
        Self(factory().await)
    }

    async fn with(factory: RecordsFactory<'_>, recordings: &[Recording]) -> Self {
        let shelf = Self::new(factory).await;
        for recording in recordings {
            shelf.put(recording).await;
        }
        shelf
    }

    pub(super) async fn put(&self, recording: &Recording) {
        self.0.put_recording(recording).await.expect("put_recording");
    }

    pub(super) async fn get(&self, id: &str) -> Option<Recording> {
        self.0.recording(id).await.expect("recording")
    }

    /// What a search finds; pages of any length must find the same.
    pub(super) async fn find(&self, filter: &Filter, scope: &Scope) -> Vec<Recording> {
        let whole = self.0.find_recordings(filter, scope, None, 1_000).await.expect("a search");
        let (page, count) = self.page(filter, scope, 0, 1_000).await;
        assert_eq!((&page, count), (&whole, whole.len() as u64), "{filter:?} {scope:?}");
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let next = self.0.find_recordings(filter, scope, after.as_ref(), 2).await;
            let next = next.expect("a search");
            let Some(last) = next.last() else { break };
            after = Some(Cursor { started_at: last.started_at, record_id: last.record_id.clone() });
            found.extend(next);
            assert!(found.len() <= whole.len(), "{filter:?}");
        }
        assert_eq!(found, whole, "pages of two: {filter:?} {scope:?}");
        whole
    }

    pub(super) async fn page(
        &self,
        filter: &Filter,
        scope: &Scope,
        offset: u64,
        limit: u32,
    ) -> (Vec<Recording>, u64) {
        self.0.page_of_recordings(filter, scope, offset, limit).await.expect("a page")
    }

    async fn ids(&self, filter: &Filter) -> Vec<String> {
        self.ids_of(filter, &Scope::All).await
    }

    async fn ids_of(&self, filter: &Filter, scope: &Scope) -> Vec<String> {
        self.find(filter, scope).await.into_iter().map(|one| one.record_id).collect()
    }

    async fn change(&self, ids: &[&str], scope: &Scope, change: &Change) -> Vec<String> {
        let ids: Vec<String> = ids.iter().map(|id| (*id).to_owned()).collect();
        self.0.change_recordings(&ids, scope, change).await.expect("a change")
    }

    pub(super) async fn begin(&self, id: &str, to: Destination, now: Timestamp) -> Option<Journey> {
        self.0.begin_journey(id, &Scope::All, to, now).await.expect("begin_journey")
    }

    pub(super) async fn end(&self, journey: &Journey) -> bool {
        self.0.end_journey(journey).await.expect("end_journey")
    }

    pub(super) async fn journeys(&self, before: Timestamp) -> Vec<Journey> {
        self.0.journeys(before, 100).await.expect("journeys")
    }

    pub(super) async fn import(&self, recording: &Recording, now: Timestamp) -> Option<Imported> {
        let incoming = Incoming { recording: recording.clone() };
        self.0.import_recording(&incoming, now).await.expect("an import")
    }
}

/// A recording that is shown, of that many minutes after the first one.
pub(super) fn shown(id: &str, minutes: i64) -> Recording {
    Recording {
        meeting_id: Some(format!("meeting of {id}")),
        published: true,
        state: Some("published".to_owned()),
        started_at: Some(NOW.plus_ms(60_000 * minutes)),
        ..bare(id)
    }
}

pub(super) fn with_metadata(mut recording: Recording, metadata: &[(&str, &str)]) -> Recording {
    let pairs = metadata.iter().map(|(key, value)| ((*key).to_owned(), Some((*value).to_owned())));
    recording.metadata = pairs.collect();
    recording.metadata.sort();
    recording
}

pub(super) fn format(name: &str) -> PlaybackFormat {
    PlaybackFormat {
        format: name.to_owned(),
        url: Some(format!("/{name}/x")),
        size: Some(7),
        ..PlaybackFormat::default()
    }
}

fn with_formats(mut recording: Recording, names: &[&str]) -> Recording {
    recording.formats = names.iter().map(|name| format(name)).collect();
    recording
}

fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

fn named(ids: &[&str]) -> Filter {
    Filter { record_ids: texts(ids), ..Filter::default() }
}

fn of_meetings(ids: &[&str]) -> Filter {
    Filter { meeting_ids: texts(ids), ..Filter::default() }
}

fn of_tenant(tenant: &str) -> Scope {
    Scope::Tenant(tenant.to_owned())
}

fn with(pairs: &[(&str, &[&str])]) -> Filter {
    let wanted = |values: &[&str]| values.iter().map(|one| Wanted::parse(one)).collect();
    let metadata = pairs.iter().map(|(key, values)| ((*key).to_owned(), wanted(values)));
    Filter { metadata: metadata.collect(), ..Filter::default() }
}

async fn facts_and_sizes_stay_as_they_are(factory: RecordsFactory<'_>) {
    let shelf = Shelf::new(factory).await;
    let mut one = full("a");
    one.formats[1].size = Some(i64::MAX);
    one.facts = Facts {
        is_breakout: Some(false),
        breakout: Some(Breakout {
            parent_id: "parent".to_owned(),
            sequence: Some(3),
            free_join: Some(true),
        }),
        breakout_rooms: hostile().into_iter().take(20).collect(),
        raw_size: Some(0),
        edits: vec![("gone".to_owned(), None), ("set".to_owned(), Some("v".to_owned()))],
    };
    let mut part = full("b");
    part.facts.is_breakout = Some(true);
    for recording in [&one, &part, &full("c")] {
        shelf.put(recording).await;
        assert_eq!(shelf.get(&recording.record_id).await.as_ref(), Some(recording));
    }
    let listed = shelf.0.recordings_after(None, 10).await.expect("recordings");
    assert_eq!(listed, [one, part, full("c")]);
    shelf.put(&full("a")).await;
    assert_eq!(shelf.get("a").await, Some(full("a")), "nothing of it is left");
}

async fn an_empty_library_finds_nothing(factory: RecordsFactory<'_>) {
    let shelf = Shelf::new(factory).await;
    for filter in [Filter::default(), named(&["a"]), of_meetings(&["m"]), with(&[("a", &["b"])])] {
        assert_eq!(shelf.ids(&filter).await, [""; 0]);
        assert_eq!(shelf.page(&filter, &of_tenant("t"), 5, 5).await, (vec![], 0));
    }
    let nothing = shelf.change(&["a"], &Scope::All, &Change::default()).await;
    assert_eq!(nothing, [""; 0]);
    for to in [Destination::Published, Destination::Gone] {
        assert_eq!(shelf.begin("a", to, NOW).await, None);
    }
    assert_eq!(shelf.journeys(NOW.plus_ms(1)).await, []);
}

async fn the_newest_come_first_and_those_without_a_time_last(factory: RecordsFactory<'_>) {
    let without = |id: &str| Recording { started_at: None, ..shown(id, 0) };
    let all = [
        shown("a", 1),
        shown("b", 3),
        shown("c", 2),
        without("z"),
        without("Z"),
        // Of one time: by id, byte by byte.
        shown("e", 5),
        shown("E", 5),
        shown("_", 5),
        shown("ä", 5),
    ];
    let shelf = Shelf::with(factory, &all).await;
    let order = ["E", "_", "e", "ä", "b", "c", "a", "Z", "z"];
    assert_eq!(shelf.ids(&Filter::default()).await, order);
    for offset in 0..10_u64 {
        let (page, count) = shelf.page(&Filter::default(), &Scope::All, offset, 3).await;
        let ids: Vec<String> = page.into_iter().map(|one| one.record_id).collect();
        let wanted = order.iter().skip(usize::try_from(offset).unwrap()).take(3);
        assert_eq!((ids, count), (wanted.map(|id| (*id).to_owned()).collect(), 9), "{offset}");
    }
}

async fn ids_are_prefixes_and_exact(factory: RecordsFactory<'_>) {
    let mut all: Vec<Recording> =
        ["aa-1", "aa-2", "ab", "b", "a%", "a_x", "A", "ä1"].map(|id| shown(id, 0)).to_vec();
    all[2].meeting_id = all[0].meeting_id.clone();
    all[3].meeting_id = None;
    let shelf = Shelf::with(factory, &all).await;
    assert_eq!(shelf.ids(&named(&["aa-1"])).await, ["aa-1"]);
    assert_eq!(shelf.ids(&named(&["aa"])).await, ["aa-1", "aa-2"]);
    assert_eq!(shelf.ids(&named(&["a"])).await, ["a%", "a_x", "aa-1", "aa-2", "ab"]);
    assert_eq!(shelf.ids(&named(&["b", "aa-2", "aa-", "zz"])).await, ["aa-1", "aa-2", "b"]);
    assert_eq!(shelf.ids(&named(&["a%", "a_"])).await, ["a%", "a_x"]);
    assert_eq!(shelf.ids(&named(&["ä", "\u{10ffff}"])).await, ["ä1"]);
    assert_eq!(shelf.ids(&named(&["\0", "b"])).await, ["b"]);
    assert_eq!(shelf.ids(&named(&["aa-10"])).await, [""; 0]);
    assert_eq!(shelf.ids(&of_meetings(&["meeting of aa-1"])).await, ["aa-1", "ab"]);
    assert_eq!(shelf.ids(&of_meetings(&["meeting of aa", "Meeting of aa-1"])).await, [""; 0]);
    let two = of_meetings(&["meeting of aa-1", "meeting of A", "x"]);
    assert_eq!(shelf.ids(&two).await, ["A", "aa-1", "ab"]);
    // Where recordings are named, meetings are not looked at.
    let both = Filter { meeting_ids: texts(&["meeting of A"]), ..named(&["b"]) };
    assert_eq!(shelf.ids(&both).await, ["b"]);
}

async fn many_ids_are_found_at_once(factory: RecordsFactory<'_>) {
    let all: Vec<Recording> = (0..120).map(|n| shown(&format!("r{n:05}"), -n)).collect();
    let shelf = Shelf::with(factory, &all).await;
    let ids: Vec<String> = (0..5_000).map(|n| format!("r{n:05}")).collect();
    let named = Filter { record_ids: ids.clone(), ..Filter::default() };
    assert_eq!(shelf.ids(&named).await, ids[..120]);
    let meetings = ids.iter().map(|id| format!("meeting of {id}")).collect();
    let of_meetings = Filter { meeting_ids: meetings, ..Filter::default() };
    assert_eq!(shelf.ids(&of_meetings).await, ids[..120]);
}

async fn states_are_found(factory: RecordsFactory<'_>) {
    let states = ["published", "unpublished", "deleted", "processing", "Published"];
    let mut all: Vec<Recording> = states
        .iter()
        .map(|state| Recording { state: Some((*state).to_owned()), ..shown(state, 0) })
        .collect();
    all.push(Recording { state: None, ..shown("none", 0) });
    let shelf = Shelf::with(factory, &all).await;
    let these = |states: &[&str]| States::These(texts(states));
    let find = async |states: States| shelf.ids(&Filter { states, ..Filter::default() }).await;
    assert_eq!(find(States::Usual).await, ["published", "unpublished"]);
    let any = ["Published", "none", "processing", "published", "unpublished"];
    assert_eq!(find(States::Any).await, any);
    assert_eq!(find(these(&["deleted"])).await, ["deleted"]);
    assert_eq!(find(these(&["processing", "published", "%"])).await, ["processing", "published"]);
    assert_eq!(find(these(&[])).await, [""; 0]);
}

async fn metadata_must_all_match(factory: RecordsFactory<'_>) {
    let all = [
        with_metadata(shown("a", 0), &[("one", "1"), ("two", "2")]),
        with_metadata(shown("b", 0), &[("one", "1"), ("two", "3")]),
        with_metadata(shown("c", 0), &[("two", "2")]),
        shown("d", 0),
    ];
    let shelf = Shelf::with(factory, &all).await;
    assert_eq!(shelf.ids(&with(&[("one", &["1"])])).await, ["a", "b"]);
    assert_eq!(shelf.ids(&with(&[("one", &["1"]), ("two", &["2"])])).await, ["a"]);
    assert_eq!(shelf.ids(&with(&[("two", &["2", "3"])])).await, ["a", "b", "c"]);
    assert_eq!(shelf.ids(&with(&[("two", &["2", "3"]), ("one", &["%"])])).await, ["a", "b"]);
    assert_eq!(shelf.ids(&with(&[("one", &["1"]), ("one", &["2"])])).await, [""; 0]);
    assert_eq!(shelf.ids(&with(&[("one", &[])])).await, [""; 0]);
    let filter = Filter { record_ids: texts(&["b", "c"]), ..with(&[("two", &["2"])]) };
    assert_eq!(shelf.ids(&filter).await, ["c"]);
    let filter = Filter { meeting_ids: texts(&["meeting of b"]), ..with(&[("two", &["2"])]) };
    assert_eq!(shelf.ids(&filter).await, [""; 0]);
}

async fn metadata_is_matched_letter_by_letter(factory: RecordsFactory<'_>) {
    let long = "x".repeat(300);
    let (longer, other) = (format!("{long}y"), format!("{long}z"));
    let values =
        ["Algebra", "algebra", "al%bra", "al_bra", "über algebra", "", "\\", &longer, &other];
    let mut all: Vec<Recording> = values
        .iter()
        .enumerate()
        .map(|(n, value)| with_metadata(shown(&n.to_string(), 0), &[("k", value)]))
        .collect();
    let mut none = shown("n", 0);
    none.metadata = vec![("k".to_owned(), None)];
    all.push(none);
    let shelf = Shelf::with(factory, &all).await;
    let find = async |value: &str| shelf.ids(&with(&[("k", &[value])])).await.join(" ");
    assert_eq!(find("algebra").await, "1");
    assert_eq!(find("al%bra").await, "2");
    assert_eq!(find("al_bra").await, "3");
    assert_eq!(find("al%").await, "1 2 3");
    assert_eq!(find("%lgebra").await, "0 1 4");
    assert_eq!(find("%ge%").await, "0 1 4");
    assert_eq!(find("ü%").await, "4");
    assert_eq!(find("%%").await, "0 1 2 3 4 5 6 7 8 n");
    assert_eq!(find("%").await, "0 1 2 3 4 5 6 7 8 n");
    assert_eq!(find("").await, "5 n");
    assert_eq!(find("\\").await, "6");
    assert_eq!((find(&longer).await, find(&other).await), ("7".to_owned(), "8".to_owned()));
    assert_eq!(find(&format!("{long}%")).await, "7 8");
    assert_eq!(find("\0").await, "");
    let several = with(&[("k", &["algebra", "\0", "", "%z"])]);
    assert_eq!(shelf.ids(&several).await.join(" "), "1 5 8 n");
    assert_eq!(shelf.ids(&with(&[("K", &["algebra"])])).await, [""; 0]);
}

async fn a_filter_does_not_limit_what_is_shown(factory: RecordsFactory<'_>) {
    let recording = Recording { deleted_at: None, ..full("a") };
    let mut whole = with_metadata(recording, &[("tenant-id", "t"), ("a", "1"), ("b", "2")]);
    whole.facts.raw_size = Some(5);
    let shelf = Shelf::with(factory, std::slice::from_ref(&whole)).await;
    for filter in [with(&[("a", &["1"])]), with(&[("a", &["%"]), ("b", &["2"])]), named(&["a"])] {
        assert_eq!(shelf.find(&filter, &of_tenant("t")).await, std::slice::from_ref(&whole));
    }
}

async fn a_tenant_finds_its_own(factory: RecordsFactory<'_>) {
    let of = |id: &str, tenant: &str| with_metadata(shown(id, 0), &[("tenant-id", tenant)]);
    let all = [of("a", "t"), of("b", "u"), of("c", "t"), shown("d", 0), of("e", "T")];
    let shelf = Shelf::with(factory, &all).await;
    let t = of_tenant("t");
    assert_eq!(shelf.ids_of(&Filter::default(), &t).await, ["a", "c"]);
    assert_eq!(shelf.ids_of(&named(&["b", "c", "d"]), &t).await, ["c"]);
    assert_eq!(shelf.ids_of(&of_meetings(&["meeting of b", "meeting of a"]), &t).await, ["a"]);
    assert_eq!(shelf.ids_of(&with(&[("tenant-id", &["u"])]), &t).await, [""; 0]);
    assert_eq!(shelf.ids_of(&Filter::default(), &of_tenant("")).await, [""; 0]);
    let change = Change { protected: Some(true), ..Change::default() };
    assert_eq!(shelf.change(&["a", "b", "d"], &t, &change).await, ["a"]);
    assert!(!shelf.get("b").await.unwrap().protected);
    let begun = shelf.0.begin_journey("b", &t, Destination::Gone, NOW).await.expect("a call");
    assert_eq!(begun, None);
    assert!(!shelf.get("b").await.unwrap().is_deleted());
}

/// Databases go different ways for conditions that hold for few recordings and for many.
async fn few_of_many_and_many_of_many(factory: RecordsFactory<'_>) {
    let shelf = Shelf::new(factory).await;
    for n in 0..30 {
        let tenant = if n % 10 == 0 { "few" } else { "many" };
        let all = [("tenant-id", tenant), ("every", "one")];
        shelf.put(&with_metadata(shown(&format!("{n:02}"), n), &all)).await;
    }
    let every = with(&[("every", &["one", "two"])]);
    assert_eq!(shelf.ids_of(&every, &of_tenant("few")).await, ["20", "10", "00"]);
    assert_eq!(shelf.ids_of(&every, &of_tenant("many")).await.len(), 27);
    let (page, count) = shelf.page(&every, &of_tenant("many"), 25, 10).await;
    let ids: Vec<_> = page.iter().map(|one| one.record_id.as_str()).collect();
    assert_eq!((ids, count), (vec!["02", "01"], 27));
}

async fn pages_count_all(factory: RecordsFactory<'_>) {
    let all: Vec<Recording> = (0..25).map(|n| shown(&format!("{n:02}"), -n)).collect();
    let shelf = Shelf::with(factory, &all).await;
    let usual = Filter::default();
    for (offset, limit, from, to) in
        [(0, 10, 0, 10), (10, 10, 10, 20), (20, 10, 20, 25), (25, 10, 25, 25), (99, 1, 25, 25)]
    {
        let (page, count) = shelf.page(&usual, &Scope::All, offset, limit).await;
        assert_eq!((page.as_slice(), count), (&all[from..to], 25), "{offset} {limit}");
    }
    assert_eq!(shelf.page(&usual, &Scope::All, u64::MAX, 3).await, (vec![], 25));
    assert_eq!(shelf.page(&usual, &Scope::All, 3, 0).await, (vec![], 25));
}

async fn a_change_changes_those_of_the_scope(factory: RecordsFactory<'_>) {
    let all = [
        with_metadata(full("a"), &[("keep", "1"), ("set", "1"), ("gone", "1")]),
        Recording { deleted_at: None, ..with_metadata(full("b"), &[("gone", "1")]) },
        Recording { deleted_at: None, ..full("c") },
    ];
    let shelf = Shelf::with(factory, &all).await;
    let change = Change {
        metadata: vec![
            ("set".to_owned(), Some("2".to_owned())),
            ("gone".to_owned(), None),
            ("new".to_owned(), Some(String::new())),
        ],
        protected: Some(false),
        tenant: Some("t".to_owned()),
    };
    let changed = shelf.change(&["b", "x", "a", "c", "b"], &Scope::All, &change).await;
    assert_eq!(changed, ["b", "c"], "one that was deleted is not changed");
    assert_eq!(shelf.get("a").await.as_ref(), Some(&all[0]));
    for before in &all[1..] {
        let mut wanted = before.clone();
        change.apply(&mut wanted);
        let found = shelf.get(&before.record_id).await.unwrap();
        assert_eq!(found, wanted);
        assert_eq!((found.tenant(), found.protected), (Some("t"), false));
        assert_eq!(found.facts.edits.len(), 3);
    }
    assert_eq!(shelf.change(&["c"], &of_tenant("t"), &Change::default()).await, ["c"]);
}

async fn hostile_metadata_is_set_and_removed(factory: RecordsFactory<'_>) {
    let shelf = Shelf::with(factory, &[shown("a", 0)]).await;
    let texts: Vec<String> = hostile().into_iter().filter(|text| text.len() < 2_000).collect();
    let set = |value: Option<()>| Change {
        metadata: texts.iter().map(|text| (text.clone(), value.map(|()| text.clone()))).collect(),
        ..Change::default()
    };
    shelf.change(&["a"], &Scope::All, &set(Some(()))).await;
    for text in &texts {
        let found = shelf.get("a").await.unwrap();
        assert_eq!(found.metadata_value(text), Some(text.as_str()));
        let exactly = vec![Wanted::Exactly(text.clone())];
        let filter = Filter { metadata: vec![(text.clone(), exactly)], ..Filter::default() };
        assert_eq!(shelf.ids(&filter).await, ["a"], "{text:?}");
    }
    shelf.change(&["a"], &Scope::All, &set(None)).await;
    assert_eq!(shelf.get("a").await.unwrap().metadata, []);
}

async fn a_journey_begins_and_ends(factory: RecordsFactory<'_>) {
    let shelf = Shelf::with(factory, &[with_formats(shown("a", 0), &["notes", "video"])]).await;
    let journey = shelf.begin("a", Destination::Unpublished, NOW).await.unwrap();
    assert_eq!(journey.formats, ["notes", "video"]);
    assert_eq!((journey.to, journey.since), (Destination::Unpublished, NOW));
    assert!(!journey.contested);
    let now = shelf.get("a").await.unwrap();
    assert_eq!((now.published, now.publish_updated), (false, true));
    assert_eq!(now.state.as_deref(), Some("unpublished"));
    assert_eq!(now.formats.len(), 2);
    assert_eq!(shelf.journeys(NOW).await, []);
    assert_eq!(shelf.journeys(NOW.plus_ms(1)).await, std::slice::from_ref(&journey));
    assert!(shelf.end(&journey).await);
    assert!(!shelf.end(&journey).await);
    assert_eq!(shelf.journeys(NOW.plus_ms(1)).await, []);
    let back = shelf.begin("a", Destination::Published, NOW.plus_ms(5)).await.unwrap();
    assert_ne!(back.number, journey.number);
    assert!(!shelf.end(&journey).await, "an old one ends no new one");
    assert!(shelf.end(&back).await);
    assert!(shelf.get("a").await.unwrap().published);
}

async fn a_change_of_mind_replaces_a_journey(factory: RecordsFactory<'_>) {
    let all = [with_formats(shown("a", 0), &["video"]), with_formats(shown("b", 0), &["video"])];
    let shelf = Shelf::with(factory, &all).await;
    let first = shelf.begin("a", Destination::Unpublished, NOW).await.unwrap();
    let other = shelf.begin("b", Destination::Gone, NOW.plus_ms(-5)).await.unwrap();
    // Even if the clock stands or goes back.
    let second = shelf.begin("a", Destination::Published, NOW.plus_ms(-1)).await.unwrap();
    assert!(second.contested && second.number > first.number);
    assert_eq!(shelf.journeys(NOW.plus_ms(9)).await, [other.clone(), second.clone()]);
    assert!(!shelf.end(&first).await);
    let third = shelf.begin("a", Destination::Gone, NOW.plus_ms(1)).await.unwrap();
    let again = shelf.begin("a", Destination::Gone, NOW.plus_ms(2)).await.unwrap();
    assert_eq!((third.formats, again.formats.clone()), (texts(&["video"]), texts(&["video"])));
    assert_eq!(shelf.begin("a", Destination::Published, NOW).await, None);
    let one = shelf.0.journeys(NOW.plus_ms(9), 1).await.expect("journeys");
    assert_eq!(one, [other]);
    assert!(!shelf.end(&second).await);
    assert!(shelf.end(&again).await);
}

async fn deleting_leaves_a_tombstone(factory: RecordsFactory<'_>) {
    let mut one = Recording { deleted_at: None, ..full("a") };
    one.facts.raw_size = Some(1);
    let shelf = Shelf::with(factory, &[one.clone(), full("b")]).await;
    let journey = shelf.begin("a", Destination::Gone, NOW).await.unwrap();
    assert_eq!(journey.formats, ["notes", "presentation", "video"]);
    let tombstone = Recording {
        published: false,
        state: Some("deleted".to_owned()),
        deleted_at: Some(NOW),
        metadata: vec![],
        formats: vec![],
        facts: Facts::default(),
        ..one.clone()
    };
    assert_eq!(shelf.get("a").await.as_ref(), Some(&tombstone));
    assert!(shelf.end(&journey).await);
    // Again, in case files were left.
    let again = shelf.begin("a", Destination::Gone, NOW.plus_ms(5)).await.unwrap();
    assert_eq!((again.formats.len(), shelf.get("a").await), (0, Some(tombstone.clone())));
    assert!(shelf.end(&again).await);
    assert_eq!(shelf.begin("a", Destination::Published, NOW).await, None);
    assert_eq!(shelf.import(&one, NOW).await, None, "a late copy does not bring it back");
    assert_eq!(shelf.get("a").await, Some(tombstone));
    assert_eq!(shelf.get("b").await, Some(full("b")));
}

async fn the_last_trace_goes_when_nothing_is_under_way(factory: RecordsFactory<'_>) {
    let all: Vec<Recording> =
        ["a", "b", "c", "d"].map(|id| Recording { deleted_at: None, ..full(id) }).to_vec();
    let shelf = Shelf::with(factory, &all).await;
    let forget =
        async |before, limit| shelf.0.forget_deleted(before, limit).await.expect("forget_deleted");
    let mut under_way = Vec::new();
    for (ms, id) in [(3, "a"), (1, "b"), (2, "c")] {
        under_way.push(shelf.begin(id, Destination::Gone, NOW.plus_ms(ms)).await.unwrap());
    }
    assert_eq!(forget(NOW.plus_ms(9), 9).await, [""; 0]);
    for journey in &under_way[..2] {
        shelf.end(journey).await;
    }
    assert_eq!(forget(NOW.plus_ms(1), 9).await, [""; 0]);
    assert_eq!(forget(NOW.plus_ms(9), 1).await, ["b"]);
    assert_eq!(forget(NOW.plus_ms(9), 9).await, ["a"]);
    assert_eq!((shelf.get("a").await, shelf.get("b").await), (None, None));
    assert!(shelf.get("c").await.is_some() && shelf.get("d").await.is_some());
    assert!(shelf.import(&all[0], NOW).await.is_some(), "nobody knows of it any more");
}

async fn an_import_adds_and_merges(factory: RecordsFactory<'_>) {
    let shelf = Shelf::new(factory).await;
    let mut first = with_formats(shown("a", 0), &["presentation"]);
    first = with_metadata(first, &[("x", "1"), ("meetingId", "m"), ("isBreakout", "false")]);
    let imported = shelf.import(&first, NOW).await.unwrap();
    assert!(!imported.known);
    assert_eq!(imported.recording.metadata, [("x".to_owned(), Some("1".to_owned()))]);
    assert_eq!((&imported.journey, imported.recording.formats.len()), (&None, 1));
    assert_eq!(shelf.get("a").await.as_ref(), Some(&imported.recording));
    let second = with_formats(shown("a", 0), &["video"]);
    let imported = shelf.import(&second, NOW.plus_ms(1)).await.unwrap();
    assert!(imported.known);
    let names: Vec<_> = imported.recording.formats.iter().map(|one| one.format.as_str()).collect();
    assert_eq!((names, &imported.journey), (vec!["presentation", "video"], &None));
    assert_eq!(shelf.get("a").await.as_ref(), Some(&imported.recording));
    let again = shelf.import(&second, NOW.plus_ms(2)).await.unwrap();
    assert_eq!(again, imported);
}

async fn an_import_keeps_what_people_decided(factory: RecordsFactory<'_>) {
    let shelf = Shelf::new(factory).await;
    let came = with_formats(shown("a", 0), &["video"]);
    let came = with_metadata(came, &[("name", "old"), ("gone", "1"), ("tenant-id", "t")]);
    shelf.import(&came, NOW).await.unwrap();
    let change = Change {
        metadata: vec![("name".to_owned(), Some("new".to_owned())), ("gone".to_owned(), None)],
        protected: Some(true),
        tenant: Some("u".to_owned()),
    };
    shelf.change(&["a"], &Scope::All, &change).await;
    let journey = shelf.begin("a", Destination::Unpublished, NOW).await.unwrap();
    assert!(shelf.end(&journey).await);
    let kept = shelf.get("a").await.unwrap();
    let imported = shelf.import(&came, NOW.plus_ms(1)).await.unwrap();
    assert_eq!((&imported.recording, &imported.journey), (&kept, &None));
    assert_eq!((kept.tenant(), kept.published, kept.protected), (Some("u"), false, true));
    assert_eq!((kept.metadata_value("name"), kept.metadata_value("gone")), (Some("new"), None));
}

async fn an_import_sends_older_formats_after_newer_ones(factory: RecordsFactory<'_>) {
    let shelf = Shelf::new(factory).await;
    let hidden = |recording: Recording| Recording {
        published: false,
        state: Some("unpublished".to_owned()),
        ..recording
    };
    let first = hidden(with_formats(shown("a", 0), &["notes", "video"]));
    shelf.import(&first, NOW).await.unwrap();
    let second = with_formats(shown("a", 0), &["presentation", "video"]);
    let imported = shelf.import(&second, NOW.plus_ms(1)).await.unwrap();
    let journey = imported.journey.unwrap();
    assert_eq!((journey.formats.clone(), journey.to), (texts(&["notes"]), Destination::Published));
    assert_eq!(shelf.journeys(NOW.plus_ms(2)).await, std::slice::from_ref(&journey));
    assert!(shelf.end(&journey).await);
}

async fn an_import_tells_the_callback(factory: RecordsFactory<'_>) {
    let shelf = Shelf::new(factory).await;
    let attribute = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let callback = |meeting: &str, attributes| Callback {
        meeting_id: meeting.to_owned(),
        attributes,
        created_at: NOW,
        updated_at: NOW,
        ..Callback::default()
    };
    let asked = vec![
        attribute("recording_ready_url", "https://app/ready?x=1"),
        attribute("secret_hint", "h"),
    ];
    let analytics = vec![attribute("analytics_callback_url", "https://app/stats")];
    for one in [callback("meeting of a", asked.clone()), callback("meeting of b", analytics)] {
        shelf.0.put_callback(&one).await.expect("put_callback");
    }
    let later = NOW.plus_ms(7);
    let came = with_metadata(with_formats(shown("a", 0), &["video"]), &[("tenant-id", "t")]);
    for one in [&came, &with_formats(shown("b", 0), &["video"]), &shown("c", 0), &bare("d")] {
        shelf.import(one, later).await.unwrap();
    }
    let messages = shelf.0.messages(10).await.expect("messages");
    assert_eq!(messages.len(), 1);
    let message = &messages[0];
    assert_eq!(
        (message.topic, message.url.as_str()),
        (Topic::RecordingReady, "https://app/ready?x=1")
    );
    assert_eq!(
        (message.meeting_id.as_str(), message.record_id.as_deref()),
        ("meeting of a", Some("a"))
    );
    assert_eq!((message.tenant.as_deref(), message.secret_hint.as_deref()), (Some("t"), Some("h")));
    assert_eq!((message.posted_at, message.due_at, message.attempts), (later, Some(later), 0));
    let told = shelf.0.callbacks_after(None, 10).await.expect("callbacks");
    assert_eq!((told[0].record_id.as_deref(), told[0].updated_at), (Some("a"), later));
    assert_eq!((&told[0].attributes, told[1].record_id.as_deref()), (&asked, Some("b")));
    // The same once more is told once; more of it is told again.
    shelf.import(&came, later).await.unwrap();
    assert_eq!(shelf.0.messages(10).await.expect("messages").len(), 1);
    shelf.import(&with_formats(shown("a", 0), &["notes"]), later.plus_ms(1)).await.unwrap();
    assert_eq!(shelf.0.messages(10).await.expect("messages").len(), 2);
}
