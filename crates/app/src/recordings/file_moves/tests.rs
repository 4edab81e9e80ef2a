//! Files follow their rows, whatever comes between.

use bytes::Bytes;
use domain::recording::{FilePath, PlaybackFormat};

use super::*;
use crate::memory::{MemoryBlobs, MemoryRecordings};
use crate::ports::{RecordingCatalog as _, Recordings as _, Trash as _};

const NOW: Timestamp = Timestamp(1_700_000_000_000);

/// A recording with two formats on that shelf.
async fn recording_with_files(shelf: Visibility) -> (MemoryRecordings, MemoryBlobs) {
    let (records, blobs) = (MemoryRecordings::default(), MemoryBlobs::default());
    let format =
        |name: &str| PlaybackFormat { format: name.to_owned(), ..PlaybackFormat::default() };
    let recording = Recording {
        record_id: "r".to_owned(),
        published: shelf == Visibility::Published,
        state: Some("published".to_owned()),
        formats: vec![format("notes"), format("video")],
        ..Recording::default()
    };
    records.put_recording(&recording).await.unwrap();
    for name in ["notes", "video"] {
        let files = [(FilePath::parse("a").unwrap(), Bytes::from_static(b"1"))];
        blobs.insert_files(&RecordingFormatId::parse("r", name).unwrap(), shelf, files);
    }
    (records, blobs)
}

async fn begin_move(records: &MemoryRecordings, to: Destination, now: Timestamp) -> FileMove {
    records.begin_file_move("r", &TenantScope::All, to, now).await.unwrap().unwrap()
}

fn to_visibility(to: Destination) -> Option<Visibility> {
    match to {
        Destination::Published => Some(Visibility::Published),
        Destination::Unpublished => Some(Visibility::Unpublished),
        Destination::Trash => Some(Visibility::Trash),
        Destination::Removed => None,
    }
}

async fn list_visibilities(blobs: &MemoryBlobs) -> [Vec<Visibility>; 2] {
    let on = async |name| {
        blobs.locate_format(&RecordingFormatId::parse("r", name).unwrap()).await.unwrap()
    };
    [on("notes").await, on("video").await]
}

#[tokio::test]
async fn files_follow_their_row_and_the_file_move_ends() {
    let (records, blobs) = recording_with_files(Visibility::Published).await;
    let journey = begin_move(&records, Destination::Unpublished, NOW).await;
    run_file_move(&records, &blobs, &journey).await.unwrap();
    assert_eq!(
        list_visibilities(&blobs).await,
        [[Visibility::Unpublished], [Visibility::Unpublished]]
    );
    assert_eq!(records.list_file_moves(NOW.plus_ms(1), 9).await.unwrap(), []);
}

/// Whatever a crash left, it is finished a minute later and not before.
#[tokio::test]
async fn file_moves_left_by_a_crash_are_finished() {
    for to in [Destination::Unpublished, Destination::Trash, Destination::Removed] {
        for moved in 0..=2 {
            let (records, blobs) = recording_with_files(Visibility::Published).await;
            begin_move(&records, to, NOW).await;
            for name in ["notes", "video"].into_iter().take(moved) {
                let book = RecordingFormatId::parse("r", name).unwrap();
                match to_visibility(to) {
                    None => drop(blobs.remove_format(&book, &Visibility::ALL).await.unwrap()),
                    Some(shelf) => drop(blobs.move_format(&book, shelf).await.unwrap()),
                }
            }
            assert_eq!(
                finish_moves(&records, &blobs, NOW.plus_ms(ABANDONED_AFTER_MS)).await.unwrap(),
                0
            );
            assert_eq!(
                finish_moves(&records, &blobs, NOW.plus_ms(ABANDONED_AFTER_MS + 1)).await.unwrap(),
                1
            );
            let wanted: Vec<Visibility> = to_visibility(to).into_iter().collect();
            assert_eq!(list_visibilities(&blobs).await, [wanted.clone(), wanted]);
            assert_eq!(
                finish_moves(&records, &blobs, NOW.plus_ms(ABANDONED_AFTER_MS * 9)).await.unwrap(),
                0
            );
        }
    }
}

/// Who was overtaken comes late, puts files where they no longer belong, and is corrected.
#[tokio::test]
async fn a_late_file_move_is_corrected() {
    let (records, blobs) = recording_with_files(Visibility::Published).await;
    let first = begin_move(&records, Destination::Unpublished, NOW).await;
    let second = begin_move(&records, Destination::Published, NOW.plus_ms(5)).await;
    run_file_move(&records, &blobs, &second).await.unwrap();
    run_file_move(&records, &blobs, &first).await.unwrap();
    assert_eq!(
        list_visibilities(&blobs).await,
        [[Visibility::Unpublished], [Visibility::Unpublished]]
    );
    assert_eq!(
        finish_moves(&records, &blobs, NOW.plus_ms(ABANDONED_AFTER_MS + 6)).await.unwrap(),
        1
    );
    assert_eq!(list_visibilities(&blobs).await, [[Visibility::Published], [Visibility::Published]]);
    assert!(records.find_recording("r").await.unwrap().unwrap().published);
}

/// Killed on the way back, or on the way to the end.
#[tokio::test]
async fn files_leaving_the_trash_are_moved() {
    for back in [true, false] {
        let (records, blobs) = recording_with_files(Visibility::Published).await;
        let deleted = begin_move(&records, Destination::Trash, NOW).await;
        run_file_move(&records, &blobs, &deleted).await.unwrap();
        assert_eq!(list_visibilities(&blobs).await, [[Visibility::Trash], [Visibility::Trash]]);
        let later = NOW.plus_ms(5);
        if back {
            records.restore_recording("r", later).await.unwrap().unwrap();
        } else {
            assert_eq!(records.empty_trash(later, later, 9).await.unwrap().len(), 1);
        }
        assert_eq!(
            finish_moves(&records, &blobs, later.plus_ms(ABANDONED_AFTER_MS + 1)).await.unwrap(),
            1
        );
        let wanted = if back { vec![Visibility::Published] } else { vec![] };
        assert_eq!(list_visibilities(&blobs).await, [wanted.clone(), wanted]);
    }
}
