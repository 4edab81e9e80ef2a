//! Files follow their rows, whatever comes between.

use bytes::Bytes;
use domain::recording::{FilePath, PlaybackFormat};

use super::*;
use crate::memory::{MemoryBlobs, MemoryRecordings};
use crate::ports::{Library as _, Recordings as _, Trash as _};

const NOW: Timestamp = Timestamp(1_700_000_000_000);

/// A recording with two formats on that shelf.
async fn shelved(shelf: Shelf) -> (MemoryRecordings, MemoryBlobs) {
    let (records, blobs) = (MemoryRecordings::default(), MemoryBlobs::default());
    let format =
        |name: &str| PlaybackFormat { format: name.to_owned(), ..PlaybackFormat::default() };
    let recording = Recording {
        record_id: "r".to_owned(),
        published: shelf == Shelf::Published,
        state: Some("published".to_owned()),
        formats: vec![format("notes"), format("video")],
        ..Recording::default()
    };
    records.put_recording(&recording).await.unwrap();
    for name in ["notes", "video"] {
        let files = [(FilePath::parse("a").unwrap(), Bytes::from_static(b"1"))];
        blobs.lay(&book("r", name).unwrap(), shelf, files);
    }
    (records, blobs)
}

async fn begun(records: &MemoryRecordings, to: Destination, now: Timestamp) -> Journey {
    records.begin_journey("r", &Scope::All, to, now).await.unwrap().unwrap()
}

fn shelf(to: Destination) -> Option<Shelf> {
    match to {
        Destination::Published => Some(Shelf::Published),
        Destination::Unpublished => Some(Shelf::Unpublished),
        Destination::Trash => Some(Shelf::Deleted),
        Destination::Gone => None,
    }
}

async fn shelves(blobs: &MemoryBlobs) -> [Vec<Shelf>; 2] {
    let on = async |name| blobs.shelves(&book("r", name).unwrap()).await.unwrap();
    [on("notes").await, on("video").await]
}

#[tokio::test]
async fn files_follow_their_row_and_the_journey_ends() {
    let (records, blobs) = shelved(Shelf::Published).await;
    let journey = begun(&records, Destination::Unpublished, NOW).await;
    travel(&records, &blobs, &journey).await.unwrap();
    assert_eq!(shelves(&blobs).await, [[Shelf::Unpublished], [Shelf::Unpublished]]);
    assert_eq!(records.journeys(NOW.plus_ms(1), 9).await.unwrap(), []);
}

/// Whatever a crash left, it is finished a minute later and not before.
#[tokio::test]
async fn what_a_crash_left_on_its_way_arrives() {
    for to in [Destination::Unpublished, Destination::Trash, Destination::Gone] {
        for moved in 0..=2 {
            let (records, blobs) = shelved(Shelf::Published).await;
            begun(&records, to, NOW).await;
            for name in ["notes", "video"].into_iter().take(moved) {
                let book = book("r", name).unwrap();
                match shelf(to) {
                    None => drop(blobs.remove(&book, &Shelf::ALL).await.unwrap()),
                    Some(shelf) => drop(blobs.move_to(&book, shelf).await.unwrap()),
                }
            }
            assert_eq!(finish(&records, &blobs, NOW.plus_ms(LOST_MS)).await.unwrap(), 0);
            assert_eq!(finish(&records, &blobs, NOW.plus_ms(LOST_MS + 1)).await.unwrap(), 1);
            let wanted: Vec<Shelf> = shelf(to).into_iter().collect();
            assert_eq!(shelves(&blobs).await, [wanted.clone(), wanted]);
            assert_eq!(finish(&records, &blobs, NOW.plus_ms(LOST_MS * 9)).await.unwrap(), 0);
        }
    }
}

/// Who was overtaken comes late, puts files where they no longer belong, and is corrected.
#[tokio::test]
async fn a_late_mover_does_not_have_the_last_word() {
    let (records, blobs) = shelved(Shelf::Published).await;
    let first = begun(&records, Destination::Unpublished, NOW).await;
    let second = begun(&records, Destination::Published, NOW.plus_ms(5)).await;
    travel(&records, &blobs, &second).await.unwrap();
    travel(&records, &blobs, &first).await.unwrap();
    assert_eq!(shelves(&blobs).await, [[Shelf::Unpublished], [Shelf::Unpublished]]);
    assert_eq!(finish(&records, &blobs, NOW.plus_ms(LOST_MS + 6)).await.unwrap(), 1);
    assert_eq!(shelves(&blobs).await, [[Shelf::Published], [Shelf::Published]]);
    assert!(records.recording("r").await.unwrap().unwrap().published);
}

/// Killed on the way back, or on the way to the end.
#[tokio::test]
async fn what_leaves_the_trash_arrives() {
    for back in [true, false] {
        let (records, blobs) = shelved(Shelf::Published).await;
        let deleted = begun(&records, Destination::Trash, NOW).await;
        travel(&records, &blobs, &deleted).await.unwrap();
        assert_eq!(shelves(&blobs).await, [[Shelf::Deleted], [Shelf::Deleted]]);
        let later = NOW.plus_ms(5);
        if back {
            records.restore_recording("r", later).await.unwrap().unwrap();
        } else {
            assert_eq!(records.empty_trash(later, later, 9).await.unwrap().len(), 1);
        }
        assert_eq!(finish(&records, &blobs, later.plus_ms(LOST_MS + 1)).await.unwrap(), 1);
        let wanted = if back { vec![Shelf::Published] } else { vec![] };
        assert_eq!(shelves(&blobs).await, [wanted.clone(), wanted]);
    }
}
