//! The catalog of recordings: stored details, and searches.

use app::ports::{Destination, RecordingStore};
use domain::recording::catalog::{
    MetadataMatch, RecordingChange, RecordingFilter, RecordingStates, TenantScope,
};
use domain::recording::{BreakoutPlace, Recording, RecordingDetails};

use super::fixtures::NOW;
use super::recordings::full_recording;
use super::state_store::hostile_texts;
use super::test_catalog::{TestCatalog, published_recording, tenant_scope, texts, with_metadata};
use super::{ContractCase, RecordingStoreFactory};

pub(super) fn cases() -> Vec<ContractCase<dyn RecordingStore>> {
    super::cases![
        details_and_sizes_stay_as_they_are,
        an_empty_catalog_finds_nothing,
        the_newest_come_first_and_those_without_a_time_last,
        ids_are_prefixes_and_exact,
        many_ids_are_found_at_once,
        states_are_found,
        metadata_must_all_match,
        metadata_is_matched_character_by_character,
        a_filter_does_not_limit_what_is_shown,
        a_tenant_finds_its_own,
        conditions_may_match_few_or_many,
        pages_count_all,
    ]
}

fn with_ids(ids: &[&str]) -> RecordingFilter {
    RecordingFilter { record_ids: texts(ids), ..RecordingFilter::default() }
}

fn with_meetings(ids: &[&str]) -> RecordingFilter {
    RecordingFilter { meeting_ids: texts(ids), ..RecordingFilter::default() }
}

fn with_metadata_filter(pairs: &[(&str, &[&str])]) -> RecordingFilter {
    let expected =
        |values: &[&str]| values.iter().map(|value| MetadataMatch::parse(value)).collect();
    let metadata = pairs.iter().map(|(key, values)| ((*key).to_owned(), expected(values)));
    RecordingFilter { metadata: metadata.collect(), ..RecordingFilter::default() }
}

async fn details_and_sizes_stay_as_they_are(factory: RecordingStoreFactory<'_>) {
    let catalog = TestCatalog::new(factory).await;
    let mut complete = full_recording("a");
    complete.formats[1].size = Some(i64::MAX);
    complete.details = RecordingDetails {
        is_breakout: Some(false),
        breakout: Some(BreakoutPlace {
            parent_id: "parent".to_owned(),
            sequence: Some(3),
            free_join: Some(true),
        }),
        breakout_rooms: hostile_texts().into_iter().take(20).collect(),
        raw_size: Some(0),
        metadata_edits: vec![("gone".to_owned(), None), ("set".to_owned(), Some("v".to_owned()))],
        metadata_formats: vec![("näme".to_owned(), "video".to_owned())],
        uploaded_by: Some("0123456789abcdef".to_owned()),
    };
    let mut part = full_recording("b");
    part.details.is_breakout = Some(true);
    for recording in [&complete, &part, &full_recording("c")] {
        catalog.put(recording).await;
        assert_eq!(catalog.get(&recording.record_id).await.as_ref(), Some(recording));
    }
    let listed = catalog.0.list_recordings_after(None, 10).await.expect("recordings");
    assert_eq!(listed, [complete, part, full_recording("c")]);
    catalog.put(&full_recording("a")).await;
    assert_eq!(catalog.get("a").await, Some(full_recording("a")), "nothing of it is left");
}

async fn an_empty_catalog_finds_nothing(factory: RecordingStoreFactory<'_>) {
    let catalog = TestCatalog::new(factory).await;
    for filter in [
        RecordingFilter::default(),
        with_ids(&["a"]),
        with_meetings(&["m"]),
        with_metadata_filter(&[("a", &["b"])]),
    ] {
        assert_eq!(catalog.find_ids(&filter).await, [""; 0]);
        assert_eq!(catalog.page(&filter, &tenant_scope("t"), 5, 5).await, (vec![], 0));
    }
    let nothing =
        catalog.change_recordings(&["a"], &TenantScope::All, &RecordingChange::default()).await;
    assert_eq!(nothing, [""; 0]);
    for to in [Destination::Published, Destination::Removed] {
        assert_eq!(catalog.begin_move("a", to, NOW).await, None);
    }
    assert_eq!(catalog.list_moves(NOW.plus_ms(1)).await, []);
}

async fn the_newest_come_first_and_those_without_a_time_last(factory: RecordingStoreFactory<'_>) {
    let without = |id: &str| Recording { started_at: None, ..published_recording(id, 0) };
    let all = [
        published_recording("a", 1),
        published_recording("b", 3),
        published_recording("c", 2),
        without("z"),
        without("Z"),
        // Recordings of the same time are sorted by id, byte by byte.
        published_recording("e", 5),
        published_recording("E", 5),
        published_recording("_", 5),
        published_recording("ä", 5),
    ];
    let catalog = TestCatalog::with(factory, &all).await;
    let order = ["E", "_", "e", "ä", "b", "c", "a", "Z", "z"];
    assert_eq!(catalog.find_ids(&RecordingFilter::default()).await, order);
    for offset in 0..10_u64 {
        let (page, count) =
            catalog.page(&RecordingFilter::default(), &TenantScope::All, offset, 3).await;
        let ids: Vec<String> = page.into_iter().map(|recording| recording.record_id).collect();
        let expected = order.iter().skip(usize::try_from(offset).unwrap()).take(3);
        assert_eq!((ids, count), (expected.map(|id| (*id).to_owned()).collect(), 9), "{offset}");
    }
}

async fn ids_are_prefixes_and_exact(factory: RecordingStoreFactory<'_>) {
    let mut all: Vec<Recording> = ["aa-1", "aa-2", "ab", "b", "a%", "a_x", "A", "ä1"]
        .map(|id| published_recording(id, 0))
        .to_vec();
    all[2].meeting_id = all[0].meeting_id.clone();
    all[3].meeting_id = None;
    let catalog = TestCatalog::with(factory, &all).await;
    assert_eq!(catalog.find_ids(&with_ids(&["aa-1"])).await, ["aa-1"]);
    assert_eq!(catalog.find_ids(&with_ids(&["aa"])).await, ["aa-1", "aa-2"]);
    assert_eq!(catalog.find_ids(&with_ids(&["a"])).await, ["a%", "a_x", "aa-1", "aa-2", "ab"]);
    assert_eq!(
        catalog.find_ids(&with_ids(&["b", "aa-2", "aa-", "zz"])).await,
        ["aa-1", "aa-2", "b"]
    );
    assert_eq!(catalog.find_ids(&with_ids(&["a%", "a_"])).await, ["a%", "a_x"]);
    assert_eq!(catalog.find_ids(&with_ids(&["ä", "\u{10ffff}"])).await, ["ä1"]);
    assert_eq!(catalog.find_ids(&with_ids(&["\0", "b"])).await, ["b"]);
    assert_eq!(catalog.find_ids(&with_ids(&["aa-10"])).await, [""; 0]);
    // As many as one call may name.
    let many: Vec<String> =
        (0..9_998).map(|n| format!("n{n}")).chain(texts(&["b", "ab"])).collect();
    let named = RecordingFilter { record_ids: many.clone(), ..RecordingFilter::default() };
    assert_eq!(catalog.find_ids(&named).await, ["ab", "b"]);
    let meetings = many.into_iter().chain(texts(&["meeting of aa-1"])).collect();
    let named = RecordingFilter { meeting_ids: meetings, ..RecordingFilter::default() };
    assert_eq!(catalog.find_ids(&named).await, ["aa-1", "ab"]);
    assert_eq!(catalog.find_ids(&with_meetings(&["meeting of aa-1"])).await, ["aa-1", "ab"]);
    assert_eq!(
        catalog.find_ids(&with_meetings(&["meeting of aa", "Meeting of aa-1"])).await,
        [""; 0]
    );
    let two = with_meetings(&["meeting of aa-1", "meeting of A", "x"]);
    assert_eq!(catalog.find_ids(&two).await, ["A", "aa-1", "ab"]);
    // If a filter names recordings, the meetings in it are ignored.
    let both = RecordingFilter { meeting_ids: texts(&["meeting of A"]), ..with_ids(&["b"]) };
    assert_eq!(catalog.find_ids(&both).await, ["b"]);
}

async fn many_ids_are_found_at_once(factory: RecordingStoreFactory<'_>) {
    let all: Vec<Recording> =
        (0..120).map(|n| published_recording(&format!("r{n:05}"), -n)).collect();
    let catalog = TestCatalog::with(factory, &all).await;
    let ids: Vec<String> = (0..5_000).map(|n| format!("r{n:05}")).collect();
    let named = RecordingFilter { record_ids: ids.clone(), ..RecordingFilter::default() };
    assert_eq!(catalog.find_ids(&named).await, ids[..120]);
    let meetings = ids.iter().map(|id| format!("meeting of {id}")).collect();
    let of_meetings = RecordingFilter { meeting_ids: meetings, ..RecordingFilter::default() };
    assert_eq!(catalog.find_ids(&of_meetings).await, ids[..120]);
}

async fn states_are_found(factory: RecordingStoreFactory<'_>) {
    let states = ["published", "unpublished", "deleted", "processing", "Published"];
    let mut all: Vec<Recording> = states
        .iter()
        .map(|state| Recording {
            state: Some((*state).to_owned()),
            ..published_recording(state, 0)
        })
        .collect();
    all.push(Recording { state: None, ..published_recording("none", 0) });
    let catalog = TestCatalog::with(factory, &all).await;
    let these = |states: &[&str]| RecordingStates::Listed(texts(states));
    let find = async |states: RecordingStates| {
        catalog.find_ids(&RecordingFilter { states, ..RecordingFilter::default() }).await
    };
    assert_eq!(find(RecordingStates::Usual).await, ["published", "unpublished"]);
    let any = ["Published", "none", "processing", "published", "unpublished"];
    assert_eq!(find(RecordingStates::Any).await, any);
    assert_eq!(find(these(&["deleted"])).await, ["deleted"]);
    assert_eq!(find(these(&["processing", "published", "%"])).await, ["processing", "published"]);
    assert_eq!(find(these(&[])).await, [""; 0]);
}

async fn metadata_must_all_match(factory: RecordingStoreFactory<'_>) {
    let all = [
        with_metadata(published_recording("a", 0), &[("one", "1"), ("two", "2")]),
        with_metadata(published_recording("b", 0), &[("one", "1"), ("two", "3")]),
        with_metadata(published_recording("c", 0), &[("two", "2")]),
        published_recording("d", 0),
    ];
    let catalog = TestCatalog::with(factory, &all).await;
    assert_eq!(catalog.find_ids(&with_metadata_filter(&[("one", &["1"])])).await, ["a", "b"]);
    assert_eq!(
        catalog.find_ids(&with_metadata_filter(&[("one", &["1"]), ("two", &["2"])])).await,
        ["a"]
    );
    assert_eq!(
        catalog.find_ids(&with_metadata_filter(&[("two", &["2", "3"])])).await,
        ["a", "b", "c"]
    );
    assert_eq!(
        catalog.find_ids(&with_metadata_filter(&[("two", &["2", "3"]), ("one", &["%"])])).await,
        ["a", "b"]
    );
    assert_eq!(
        catalog.find_ids(&with_metadata_filter(&[("one", &["1"]), ("one", &["2"])])).await,
        [""; 0]
    );
    assert_eq!(catalog.find_ids(&with_metadata_filter(&[("one", &[])])).await, [""; 0]);
    let filter = RecordingFilter {
        record_ids: texts(&["b", "c"]),
        ..with_metadata_filter(&[("two", &["2"])])
    };
    assert_eq!(catalog.find_ids(&filter).await, ["c"]);
    let filter = RecordingFilter {
        meeting_ids: texts(&["meeting of b"]),
        ..with_metadata_filter(&[("two", &["2"])])
    };
    assert_eq!(catalog.find_ids(&filter).await, [""; 0]);
}

async fn metadata_is_matched_character_by_character(factory: RecordingStoreFactory<'_>) {
    let long = "x".repeat(300);
    let (longer, other) = (format!("{long}y"), format!("{long}z"));
    let values =
        ["Algebra", "algebra", "al%bra", "al_bra", "über algebra", "", "\\", &longer, &other];
    let mut all: Vec<Recording> = values
        .iter()
        .enumerate()
        .map(|(n, value)| with_metadata(published_recording(&n.to_string(), 0), &[("k", value)]))
        .collect();
    let mut none = published_recording("n", 0);
    none.metadata = vec![("k".to_owned(), None)];
    all.push(none);
    let catalog = TestCatalog::with(factory, &all).await;
    let find = async |value: &str| {
        catalog.find_ids(&with_metadata_filter(&[("k", &[value])])).await.join(" ")
    };
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
    let several = with_metadata_filter(&[("k", &["algebra", "\0", "", "%z"])]);
    assert_eq!(catalog.find_ids(&several).await.join(" "), "1 5 8 n");
    assert_eq!(catalog.find_ids(&with_metadata_filter(&[("K", &["algebra"])])).await, [""; 0]);
}

async fn a_filter_does_not_limit_what_is_shown(factory: RecordingStoreFactory<'_>) {
    let recording = Recording { deleted_at: None, ..full_recording("a") };
    let mut whole = with_metadata(recording, &[("tenant-id", "t"), ("a", "1"), ("b", "2")]);
    whole.details.raw_size = Some(5);
    let catalog = TestCatalog::with(factory, std::slice::from_ref(&whole)).await;
    for filter in [
        with_metadata_filter(&[("a", &["1"])]),
        with_metadata_filter(&[("a", &["%"]), ("b", &["2"])]),
        with_ids(&["a"]),
    ] {
        assert_eq!(catalog.find(&filter, &tenant_scope("t")).await, std::slice::from_ref(&whole));
    }
}

async fn a_tenant_finds_its_own(factory: RecordingStoreFactory<'_>) {
    let of = |id: &str, tenant: &str| {
        with_metadata(published_recording(id, 0), &[("tenant-id", tenant)])
    };
    let all = [of("a", "t"), of("b", "u"), of("c", "t"), published_recording("d", 0), of("e", "T")];
    let catalog = TestCatalog::with(factory, &all).await;
    let t = tenant_scope("t");
    assert_eq!(catalog.find_ids_in(&RecordingFilter::default(), &t).await, ["a", "c"]);
    assert_eq!(catalog.find_ids_in(&with_ids(&["b", "c", "d"]), &t).await, ["c"]);
    assert_eq!(
        catalog.find_ids_in(&with_meetings(&["meeting of b", "meeting of a"]), &t).await,
        ["a"]
    );
    assert_eq!(
        catalog.find_ids_in(&with_metadata_filter(&[("tenant-id", &["u"])]), &t).await,
        [""; 0]
    );
    assert_eq!(catalog.find_ids_in(&RecordingFilter::default(), &tenant_scope("")).await, [""; 0]);
    let change = RecordingChange { protected: Some(true), ..RecordingChange::default() };
    assert_eq!(catalog.change_recordings(&["a", "b", "d"], &t, &change).await, ["a"]);
    assert!(!catalog.get("b").await.unwrap().protected);
    let started_at =
        catalog.0.begin_file_move("b", &t, Destination::Removed, NOW).await.expect("a call");
    assert_eq!(started_at, None);
    assert!(!catalog.get("b").await.unwrap().is_deleted());
}

/// Databases use other plans for conditions that hold for few recordings than for many.
async fn conditions_may_match_few_or_many(factory: RecordingStoreFactory<'_>) {
    let catalog = TestCatalog::new(factory).await;
    for n in 0..30 {
        let tenant = if n % 10 == 0 { "few" } else { "many" };
        let all = [("tenant-id", tenant), ("every", "one")];
        catalog.put(&with_metadata(published_recording(&format!("{n:02}"), n), &all)).await;
    }
    let every = with_metadata_filter(&[("every", &["one", "two"])]);
    assert_eq!(catalog.find_ids_in(&every, &tenant_scope("few")).await, ["20", "10", "00"]);
    assert_eq!(catalog.find_ids_in(&every, &tenant_scope("many")).await.len(), 27);
    let (page, count) = catalog.page(&every, &tenant_scope("many"), 25, 10).await;
    let ids: Vec<_> = page.iter().map(|recording| recording.record_id.as_str()).collect();
    assert_eq!((ids, count), (vec!["02", "01"], 27));
}

async fn pages_count_all(factory: RecordingStoreFactory<'_>) {
    let all: Vec<Recording> =
        (0..25).map(|n| published_recording(&format!("{n:02}"), -n)).collect();
    let catalog = TestCatalog::with(factory, &all).await;
    let usual = RecordingFilter::default();
    for (offset, limit, from, to) in
        [(0, 10, 0, 10), (10, 10, 10, 20), (20, 10, 20, 25), (25, 10, 25, 25), (99, 1, 25, 25)]
    {
        let (page, count) = catalog.page(&usual, &TenantScope::All, offset, limit).await;
        assert_eq!((page.as_slice(), count), (&all[from..to], 25), "{offset} {limit}");
    }
    assert_eq!(catalog.page(&usual, &TenantScope::All, u64::MAX, 3).await, (vec![], 25));
    assert_eq!(catalog.page(&usual, &TenantScope::All, 3, 0).await, (vec![], 25));
}
