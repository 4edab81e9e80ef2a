//! The library: what is kept of a recording, and searches, one behaviour at a time.

use std::sync::Arc;

use app::ports::{Cursor, Destination, Imported, Journey, Records};
use domain::Timestamp;
use domain::recording::library::{Change, Filter, Incoming, Scope, States, Wanted};
use domain::recording::{Breakout, Facts, PlaybackFormat, Recording};

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
    ]
}

/// A library under test whose calls cannot fail.
#[derive(Clone)]
pub(super) struct Shelf(pub(super) Arc<dyn Records>);

impl Shelf {
    pub(super) async fn new(factory: RecordsFactory<'_>) -> Self {
        Self(factory().await)
    }

    pub(super) async fn with(factory: RecordsFactory<'_>, recordings: &[Recording]) -> Self {
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
            after = Some(Cursor::after(last));
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

    pub(super) async fn ids(&self, filter: &Filter) -> Vec<String> {
        self.ids_of(filter, &Scope::All).await
    }

    pub(super) async fn ids_of(&self, filter: &Filter, scope: &Scope) -> Vec<String> {
        self.find(filter, scope).await.into_iter().map(|one| one.record_id).collect()
    }

    pub(super) async fn change(&self, ids: &[&str], scope: &Scope, change: &Change) -> Vec<String> {
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

pub(super) fn with_formats(mut recording: Recording, names: &[&str]) -> Recording {
    recording.formats = names.iter().map(|name| format(name)).collect();
    recording
}

pub(super) fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

fn named(ids: &[&str]) -> Filter {
    Filter { record_ids: texts(ids), ..Filter::default() }
}

fn of_meetings(ids: &[&str]) -> Filter {
    Filter { meeting_ids: texts(ids), ..Filter::default() }
}

pub(super) fn of_tenant(tenant: &str) -> Scope {
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
