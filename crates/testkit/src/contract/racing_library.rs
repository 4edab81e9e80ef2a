//! Many tasks at one library: each call happens whole, before or after every other.

use app::ports::Destination;
use domain::recording::library::{Change, Scope};

use super::library::{Shelf, format, shown};
use super::racing::together;
use super::store::NOW;
use super::{Case, RecordsFactory};

const TASKS: usize = 12;

pub(super) fn cases(factory: RecordsFactory<'_>) -> Vec<Case<'_>> {
    super::cases![factory;
        changes_of_one_recording_all_count,
        imports_of_one_recording_all_count,
        one_journey_of_many_is_the_last,
        what_is_deleted_stays_deleted,
    ]
}

async fn changes_of_one_recording_all_count(factory: RecordsFactory<'_>) {
    let shelf = Shelf::new(factory).await;
    shelf.put(&shown("a", 0)).await;
    let tasks = (0..TASKS).map(|n| {
        let store = shelf.0.clone();
        async move {
            let metadata = vec![(format!("k{n:02}"), Some(n.to_string()))];
            let change = Change { metadata, ..Change::default() };
            store
                .change_recordings(&["a".to_owned()], &Scope::All, &change)
                .await
                .expect("a change")
        }
    });
    assert!(together(tasks).await.iter().all(|changed| changed.len() == 1));
    let found = shelf.get("a").await.expect("a recording");
    assert_eq!((found.metadata.len(), found.facts.edits.len()), (TASKS, TASKS));
}

async fn imports_of_one_recording_all_count(factory: RecordsFactory<'_>) {
    let shelf = Shelf::new(factory).await;
    let tasks = (0..TASKS).map(|n| {
        let shelf = shelf.clone();
        async move {
            let mut one = shown("a", 0);
            one.formats = vec![format(&format!("f{n:02}")), format("common")];
            shelf.import(&one, NOW).await.expect("imported").known
        }
    });
    let new = together(tasks).await.into_iter().filter(|known| !known).count();
    assert_eq!(new, 1);
    assert_eq!(shelf.get("a").await.expect("a recording").formats.len(), TASKS + 1);
}

async fn one_journey_of_many_is_the_last(factory: RecordsFactory<'_>) {
    let shelf = Shelf::new(factory).await;
    shelf.put(&shown("a", 0)).await;
    let tasks = (0..TASKS).map(|n| {
        let shelf = shelf.clone();
        let to = [Destination::Published, Destination::Unpublished][n % 2];
        async move {
            let journey = shelf.begin("a", to, NOW).await.expect("a journey");
            (shelf.end(&journey).await, journey)
        }
    });
    let ended = together(tasks).await;
    assert!(ended.iter().any(|(ended, _)| *ended));
    // Whatever is left is what the row says.
    let left = shelf.journeys(NOW.plus_ms(1)).await;
    let published = shelf.get("a").await.expect("a recording").published;
    assert!(left.iter().all(|one| (one.to == Destination::Published) == published), "{left:?}");
}

async fn what_is_deleted_stays_deleted(factory: RecordsFactory<'_>) {
    let shelf = Shelf::new(factory).await;
    for round in 0..6 {
        let id = format!("r{round}");
        shelf.put(&shown(&id, 0)).await;
        let tasks = (0..TASKS).map(|n| {
            let (shelf, id) = (shelf.clone(), id.clone());
            async move {
                match n % 3 {
                    0 => shelf.begin(&id, Destination::Gone, NOW).await.is_some(),
                    1 => shelf.begin(&id, Destination::Published, NOW).await.is_some(),
                    _ => shelf.import(&shown(&id, 0), NOW).await.is_some(),
                }
            }
        });
        together(tasks).await;
        let found = shelf.get(&id).await.expect("a tombstone");
        assert!(found.is_deleted() && !found.published, "{found:?}");
        let left = shelf.journeys(NOW.plus_ms(1)).await;
        assert!(left.iter().all(|one| one.to == Destination::Gone), "{left:?}");
    }
}
