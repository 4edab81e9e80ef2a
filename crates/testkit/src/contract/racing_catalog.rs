//! Changes of one catalog by many tasks at the same time: each call is atomic.

use app::ports::{Destination, RecordingStore};
use domain::recording::catalog::{RecordingChange, TenantScope};

use super::fixtures::NOW;
use super::racing::run_together;
use super::test_catalog::{TestCatalog, format, published_recording};
use super::{ContractCase, RecordingStoreFactory};

const TASK_COUNT: usize = 12;

pub(super) fn cases() -> Vec<ContractCase<dyn RecordingStore>> {
    super::cases![
        changes_of_one_recording_all_count,
        imports_of_one_recording_all_count,
        one_file_move_of_many_is_the_last,
        what_is_deleted_stays_deleted,
    ]
}

async fn changes_of_one_recording_all_count(factory: RecordingStoreFactory<'_>) {
    let catalog = TestCatalog::new(factory).await;
    catalog.put(&published_recording("a", 0)).await;
    let tasks = (0..TASK_COUNT).map(|n| {
        let store = catalog.0.clone();
        async move {
            let metadata = vec![(format!("k{n:02}"), Some(n.to_string()))];
            let change = RecordingChange { metadata, ..RecordingChange::default() };
            store
                .change_recordings(&["a".to_owned()], &TenantScope::All, &change)
                .await
                .expect("a change")
        }
    });
    assert!(run_together(tasks).await.iter().all(|changed| changed.len() == 1));
    let found = catalog.get("a").await.expect("a recording");
    assert_eq!(
        (found.metadata.len(), found.details.metadata_edits.len()),
        (TASK_COUNT, TASK_COUNT)
    );
}

async fn imports_of_one_recording_all_count(factory: RecordingStoreFactory<'_>) {
    let catalog = TestCatalog::new(factory).await;
    let tasks = (0..TASK_COUNT).map(|n| {
        let catalog = catalog.clone();
        async move {
            let mut recording = published_recording("a", 0);
            recording.formats = vec![format(&format!("f{n:02}")), format("common")];
            catalog.import_recording(&recording, NOW).await.expect("imported").existed_before
        }
    });
    let new = run_together(tasks).await.into_iter().filter(|known| !known).count();
    assert_eq!(new, 1);
    assert_eq!(catalog.get("a").await.expect("a recording").formats.len(), TASK_COUNT + 1);
}

async fn one_file_move_of_many_is_the_last(factory: RecordingStoreFactory<'_>) {
    let catalog = TestCatalog::new(factory).await;
    catalog.put(&published_recording("a", 0)).await;
    let tasks = (0..TASK_COUNT).map(|n| {
        let catalog = catalog.clone();
        let to = [Destination::Published, Destination::Unpublished][n % 2];
        async move {
            let file_move = catalog.begin_move("a", to, NOW).await.expect("a file move");
            (catalog.end_move(&file_move).await, file_move)
        }
    });
    let ended = run_together(tasks).await;
    assert!(ended.iter().any(|(ended, _)| *ended));
    // A file move that is left agrees with the recording.
    let left = catalog.list_moves(NOW.plus_ms(1)).await;
    let published = catalog.get("a").await.expect("a recording").published;
    assert!(
        left.iter().all(|file_move| (file_move.destination == Destination::Published) == published),
        "{left:?}"
    );
}

async fn what_is_deleted_stays_deleted(factory: RecordingStoreFactory<'_>) {
    let catalog = TestCatalog::new(factory).await;
    for round in 0..6 {
        let id = format!("r{round}");
        catalog.put(&published_recording(&id, 0)).await;
        let tasks = (0..TASK_COUNT).map(|n| {
            let (catalog, id) = (catalog.clone(), id.clone());
            async move {
                match n % 3 {
                    0 => catalog.begin_move(&id, Destination::Removed, NOW).await.is_some(),
                    1 => catalog.begin_move(&id, Destination::Published, NOW).await.is_some(),
                    _ => {
                        catalog.import_recording(&published_recording(&id, 0), NOW).await.is_some()
                    }
                }
            }
        });
        run_together(tasks).await;
        let found = catalog.get(&id).await.expect("a tombstone");
        assert!(found.is_deleted() && !found.published, "{found:?}");
        let left = catalog.list_moves(NOW.plus_ms(1)).await;
        assert!(
            left.iter().all(|file_move| file_move.destination == Destination::Removed),
            "{left:?}"
        );
    }
}
