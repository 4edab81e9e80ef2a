//! Changes of recordings in the catalog: by users, by file moves and by imports.

use app::ports::{Destination, MessageTopic, RecordingStore};
use domain::recording::catalog::{MetadataMatch, RecordingChange, RecordingFilter, TenantScope};
use domain::recording::{Callback, Recording, RecordingDetails};

use super::fixtures::NOW;
use super::recordings::{bare_recording, full_recording};
use super::state_store::hostile_texts;
use super::test_catalog::{
    TestCatalog, published_recording, tenant_scope, texts, with_formats, with_metadata,
};
use super::{ContractCase, RecordingStoreFactory};

pub(super) fn cases() -> Vec<ContractCase<dyn RecordingStore>> {
    super::cases![
        a_change_changes_those_of_the_scope,
        hostile_metadata_is_set_and_removed,
        a_file_move_begins_and_ends,
        an_opposite_change_replaces_a_file_move,
        a_postponed_file_move_waits_behind_others,
        deleting_leaves_a_tombstone,
        the_state_alone_says_whether_a_recording_is_deleted,
        the_tombstone_goes_when_no_file_move_is_left,
        an_import_adds_and_merges,
        an_import_keeps_manual_changes,
        an_import_sends_older_formats_after_newer_ones,
        an_import_updates_the_callback,
    ]
}

async fn a_change_changes_those_of_the_scope(factory: RecordingStoreFactory<'_>) {
    let all = [
        Recording {
            state: Some("deleted".to_owned()),
            ..with_metadata(full_recording("a"), &[("keep", "1"), ("set", "1"), ("gone", "1")])
        },
        Recording { deleted_at: None, ..with_metadata(full_recording("b"), &[("gone", "1")]) },
        Recording { deleted_at: None, ..full_recording("c") },
    ];
    let catalog = TestCatalog::with(factory, &all).await;
    let change = RecordingChange {
        metadata: vec![
            ("set".to_owned(), Some("2".to_owned())),
            ("gone".to_owned(), None),
            ("new".to_owned(), Some(String::new())),
        ],
        protected: Some(false),
        tenant: Some("t".to_owned()),
    };
    let changed =
        catalog.change_recordings(&["b", "x", "a", "c", "b"], &TenantScope::All, &change).await;
    assert_eq!(changed, ["b", "c"], "one that was deleted is not changed");
    assert_eq!(catalog.get("a").await.as_ref(), Some(&all[0]));
    for before in &all[1..] {
        let mut expected = before.clone();
        change.apply(&mut expected);
        let found = catalog.get(&before.record_id).await.unwrap();
        assert_eq!(found, expected);
        assert_eq!((found.tenant(), found.protected), (Some("t"), false));
        assert_eq!(found.details.metadata_edits.len(), 3);
    }
    assert_eq!(
        catalog.change_recordings(&["c"], &tenant_scope("t"), &RecordingChange::default()).await,
        ["c"]
    );
}

async fn hostile_metadata_is_set_and_removed(factory: RecordingStoreFactory<'_>) {
    let catalog = TestCatalog::with(factory, &[published_recording("a", 0)]).await;
    let texts: Vec<String> =
        hostile_texts().into_iter().filter(|text| text.len() < 2_000).collect();
    let set = |value: Option<()>| RecordingChange {
        metadata: texts.iter().map(|text| (text.clone(), value.map(|()| text.clone()))).collect(),
        ..RecordingChange::default()
    };
    catalog.change_recordings(&["a"], &TenantScope::All, &set(Some(()))).await;
    for text in &texts {
        let found = catalog.get("a").await.unwrap();
        assert_eq!(found.metadata_value(text), Some(text.as_str()));
        let exactly = vec![MetadataMatch::Exact(text.clone())];
        let filter = RecordingFilter {
            metadata: vec![(text.clone(), exactly)],
            ..RecordingFilter::default()
        };
        assert_eq!(catalog.find_ids(&filter).await, ["a"], "{text:?}");
    }
    catalog.change_recordings(&["a"], &TenantScope::All, &set(None)).await;
    assert_eq!(catalog.get("a").await.unwrap().metadata, []);
}

async fn a_file_move_begins_and_ends(factory: RecordingStoreFactory<'_>) {
    let catalog = TestCatalog::with(
        factory,
        &[with_formats(published_recording("a", 0), &["notes", "video"])],
    )
    .await;
    let file_move = catalog.begin_move("a", Destination::Unpublished, NOW).await.unwrap();
    assert_eq!(file_move.formats, ["notes", "video"]);
    assert_eq!((file_move.destination, file_move.started_at), (Destination::Unpublished, NOW));
    assert!(!file_move.replaced_running);
    let now = catalog.get("a").await.unwrap();
    assert_eq!((now.published, now.publish_updated), (false, true));
    assert_eq!(now.state.as_deref(), Some("unpublished"));
    assert_eq!(now.formats.len(), 2);
    assert_eq!(catalog.list_moves(NOW).await, []);
    assert_eq!(catalog.list_moves(NOW.plus_ms(1)).await, std::slice::from_ref(&file_move));
    assert!(catalog.end_move(&file_move).await);
    assert!(!catalog.end_move(&file_move).await);
    assert_eq!(catalog.list_moves(NOW.plus_ms(1)).await, []);
    let back = catalog.begin_move("a", Destination::Published, NOW.plus_ms(5)).await.unwrap();
    assert_ne!(back.number, file_move.number);
    assert!(!catalog.end_move(&file_move).await, "an old one ends no new one");
    assert!(catalog.end_move(&back).await);
    assert!(catalog.get("a").await.unwrap().published);
}

async fn an_opposite_change_replaces_a_file_move(factory: RecordingStoreFactory<'_>) {
    let all = [
        with_formats(published_recording("a", 0), &["video"]),
        with_formats(published_recording("b", 0), &["video"]),
    ];
    let catalog = TestCatalog::with(factory, &all).await;
    let first = catalog.begin_move("a", Destination::Unpublished, NOW).await.unwrap();
    let other = catalog.begin_move("b", Destination::Removed, NOW.plus_ms(-5)).await.unwrap();
    // A file move has a higher number than earlier ones even if the clock is set back.
    let second = catalog.begin_move("a", Destination::Published, NOW.plus_ms(-1)).await.unwrap();
    assert!(second.replaced_running && second.number > first.number);
    assert_eq!(catalog.list_moves(NOW.plus_ms(9)).await, [other.clone(), second.clone()]);
    assert!(!catalog.end_move(&first).await);
    let third = catalog.begin_move("a", Destination::Removed, NOW.plus_ms(1)).await.unwrap();
    let again = catalog.begin_move("a", Destination::Removed, NOW.plus_ms(2)).await.unwrap();
    assert_eq!((third.formats, again.formats.clone()), (texts(&["video"]), texts(&["video"])));
    assert_eq!(catalog.begin_move("a", Destination::Published, NOW).await, None);
    let page = catalog.0.list_file_moves(NOW.plus_ms(9), 1).await.expect("list_file_moves");
    assert_eq!(page, [other]);
    assert!(!catalog.end_move(&second).await);
    assert!(catalog.end_move(&again).await);
}

/// The original imports a recording again after it was deleted: it sets the state, and knows
/// nothing of our time of deletion.
async fn the_state_alone_says_whether_a_recording_is_deleted(factory: RecordingStoreFactory<'_>) {
    let again = Recording { deleted_at: Some(NOW), ..full_recording("a") };
    let catalog = TestCatalog::with(factory, std::slice::from_ref(&again)).await;
    assert!(!catalog.get("a").await.unwrap().is_deleted());
    let scope = TenantScope::All;
    let change = RecordingChange { protected: Some(false), ..RecordingChange::default() };
    let changed = catalog.0.change_recordings(&texts(&["a"]), &scope, &change).await.unwrap();
    assert_eq!(changed, ["a"]);
    assert_eq!(catalog.0.forget_deleted_recordings(NOW.plus_ms(9), 9).await.unwrap(), [""; 0]);
    let video = with_formats(full_recording("a"), &["video"]);
    let imported = catalog.import_recording(&video, NOW).await.expect("it is not deleted");
    assert_eq!(imported.recording.formats.len(), 3);
    // Deleting it again counts from now.
    catalog.put(&again).await;
    let later = NOW.plus_ms(5);
    catalog.begin_move("a", Destination::Unpublished, later).await.expect("it is not deleted");
    catalog.begin_move("a", Destination::Removed, later).await.unwrap();
    assert_eq!(catalog.get("a").await.unwrap().deleted_at, Some(later));
    // A row that only the original has deleted.
    let gone = Recording { state: Some("deleted".to_owned()), deleted_at: None, ..again };
    catalog.put(&gone).await;
    assert_eq!(catalog.import_recording(&video, NOW).await, None);
}

async fn a_postponed_file_move_waits_behind_others(factory: RecordingStoreFactory<'_>) {
    let all = ["a", "b"].map(|id| Recording { deleted_at: None, ..full_recording(id) });
    let catalog = TestCatalog::with(factory, &all).await;
    let failing = catalog.begin_move("a", Destination::Unpublished, NOW).await.unwrap();
    let other = catalog.begin_move("b", Destination::Unpublished, NOW.plus_ms(1)).await.unwrap();
    catalog.0.postpone_file_move(&failing, NOW.plus_ms(5)).await.unwrap();
    let later = NOW.plus_ms(9);
    assert_eq!(catalog.0.list_file_moves(later, 1).await.unwrap(), std::slice::from_ref(&other));
    assert_eq!(catalog.list_moves(NOW.plus_ms(5)).await, std::slice::from_ref(&other));
    assert_eq!(catalog.list_moves(later).await, [other, failing.clone()]);
    // A move that replaces it is new.
    let newer = catalog.begin_move("a", Destination::Published, NOW.plus_ms(2)).await.unwrap();
    catalog.0.postpone_file_move(&failing, NOW.plus_ms(20)).await.unwrap();
    assert!(catalog.list_moves(NOW.plus_ms(3)).await.contains(&newer));
}

async fn deleting_leaves_a_tombstone(factory: RecordingStoreFactory<'_>) {
    let mut original = Recording { deleted_at: None, ..full_recording("a") };
    original.details.raw_size = Some(1);
    let catalog = TestCatalog::with(factory, &[original.clone(), full_recording("b")]).await;
    let file_move = catalog.begin_move("a", Destination::Removed, NOW).await.unwrap();
    assert_eq!(file_move.formats, ["notes", "presentation", "video"]);
    let tombstone = Recording {
        published: false,
        state: Some("deleted".to_owned()),
        deleted_at: Some(NOW),
        metadata: vec![],
        formats: vec![],
        details: RecordingDetails::default(),
        ..original.clone()
    };
    assert_eq!(catalog.get("a").await.as_ref(), Some(&tombstone));
    assert!(catalog.end_move(&file_move).await);
    // Deleting again starts another file move, in case files were left.
    let again = catalog.begin_move("a", Destination::Removed, NOW.plus_ms(5)).await.unwrap();
    assert_eq!((again.formats.len(), catalog.get("a").await), (0, Some(tombstone.clone())));
    assert!(catalog.end_move(&again).await);
    assert_eq!(catalog.begin_move("a", Destination::Published, NOW).await, None);
    assert_eq!(
        catalog.import_recording(&original, NOW).await,
        None,
        "a late copy does not bring it back"
    );
    assert_eq!(catalog.get("a").await, Some(tombstone));
    assert_eq!(catalog.get("b").await, Some(full_recording("b")));
}

async fn the_tombstone_goes_when_no_file_move_is_left(factory: RecordingStoreFactory<'_>) {
    let all: Vec<Recording> = ["a", "b", "c", "d"]
        .map(|id| Recording { deleted_at: None, ..full_recording(id) })
        .to_vec();
    let catalog = TestCatalog::with(factory, &all).await;
    let forget = async |before, limit| {
        catalog.0.forget_deleted_recordings(before, limit).await.expect("forget_deleted")
    };
    let mut under_way = Vec::new();
    for (ms, id) in [(3, "a"), (1, "b"), (2, "c")] {
        under_way
            .push(catalog.begin_move(id, Destination::Removed, NOW.plus_ms(ms)).await.unwrap());
    }
    assert_eq!(forget(NOW.plus_ms(9), 9).await, [""; 0]);
    for file_move in &under_way[..2] {
        catalog.end_move(file_move).await;
    }
    assert_eq!(forget(NOW.plus_ms(1), 9).await, [""; 0]);
    assert_eq!(forget(NOW.plus_ms(9), 1).await, ["b"]);
    assert_eq!(forget(NOW.plus_ms(9), 9).await, ["a"]);
    assert_eq!((catalog.get("a").await, catalog.get("b").await), (None, None));
    assert!(catalog.get("c").await.is_some() && catalog.get("d").await.is_some());
    assert!(catalog.import_recording(&all[0], NOW).await.is_some(), "nobody knows of it any more");
}

async fn an_import_adds_and_merges(factory: RecordingStoreFactory<'_>) {
    let catalog = TestCatalog::new(factory).await;
    let mut first = with_formats(published_recording("a", 0), &["presentation"]);
    first = with_metadata(first, &[("x", "1"), ("meetingId", "m"), ("isBreakout", "false")]);
    let imported = catalog.import_recording(&first, NOW).await.unwrap();
    assert!(!imported.existed_before);
    assert_eq!(imported.recording.metadata, [("x".to_owned(), Some("1".to_owned()))]);
    assert_eq!((&imported.file_move, imported.recording.formats.len()), (&None, 1));
    assert_eq!(catalog.get("a").await.as_ref(), Some(&imported.recording));
    let second = with_formats(published_recording("a", 0), &["video"]);
    let imported = catalog.import_recording(&second, NOW.plus_ms(1)).await.unwrap();
    assert!(imported.existed_before);
    let names: Vec<_> =
        imported.recording.formats.iter().map(|format| format.format.as_str()).collect();
    assert_eq!((names, &imported.file_move), (vec!["presentation", "video"], &None));
    assert_eq!(catalog.get("a").await.as_ref(), Some(&imported.recording));
    let again = catalog.import_recording(&second, NOW.plus_ms(2)).await.unwrap();
    assert_eq!(again, imported);
}

async fn an_import_keeps_manual_changes(factory: RecordingStoreFactory<'_>) {
    let catalog = TestCatalog::new(factory).await;
    let came = with_formats(published_recording("a", 0), &["video"]);
    let came = with_metadata(came, &[("name", "old"), ("gone", "1"), ("tenant-id", "t")]);
    catalog.import_recording(&came, NOW).await.unwrap();
    let change = RecordingChange {
        metadata: vec![("name".to_owned(), Some("new".to_owned())), ("gone".to_owned(), None)],
        protected: Some(true),
        tenant: Some("u".to_owned()),
    };
    catalog.change_recordings(&["a"], &TenantScope::All, &change).await;
    let file_move = catalog.begin_move("a", Destination::Unpublished, NOW).await.unwrap();
    assert!(catalog.end_move(&file_move).await);
    let kept = catalog.get("a").await.unwrap();
    let imported = catalog.import_recording(&came, NOW.plus_ms(1)).await.unwrap();
    assert_eq!((&imported.recording, &imported.file_move), (&kept, &None));
    assert_eq!((kept.tenant(), kept.published, kept.protected), (Some("u"), false, true));
    assert_eq!((kept.metadata_value("name"), kept.metadata_value("gone")), (Some("new"), None));
}

async fn an_import_sends_older_formats_after_newer_ones(factory: RecordingStoreFactory<'_>) {
    let catalog = TestCatalog::new(factory).await;
    let hidden = |recording: Recording| Recording {
        published: false,
        state: Some("unpublished".to_owned()),
        ..recording
    };
    let first = hidden(with_formats(published_recording("a", 0), &["notes", "video"]));
    catalog.import_recording(&first, NOW).await.unwrap();
    let second = with_formats(published_recording("a", 0), &["presentation", "video"]);
    let imported = catalog.import_recording(&second, NOW.plus_ms(1)).await.unwrap();
    let file_move = imported.file_move.unwrap();
    assert_eq!(
        (file_move.formats.clone(), file_move.destination),
        (texts(&["notes"]), Destination::Published)
    );
    assert_eq!(catalog.list_moves(NOW.plus_ms(2)).await, std::slice::from_ref(&file_move));
    assert!(catalog.end_move(&file_move).await);
}

async fn an_import_updates_the_callback(factory: RecordingStoreFactory<'_>) {
    let catalog = TestCatalog::new(factory).await;
    let attribute = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let callback = |meeting: &str, attributes| Callback {
        meeting_id: meeting.to_owned(),
        attributes,
        created_at: NOW,
        updated_at: NOW,
        ..Callback::default()
    };
    let request = vec![
        attribute("recording_ready_url", "https://app/ready?x=1"),
        attribute("secret_hint", "h"),
    ];
    let analytics = vec![attribute("analytics_callback_url", "https://app/stats")];
    for one in [callback("meeting of a", request.clone()), callback("meeting of b", analytics)] {
        catalog.0.put_callback(&one).await.expect("put_callback");
    }
    let later = NOW.plus_ms(7);
    let came =
        with_metadata(with_formats(published_recording("a", 0), &["video"]), &[("tenant-id", "t")]);
    for one in [
        &came,
        &with_formats(published_recording("b", 0), &["video"]),
        &published_recording("c", 0),
        &bare_recording("d"),
    ] {
        catalog.import_recording(one, later).await.unwrap();
    }
    let messages = catalog.0.list_messages(10).await.expect("messages");
    assert_eq!(messages.len(), 1);
    let message = &messages[0];
    assert_eq!(
        (message.topic, message.url.as_str()),
        (MessageTopic::RecordingReady, "https://app/ready?x=1")
    );
    assert_eq!(
        (message.meeting_id.as_str(), message.record_id.as_deref()),
        ("meeting of a", Some("a"))
    );
    assert_eq!((message.tenant.as_deref(), message.secret_hint.as_deref()), (Some("t"), Some("h")));
    assert_eq!((message.posted_at, message.due_at, message.attempts), (later, Some(later), 0));
    let told = catalog.0.list_callbacks_after(None, 10).await.expect("callbacks");
    assert_eq!((told[0].record_id.as_deref(), told[0].updated_at), (Some("a"), later));
    assert_eq!((&told[0].attributes, told[1].record_id.as_deref()), (&request, Some("b")));
    // Importing the same formats again posts no message; importing more formats does.
    catalog.import_recording(&came, later).await.unwrap();
    assert_eq!(catalog.0.list_messages(10).await.expect("messages").len(), 1);
    catalog
        .import_recording(&with_formats(published_recording("a", 0), &["notes"]), later.plus_ms(1))
        .await
        .unwrap();
    assert_eq!(catalog.0.list_messages(10).await.expect("messages").len(), 2);
}
