//! Single entries of unfinished work on recordings, as a migration copies them.

use app::ports::{
    ArchiveCount, ArchiveRecord, Destination, FileMove, ImportStage, MessageState, MessageTopic,
    OutboxMessage, RecordingStore, RecordingWork, TrashEntry,
};
use domain::Timestamp;
use domain::recording::{Callback, Recording};

use super::fixtures::NOW;
use super::recordings::full_recording;
use super::test_catalog::{TestCatalog, texts};
use super::{ContractCase, RecordingStoreFactory};

pub(super) fn cases() -> Vec<ContractCase<dyn RecordingStore>> {
    super::cases![
        entries_of_the_trash_are_copied,
        a_copied_file_move_ends,
        copied_archives_are_not_claimed,
        copied_messages_are_delivered,
        work_is_counted,
    ]
}

fn published(id: &str) -> Recording {
    let state = Some("published".to_owned());
    Recording { published: true, state, deleted_at: None, ..full_recording(id) }
}

async fn entries_of_the_trash_are_copied(factory: RecordingStoreFactory<'_>) {
    let source = TestCatalog::with(factory, &["a", "b"].map(published)).await;
    for id in ["a", "b"] {
        source.begin_move(id, Destination::Trash, NOW).await.unwrap();
    }
    let entries = source.0.list_trash_entries(None, 9).await.unwrap();
    assert_eq!(entries[0], TrashEntry::new(&published("a"), NOW));
    assert_eq!(source.0.list_trash_entries(Some("a"), 9).await.unwrap(), entries[1..]);
    let target = TestCatalog::with(factory, &[source.get("a").await.unwrap()]).await;
    for _ in 0..2 {
        target.0.put_trash_entry(&entries[0]).await.unwrap();
        assert_eq!(target.0.list_trash_entries(None, 9).await.unwrap(), entries[..1]);
    }
    target.0.restore_recording("a", NOW.plus_ms(1)).await.unwrap().expect("it is in the trash");
    assert_eq!(target.get("a").await, Some(published("a")));
}

async fn a_copied_file_move_ends(factory: RecordingStoreFactory<'_>) {
    let catalog = TestCatalog::new(factory).await;
    let running = FileMove {
        replaced_running: true,
        ..FileMove::begin("a", texts(&["video"]), Destination::Trash, NOW, None)
    };
    for _ in 0..2 {
        catalog.0.put_file_move(&running).await.unwrap();
    }
    assert_eq!(catalog.list_moves(NOW.plus_ms(1)).await, std::slice::from_ref(&running));
    assert!(catalog.end_move(&running).await);
}

async fn copied_archives_are_not_claimed(factory: RecordingStoreFactory<'_>) {
    let store = factory().await;
    let archive = |stage| ArchiveRecord {
        name: "a.tar".to_owned(),
        size: 7,
        received_at: NOW,
        stage,
        attempts: 2,
        reason: Some("why".to_owned()),
        changed_at: NOW.plus_ms(3),
    };
    for stage in [ImportStage::SetAside, ImportStage::Quarantined, ImportStage::Done] {
        store.put_archive(&archive(stage)).await.unwrap();
        assert_eq!(store.list_archives(9).await.unwrap(), [archive(stage)]);
    }
    store.put_archive(&archive(ImportStage::Importing)).await.unwrap();
    assert_eq!(store.list_archives(9).await.unwrap(), [archive(ImportStage::Received)]);
    let later = NOW.plus_ms(9);
    assert!(store.claim_archive("a.tar", "t", later, later.plus_ms(9)).await.unwrap().is_some());
}

async fn copied_messages_are_delivered(factory: RecordingStoreFactory<'_>) {
    let store = factory().await;
    let mut callback = Callback { meeting_id: "m".to_owned(), ..Callback::default() };
    callback.set_attribute(Callback::READY_URL, "https://app.example/ready");
    let mut message =
        OutboxMessage::recording_ready(&callback, &published("a"), NOW).expect("a message");
    for attempts in 1..3 {
        message.attempts = attempts;
        message.failure = Some("HTTP 500".to_owned());
        store.put_message(&message).await.unwrap();
        assert_eq!(store.list_messages(9).await.unwrap(), std::slice::from_ref(&message));
    }
    let due = store.take_due_messages(NOW, Timestamp(NOW.0 + 9), 9).await.unwrap();
    assert_eq!(due.len(), 1);
}

async fn work_is_counted(factory: RecordingStoreFactory<'_>) {
    let nothing = TestCatalog::new(factory).await;
    assert_eq!(nothing.0.count_recording_work().await.unwrap(), RecordingWork::default());
    let hidden = Recording { published: false, ..published("hidden") };
    let [a, b] = ["a", "b"].map(published);
    let catalog = TestCatalog::with(factory, &[a.clone(), b, hidden]).await;
    catalog.begin_move("a", Destination::Trash, NOW).await.unwrap();
    for (name, size, stage) in [
        ("1.tar", 7, ImportStage::Received),
        ("2.tar", 5, ImportStage::Received),
        ("3.tar", 3, ImportStage::Quarantined),
    ] {
        let received_at = NOW.plus_ms(i64::try_from(size).unwrap());
        let (name, reason) = (name.to_owned(), None);
        let changed_at = NOW.plus_ms(9);
        let archive =
            ArchiveRecord { name, size, received_at, stage, attempts: 0, reason, changed_at };
        catalog.0.put_archive(&archive).await.unwrap();
    }
    let mut callback = Callback { meeting_id: "m".to_owned(), ..Callback::default() };
    callback.set_attribute(Callback::READY_URL, "https://app.example/ready");
    let message = OutboxMessage::recording_ready(&callback, &a, NOW).expect("a message");
    for (id, attempts, due_at) in
        [("1", 0, Some(NOW)), ("2", 1, Some(NOW)), ("3", 9, None), ("4", 1, Some(NOW))]
    {
        let message = OutboxMessage { id: id.to_owned(), attempts, due_at, ..message.clone() };
        catalog.0.put_message(&message).await.unwrap();
    }
    let count = |stage, archives, bytes, oldest_ms| ArchiveCount {
        stage,
        archives,
        bytes,
        oldest: NOW.plus_ms(oldest_ms),
    };
    let ready = MessageTopic::RecordingReady;
    let expected = RecordingWork {
        archives: vec![
            count(ImportStage::Quarantined, 1, 3, 3),
            count(ImportStage::Received, 2, 12, 5),
        ],
        messages: vec![
            (ready, MessageState::Failing, 2),
            (ready, MessageState::GivenUp, 1),
            (ready, MessageState::Waiting, 1),
        ],
        end_callbacks: 0,
        trashed: 1,
        published: 1,
        unpublished: 1,
        deleted: 1,
    };
    assert_eq!(catalog.0.count_recording_work().await.unwrap(), expected);
}
