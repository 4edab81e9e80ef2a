//! Tests that files end up where their rows say, also after crashes and concurrent changes.

use bytes::Bytes;
use domain::recording::{FilePath, PlaybackFormat};

use super::*;
use crate::memory::{MemoryBlobs, MemoryRecordings};
use crate::ports::{RecordingCatalog as _, Recordings as _, Trash as _};

const NOW: Timestamp = Timestamp(1_700_000_000_000);

fn format_id(name: &str) -> RecordingFormatId {
    RecordingFormatId::parse("r", name).unwrap()
}

/// Creates a recording with two formats whose files have this visibility.
async fn recording_with_files(visibility: Visibility) -> (MemoryRecordings, MemoryBlobs) {
    let (records, blobs) = (MemoryRecordings::default(), MemoryBlobs::default());
    let format =
        |name: &str| PlaybackFormat { format: name.to_owned(), ..PlaybackFormat::default() };
    let recording = Recording {
        record_id: "r".to_owned(),
        published: visibility == Visibility::Published,
        state: Some("published".to_owned()),
        formats: vec![format("notes"), format("video")],
        ..Recording::default()
    };
    records.put_recording(&recording).await.unwrap();
    for name in ["notes", "video"] {
        let files = [(FilePath::parse("a").unwrap(), Bytes::from_static(b"1"))];
        blobs.insert_files(&format_id(name), visibility, files);
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
    let locate = async |name| blobs.locate_format(&format_id(name)).await.unwrap();
    [locate("notes").await, locate("video").await]
}

#[tokio::test]
async fn files_follow_their_row_and_the_file_move_ends() {
    let (records, blobs) = recording_with_files(Visibility::Published).await;
    let file_move = begin_move(&records, Destination::Unpublished, NOW).await;
    run_file_move(&records, &blobs, &file_move).await.unwrap();
    assert_eq!(
        list_visibilities(&blobs).await,
        [[Visibility::Unpublished], [Visibility::Unpublished]]
    );
    assert_eq!(records.list_file_moves(NOW.plus_ms(1), 9).await.unwrap(), []);
}

/// A file move that a crash left is finished a minute later, and not before.
#[tokio::test]
async fn file_moves_left_by_a_crash_are_finished() {
    for to in [Destination::Unpublished, Destination::Trash, Destination::Removed] {
        for moved in 0..=2 {
            let (records, blobs) = recording_with_files(Visibility::Published).await;
            begin_move(&records, to, NOW).await;
            for name in ["notes", "video"].into_iter().take(moved) {
                let format_id = format_id(name);
                match to_visibility(to) {
                    None => {
                        blobs.remove_format(&format_id, &Visibility::ALL).await.unwrap();
                    }
                    Some(visibility) => {
                        blobs.move_format(&format_id, visibility).await.unwrap();
                    }
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

/// A process whose file move was replaced moves the files late; the files are corrected.
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

/// The process is killed while it restores the files, or while it removes them.
#[tokio::test]
async fn files_leaving_the_trash_are_moved() {
    for is_restored in [true, false] {
        let (records, blobs) = recording_with_files(Visibility::Published).await;
        let deleted = begin_move(&records, Destination::Trash, NOW).await;
        run_file_move(&records, &blobs, &deleted).await.unwrap();
        assert_eq!(list_visibilities(&blobs).await, [[Visibility::Trash], [Visibility::Trash]]);
        let later = NOW.plus_ms(5);
        if is_restored {
            records.restore_recording("r", later).await.unwrap().unwrap();
        } else {
            assert_eq!(records.empty_trash(later, later, 9).await.unwrap().len(), 1);
        }
        assert_eq!(
            finish_moves(&records, &blobs, later.plus_ms(ABANDONED_AFTER_MS + 1)).await.unwrap(),
            1
        );
        let wanted = if is_restored { vec![Visibility::Published] } else { vec![] };
        assert_eq!(list_visibilities(&blobs).await, [wanted.clone(), wanted]);
    }
}
