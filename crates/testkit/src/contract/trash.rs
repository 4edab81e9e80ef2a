//! The trash: what is deleted comes back as it was, or goes for good, and nothing in between.

use app::ports::{Destination, Journey, Trashed};
use domain::Timestamp;
use domain::recording::Recording;

use super::library::{Shelf, format, shown};
use super::recordings::full;
use super::store::NOW;
use super::{Case, RecordsFactory};

pub(super) fn cases(factory: RecordsFactory<'_>) -> Vec<Case<'_>> {
    super::cases![factory;
        what_is_deleted_comes_back_as_it_was,
        what_is_in_the_trash_is_deleted_for_everybody_else,
        the_trash_is_emptied_of_what_is_old,
        deleting_for_good_empties_the_trash_too,
        what_took_its_place_stays,
    ]
}

impl Shelf {
    async fn trash(&self) -> Vec<Trashed> {
        self.0.trash(None, 100).await.expect("trash")
    }

    async fn restore(&self, id: &str, now: Timestamp) -> Option<Journey> {
        self.0.restore_recording(id, now).await.expect("restore_recording")
    }

    async fn empty(&self, before: Timestamp, limit: u32) -> Vec<Journey> {
        self.0.empty_trash(before, NOW.plus_ms(100), limit).await.expect("empty_trash")
    }

    async fn delete(&self, id: &str, ms: i64) -> Journey {
        self.begin(id, Destination::Trash, NOW.plus_ms(ms)).await.expect("a journey")
    }
}

/// All that there can be in a recording that is not deleted.
fn whole(id: &str) -> Recording {
    let mut recording = Recording { deleted_at: None, ..full(id) };
    recording.state = Some("published".to_owned());
    recording.published = true;
    recording.facts.raw_size = Some(1);
    recording.facts.edits = vec![("a".to_owned(), None), ("b".to_owned(), Some("x".to_owned()))];
    recording.formats[0].size = Some(9);
    recording
}

async fn what_is_deleted_comes_back_as_it_was(factory: RecordsFactory<'_>) {
    let shelf = Shelf::new(factory).await;
    for published in [true, false] {
        let state = if published { "published" } else { "unpublished" };
        let one = Recording { published, state: Some(state.to_owned()), ..whole("a") };
        shelf.put(&one).await;
        let gone = shelf.delete("a", 1).await;
        assert_eq!((gone.to, &gone.formats[..]), (Destination::Trash, &names(&one)[..]));
        let row = shelf.get("a").await.unwrap();
        assert!(row.is_deleted() && !row.published && row.deleted_at == Some(NOW.plus_ms(1)));
        assert_eq!((row.metadata.len(), row.formats.len(), row.facts.raw_size), (0, 0, None));
        let trashed =
            Trashed { record_id: "a".to_owned(), formats: names(&one), since: NOW.plus_ms(1) };
        assert_eq!(shelf.0.trashed("a").await.unwrap().as_ref(), Some(&trashed));
        assert_eq!(shelf.trash().await, [trashed]);
        assert_eq!(shelf.journeys(NOW.plus_ms(9)).await, [gone]);
        let back = shelf.restore("a", NOW.plus_ms(2)).await.unwrap();
        assert_eq!((back.to, &back.formats), (Destination::of(&one), &names(&one)));
        assert_eq!((back.contested, shelf.get("a").await), (true, Some(one)));
        assert_eq!((shelf.trash().await, shelf.restore("a", NOW).await), (vec![], None));
        assert!(shelf.end(&back).await);
    }
    assert_eq!(shelf.restore("nobody", NOW).await, None);
    assert_eq!(shelf.0.trashed("nobody").await.unwrap(), None);
}

async fn what_is_in_the_trash_is_deleted_for_everybody_else(factory: RecordsFactory<'_>) {
    let shelf = Shelf::new(factory).await;
    for id in ["b", "a"] {
        shelf.put(&whole(id)).await;
        let gone = shelf.delete(id, 1).await;
        shelf.end(&gone).await;
    }
    assert_eq!(shelf.begin("a", Destination::Published, NOW).await, None);
    assert_eq!(shelf.import(&whole("a"), NOW).await, None);
    // Again, in case files were left; it does not begin anew.
    let again = shelf.delete("a", 7).await;
    assert_eq!(again.formats, names(&whole("a")));
    shelf.end(&again).await;
    let since = |one: &Trashed| (one.record_id.clone(), one.since);
    let all: Vec<_> = shelf.trash().await.iter().map(since).collect();
    assert_eq!(all, [("a".to_owned(), NOW.plus_ms(1)), ("b".to_owned(), NOW.plus_ms(1))]);
    let page = shelf.0.trash(Some("a"), 1).await.expect("trash");
    assert_eq!((page.len(), page[0].record_id.as_str()), (1, "b"));
    let forgotten = shelf.0.forget_deleted(NOW.plus_ms(99), 9).await.expect("forget_deleted");
    assert_eq!(forgotten, [""; 0]);
}

async fn the_trash_is_emptied_of_what_is_old(factory: RecordsFactory<'_>) {
    let shelf = Shelf::new(factory).await;
    for (id, ms) in [("c", 1), ("a", 2), ("b", 2), ("d", 3)] {
        shelf.put(&whole(id)).await;
        let gone = shelf.delete(id, ms).await;
        shelf.end(&gone).await;
    }
    let ids = |journeys: &[Journey]| -> Vec<String> {
        assert!(journeys.iter().all(|one| one.to == Destination::Gone));
        assert!(journeys.iter().all(|one| one.formats == names(&whole("x"))));
        journeys.iter().map(|one| one.record_id.clone()).collect()
    };
    assert_eq!(shelf.empty(NOW.plus_ms(1), 9).await, []);
    assert_eq!(ids(&shelf.empty(NOW.plus_ms(3), 2).await), ["c", "a"]);
    assert_eq!(ids(&shelf.empty(NOW.plus_ms(3), 2).await), ["b"]);
    assert_eq!(shelf.empty(NOW.plus_ms(3), 2).await, []);
    assert_eq!(ids(&shelf.journeys(NOW.plus_ms(999)).await), ["a", "b", "c"]);
    assert_eq!(shelf.restore("a", NOW).await, None);
    assert!(shelf.restore("d", NOW).await.is_some());
}

async fn deleting_for_good_empties_the_trash_too(factory: RecordsFactory<'_>) {
    let shelf = Shelf::new(factory).await;
    shelf.put(&whole("a")).await;
    let gone = shelf.delete("a", 1).await;
    shelf.end(&gone).await;
    let end = shelf.begin("a", Destination::Gone, NOW.plus_ms(2)).await.unwrap();
    assert_eq!((end.formats, shelf.trash().await), (names(&whole("a")), vec![]));
    assert_eq!(shelf.restore("a", NOW).await, None);
    // What was deleted before there was a trash is not in it.
    let late = shelf.delete("a", 3).await;
    assert_eq!((late.to, shelf.trash().await), (Destination::Trash, vec![]));
}

async fn what_took_its_place_stays(factory: RecordsFactory<'_>) {
    let shelf = Shelf::new(factory).await;
    for id in ["a", "b"] {
        shelf.put(&shown(id, 0)).await;
        shelf.delete(id, 1).await;
        let mut other = shown(id, 5);
        other.formats = vec![format("video")];
        shelf.put(&other).await;
    }
    assert_eq!(shelf.restore("b", NOW).await, None);
    assert_eq!(shelf.empty(NOW.plus_ms(9), 9).await, []);
    assert_eq!(shelf.trash().await, []);
    assert!(!shelf.get("a").await.unwrap().is_deleted());
    assert!(!shelf.get("b").await.unwrap().is_deleted());
}

fn names(recording: &Recording) -> Vec<String> {
    recording.formats.iter().map(|one| one.format.clone()).collect()
}
