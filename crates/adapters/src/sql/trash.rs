//! The port [`Trash`]: deleted recordings as they were before, as one JSON text for each. The texts
//! are never searched.

use app::ports::{Destination, FileMove, StoreError, Trash, TrashEntry, TrashedRecording};
use async_trait::async_trait;
use domain::Timestamp;
use domain::recording::{PlaybackFormat, Recording, Thumbnail};
use serde::{Deserialize, Serialize};

use super::connection::{SqlConnection, SqlRow, values};
use super::recording_details::StoredDetails;
use super::recordings::{find_recording, put_recording};
use super::{Database, SqlStore, file_moves};

/// The parts of a recording that are deleted with it, as stored in JSON.
#[derive(Debug, Serialize, Deserialize)]
struct PreviousRecording {
    published: bool,
    state: Option<String>,
    metadata: Vec<(String, Option<String>)>,
    formats: Vec<PreviousFormat>,
    details: StoredDetails,
}

#[derive(Debug, Serialize, Deserialize)]
struct PreviousFormat {
    format: String,
    url: Option<String>,
    length: Option<i32>,
    processing_time: Option<i32>,
    thumbnails: Vec<PreviousThumbnail>,
}

#[derive(Debug, Serialize, Deserialize)]
struct PreviousThumbnail {
    width: Option<i32>,
    height: Option<i32>,
    alt: Option<String>,
    url: Option<String>,
    sequence: Option<i32>,
}

impl PreviousRecording {
    fn from_recording(recording: &Recording) -> Self {
        let to_thumbnail = |thumbnail: &Thumbnail| PreviousThumbnail {
            width: thumbnail.width,
            height: thumbnail.height,
            alt: thumbnail.alt.clone(),
            url: thumbnail.url.clone(),
            sequence: thumbnail.sequence,
        };
        let to_format = |format: &PlaybackFormat| PreviousFormat {
            format: format.format.clone(),
            url: format.url.clone(),
            length: format.length_minutes,
            processing_time: format.processing_time_ms,
            thumbnails: format.thumbnails.iter().map(to_thumbnail).collect(),
        };
        Self {
            published: recording.published,
            state: recording.state.clone(),
            metadata: recording.metadata.clone(),
            formats: recording.formats.iter().map(to_format).collect(),
            details: StoredDetails::from_recording(recording),
        }
    }

    /// Restores a deleted recording to what it was.
    fn restore_to(self, recording: &mut Recording) {
        let to_thumbnail = |thumbnail: PreviousThumbnail| Thumbnail {
            width: thumbnail.width,
            height: thumbnail.height,
            alt: thumbnail.alt,
            url: thumbnail.url,
            sequence: thumbnail.sequence,
        };
        let to_format = |format: PreviousFormat| PlaybackFormat {
            format: format.format,
            url: format.url,
            length_minutes: format.length,
            processing_time_ms: format.processing_time,
            thumbnails: format.thumbnails.into_iter().map(to_thumbnail).collect(),
            size: None,
        };
        recording.published = self.published;
        recording.state = self.state;
        recording.deleted_at = None;
        recording.metadata = self.metadata;
        recording.formats = self.formats.into_iter().map(to_format).collect();
        self.details.apply_to(recording);
    }

    fn format_names(&self) -> Vec<String> {
        self.formats.iter().map(|format| format.format.clone()).collect()
    }
}

/// Selects recordings in the trash that meet a condition.
macro_rules! trash {
    ($condition:literal) => {
        concat!("SELECT record_id, deleted_at, previous FROM trash ", $condition)
    };
}

const BY_ID: &str = trash!("WHERE record_id = ?1");
const AFTER: &str =
    trash!("WHERE record_id COLLATE BINARY > ?1 ORDER BY record_id COLLATE BINARY LIMIT ?2");

fn read_previous(row: &dyn SqlRow) -> Result<(TrashedRecording, PreviousRecording), StoreError> {
    let text: String = row.get(2)?;
    let previous: PreviousRecording =
        serde_json::from_str(&text).map_err(|_| unreadable_error())?;
    let trashed = TrashedRecording {
        record_id: row.get(0)?,
        formats: previous.format_names(),
        deleted_at: Timestamp(row.get(1)?),
    };
    Ok((trashed, previous))
}

fn read_trashed(row: &dyn SqlRow) -> Result<TrashedRecording, StoreError> {
    read_previous(row).map(|(trashed, _)| trashed)
}

fn unreadable_error() -> StoreError {
    StoreError::Corrupt("a recording in the trash is unreadable".to_owned())
}

/// Updates the trash when the files of a recording begin to move: stores a recording that is moved
/// to the trash, and deletes the entry of one that is removed. Returns the formats of the entry
/// that was there before.
pub(super) fn update_for_move(
    connection: &mut dyn SqlConnection,
    record_id: &str,
    recording: Option<&Recording>,
    destination: Destination,
    now: Timestamp,
) -> Result<Vec<String>, StoreError> {
    if !destination.is_deletion() {
        return Ok(Vec::new());
    }
    let existing = connection.query_first(BY_ID, values![record_id], read_trashed)?;
    match (destination, recording) {
        (Destination::Trash, Some(recording)) => {
            put(connection, recording, now)?;
        }
        (Destination::Removed, _) => delete_entry(connection, record_id)?,
        _ => {}
    }
    Ok(existing.map(|trashed| trashed.formats).unwrap_or_default())
}

/// Stores what a recording was before it was deleted.
pub(super) fn put(
    connection: &mut dyn SqlConnection,
    recording: &Recording,
    deleted_at: Timestamp,
) -> Result<(), StoreError> {
    const PUT: &str = "INSERT INTO trash (record_id, deleted_at, previous) VALUES (?1, ?2, ?3) \
        ON CONFLICT (record_id) DO UPDATE SET deleted_at = excluded.deleted_at, \
        previous = excluded.previous";
    let text = serde_json::to_string(&PreviousRecording::from_recording(recording))
        .map_err(|_| unreadable_error())?;
    connection.execute(PUT, values![&recording.record_id, deleted_at.0, &text]).map(drop)
}

/// Lists what the trash keeps, in byte order of the ids.
pub(super) fn list_entries(
    connection: &mut dyn SqlConnection,
    after: &str,
    limit: u32,
) -> Result<Vec<TrashEntry>, StoreError> {
    let found = connection.query(AFTER, values![after, limit], read_previous)?;
    let to_entry = |(trashed, previous): (TrashedRecording, PreviousRecording)| {
        let record_id = trashed.record_id;
        let mut recording = Recording { record_id, ..Recording::default() };
        previous.restore_to(&mut recording);
        TrashEntry { recording, deleted_at: trashed.deleted_at }
    };
    Ok(found.into_iter().map(to_entry).collect())
}

fn delete_entry(connection: &mut dyn SqlConnection, record_id: &str) -> Result<(), StoreError> {
    const DROP: &str = "DELETE FROM trash WHERE record_id = ?1";
    connection.execute(DROP, values![record_id]).map(drop)
}

fn restore_recording(
    connection: &mut dyn SqlConnection,
    record_id: &str,
    now: Timestamp,
) -> Result<Option<FileMove>, StoreError> {
    let Some((trashed, previous)) =
        connection.query_first(BY_ID, values![record_id], read_previous)?
    else {
        return Ok(None);
    };
    delete_entry(connection, record_id)?;
    let Some((_, mut recording)) =
        find_recording(connection, record_id)?.filter(|(_, recording)| recording.is_deleted())
    else {
        return Ok(None);
    };
    previous.restore_to(&mut recording);
    put_recording(connection, &recording)?;
    let destination = Destination::from_recording(&recording);
    file_moves::begin(connection, record_id, trashed.formats, destination, now).map(Some)
}

fn begin_purge(
    connection: &mut dyn SqlConnection,
    trashed: TrashedRecording,
    now: Timestamp,
) -> Result<Option<FileMove>, StoreError> {
    delete_entry(connection, &trashed.record_id)?;
    // The files belong to a recording of the same id that was imported since.
    let existing = find_recording(connection, &trashed.record_id)?;
    if existing.is_some_and(|(_, recording)| !recording.is_deleted()) {
        return Ok(None);
    }
    let TrashedRecording { record_id, formats, .. } = trashed;
    file_moves::begin(connection, &record_id, formats, Destination::Removed, now).map(Some)
}

#[async_trait]
impl<D: Database> Trash for SqlStore<D> {
    async fn find_trash_ms(&self) -> Result<Option<i64>, StoreError> {
        const FIND: &str = "SELECT trash_ms FROM recording_policy WHERE one = 1";
        self.database
            .read(move |connection| connection.query_first(FIND, &[], |row| row.get(0)))
            .await
    }

    async fn set_trash_ms(&self, trash_ms: i64) -> Result<(), StoreError> {
        const SET: &str = "INSERT INTO recording_policy (one, trash_ms) VALUES (1, ?1) \
            ON CONFLICT (one) DO UPDATE SET trash_ms = excluded.trash_ms";
        self.write_keeping_cache(move |connection| {
            connection.execute(SET, values![trash_ms]).map(drop)
        })
        .await
    }

    async fn list_trash(
        &self,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<TrashedRecording>, StoreError> {
        let after = self.database.to_comparable(after.unwrap_or_default()).to_owned();
        self.database
            .read(move |connection| connection.query(AFTER, values![&after, limit], read_trashed))
            .await
    }

    async fn find_trashed(&self, record_id: &str) -> Result<Option<TrashedRecording>, StoreError> {
        let id = record_id.to_owned();
        self.database
            .read(move |connection| connection.query_first(BY_ID, values![&id], read_trashed))
            .await
    }

    async fn restore_recording(
        &self,
        record_id: &str,
        now: Timestamp,
    ) -> Result<Option<FileMove>, StoreError> {
        let id = record_id.to_owned();
        self.write_recordings(move |connection| restore_recording(connection, &id, now)).await
    }

    async fn empty_trash(
        &self,
        before: Timestamp,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<FileMove>, StoreError> {
        const DELETED_BEFORE: &str =
            trash!("WHERE deleted_at < ?1 ORDER BY deleted_at, record_id COLLATE BINARY LIMIT ?2");
        self.write_keeping_cache(move |connection| {
            let old = connection.query(DELETED_BEFORE, values![before.0, limit], read_trashed)?;
            let file_moves = old.into_iter().map(|trashed| begin_purge(connection, trashed, now));
            file_moves.filter_map(Result::transpose).collect()
        })
        .await
    }
}
