//! Many tasks at one library: each call happens whole, before or after every other.

use app::ports::{Destination, RecordingStore};
use domain::recording::catalog::{RecordingChange, TenantScope};

use super::catalog::{TestCatalog, format, published_recording};
use super::pool_store::NOW;
use super::racing::run_together;
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
    let shelf = TestCatalog::new(factory).await;
    shelf.put(&published_recording("a", 0)).await;
    let tasks = (0..TASK_COUNT).map(|n| {
        let store = shelf.0.clone();
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
    let found = shelf.get("a").await.expect("a recording");
    assert_eq!(
        (found.metadata.len(), found.details.metadata_edits.len()),
        (TASK_COUNT, TASK_COUNT)
    );
}

async fn imports_of_one_recording_all_count(factory: RecordingStoreFactory<'_>) {
    let shelf = TestCatalog::new(factory).await;
    let tasks = (0..TASK_COUNT).map(|n| {
        let shelf = shelf.clone();
        async move {
            let mut one = published_recording("a", 0);
            one.formats = vec![format(&format!("f{n:02}")), format("common")];
            shelf.import_recording(&one, NOW).await.expect("imported").existed_before
        }
    });
    let new = run_together(tasks).await.into_iter().filter(|known| !known).count();
    assert_eq!(new, 1);
    assert_eq!(shelf.get("a").await.expect("a recording").formats.len(), TASK_COUNT + 1);
}

async fn one_file_move_of_many_is_the_last(factory: RecordingStoreFactory<'_>) {
    let shelf = TestCatalog::new(factory).await;
    shelf.put(&published_recording("a", 0)).await;
    let tasks = (0..TASK_COUNT).map(|n| {
        let shelf = shelf.clone();
        let to = [Destination::Published, Destination::Unpublished][n % 2];
        async move {
            let journey = shelf.begin_move("a", to, NOW).await.expect("a journey");
            (shelf.end_move(&journey).await, journey)
        }
    });
    let ended = run_together(tasks).await;
    assert!(ended.iter().any(|(ended, _)| *ended));
    // Whatever is left is what the row says.
    let left = shelf.list_moves(NOW.plus_ms(1)).await;
    let published = shelf.get("a").await.expect("a recording").published;
    assert!(
        left.iter().all(|one| (one.destination == Destination::Published) == published),
        "{left:?}"
    );
}

async fn what_is_deleted_stays_deleted(factory: RecordingStoreFactory<'_>) {
    let shelf = TestCatalog::new(factory).await;
    for round in 0..6 {
        let id = format!("r{round}");
        shelf.put(&published_recording(&id, 0)).await;
        let tasks = (0..TASK_COUNT).map(|n| {
            let (shelf, id) = (shelf.clone(), id.clone());
            async move {
                match n % 3 {
                    0 => shelf.begin_move(&id, Destination::Removed, NOW).await.is_some(),
                    1 => shelf.begin_move(&id, Destination::Published, NOW).await.is_some(),
                    _ => shelf.import_recording(&published_recording(&id, 0), NOW).await.is_some(),
                }
            }
        });
        run_together(tasks).await;
        let found = shelf.get(&id).await.expect("a tombstone");
        assert!(found.is_deleted() && !found.published, "{found:?}");
        let left = shelf.list_moves(NOW.plus_ms(1)).await;
        assert!(left.iter().all(|one| one.destination == Destination::Removed), "{left:?}");
    }
}
