//! What changes recordings in the library: people, journeys and imports, one behaviour at a time.

use app::ports::{Destination, Topic};
use domain::recording::library::{Change, Filter, Scope, Wanted};
use domain::recording::{Callback, Facts, Recording};

use super::hot::hostile;
use super::library::{Shelf, of_tenant, shown, texts, with_formats, with_metadata};
use super::recordings::{bare, full};
use super::store::NOW;
use super::{Case, RecordsFactory};

pub(super) fn cases(factory: RecordsFactory<'_>) -> Vec<Case<'_>> {
    super::cases![factory;
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
