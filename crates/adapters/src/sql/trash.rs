//! The trash: what the rows of deleted recordings said before, as one text for each. Nothing in it is searched.

use app::ports::{Destination, FileMove, StoreError, Trash, TrashedRecording};
use async_trait::async_trait;
use domain::Timestamp;
use domain::recording::{PlaybackFormat, Recording, Thumbnail};
use serde::{Deserialize, Serialize};

use super::connection::{SqlConnection, SqlRow, values};
use super::recording_details::StoredDetails;
use super::recordings::{find_recording, put_recording};
use super::{Database, SqlStore, file_moves};

/// What deleting takes away from a row, in JSON.
#[derive(Debug, Serialize, Deserialize)]
struct PreviousRecording {
    published: bool,
    state: Option<String>,
    metadata: Vec<(String, Option<String>)>,
    formats: Vec<PreviousFormat>,
    facts: StoredDetails,
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
        let preview = |one: &Thumbnail| PreviousThumbnail {
            width: one.width,
            height: one.height,
            alt: one.alt.clone(),
            url: one.url.clone(),
            sequence: one.sequence,
        };
        let format = |one: &PlaybackFormat| PreviousFormat {
            format: one.format.clone(),
            url: one.url.clone(),
            length: one.length_minutes,
            processing_time: one.processing_time_ms,
            thumbnails: one.thumbnails.iter().map(preview).collect(),
        };
        Self {
            published: recording.published,
            state: recording.state.clone(),
            metadata: recording.metadata.clone(),
            formats: recording.formats.iter().map(format).collect(),
            facts: StoredDetails::from_recording(recording),
        }
    }

    /// Makes a deleted recording what it was.
    fn restore_to(self, recording: &mut Recording) {
        let preview = |one: PreviousThumbnail| Thumbnail {
            width: one.width,
            height: one.height,
            alt: one.alt,
            url: one.url,
            sequence: one.sequence,
        };
        let format = |one: PreviousFormat| PlaybackFormat {
            format: one.format,
            url: one.url,
            length_minutes: one.length,
            processing_time_ms: one.processing_time,
            thumbnails: one.thumbnails.into_iter().map(preview).collect(),
            size: None,
        };
        recording.published = self.published;
        recording.state = self.state;
        recording.deleted_at = None;
        recording.metadata = self.metadata;
        recording.formats = self.formats.into_iter().map(format).collect();
        self.facts.apply_to(recording);
    }

    fn format_names(&self) -> Vec<String> {
        self.formats.iter().map(|one| one.format.clone()).collect()
    }
}

/// What is in the trash under some condition.
macro_rules! trash {
    ($condition:literal) => {
        concat!("SELECT record_id, deleted_at, previous FROM trash ", $condition)
    };
}

const BY_ID: &str = trash!("WHERE record_id = ?1");

fn read_previous(row: &dyn SqlRow) -> Result<(TrashedRecording, PreviousRecording), StoreError> {
    let text: String = row.get(2)?;
    let kept: PreviousRecording = serde_json::from_str(&text).map_err(|_| unreadable_error())?;
    let since = Timestamp(row.get(1)?);
    Ok((
        TrashedRecording {
            record_id: row.get(0)?,
            formats: kept.format_names(),
            deleted_at: since,
        },
        kept,
    ))
}

fn read_trashed(row: &dyn SqlRow) -> Result<TrashedRecording, StoreError> {
    read_previous(row).map(|(trashed, _)| trashed)
}

fn unreadable_error() -> StoreError {
    StoreError::Corrupt("a recording in the trash is not readable".to_owned())
}

/// Keeps what a recording was before it set out to the trash, or drops what is kept of one that goes on to its end.
/// Returns the formats of what was there already.
pub(super) fn update_for_move(
    session: &mut dyn SqlConnection,
    record_id: &str,
    before: Option<&Recording>,
    to: Destination,
    now: Timestamp,
) -> Result<Vec<String>, StoreError> {
    const PUT: &str = "INSERT INTO trash (record_id, deleted_at, previous) VALUES (?1, ?2, ?3) \
        ON CONFLICT (record_id) DO UPDATE SET deleted_at = excluded.deleted_at, \
        previous = excluded.previous";
    if !to.is_deletion() {
        return Ok(Vec::new());
    }
    let known = session.query_first(BY_ID, values![record_id], read_trashed)?;
    match (to, before) {
        (Destination::Trash, Some(recording)) => {
            let text = serde_json::to_string(&PreviousRecording::from_recording(recording))
                .map_err(|_| unreadable_error())?;
            session.execute(PUT, values![record_id, now.0, &text])?;
        }
        (Destination::Removed, _) => delete_entry(session, record_id)?,
        _ => {}
    }
    Ok(known.map(|one| one.formats).unwrap_or_default())
}

fn delete_entry(session: &mut dyn SqlConnection, record_id: &str) -> Result<(), StoreError> {
    const DROP: &str = "DELETE FROM trash WHERE record_id = ?1";
    session.execute(DROP, values![record_id]).map(drop)
}

fn restore_recording(
    session: &mut dyn SqlConnection,
    record_id: &str,
    now: Timestamp,
) -> Result<Option<FileMove>, StoreError> {
    let Some((trashed, kept)) = session.query_first(BY_ID, values![record_id], read_previous)?
    else {
        return Ok(None);
    };
    delete_entry(session, record_id)?;
    let Some((_, mut recording)) =
        find_recording(session, record_id)?.filter(|(_, one)| one.is_deleted())
    else {
        return Ok(None);
    };
    kept.restore_to(&mut recording);
    put_recording(session, &recording)?;
    let to = Destination::from_recording(&recording);
    file_moves::begin(session, record_id, trashed.formats, to, now).map(Some)
}

fn begin_purge(
    session: &mut dyn SqlConnection,
    trashed: TrashedRecording,
    now: Timestamp,
) -> Result<Option<FileMove>, StoreError> {
    delete_entry(session, &trashed.record_id)?;
    // Whoever has put another recording in its place wants its files.
    let row = find_recording(session, &trashed.record_id)?;
    if row.is_some_and(|(_, recording)| !recording.is_deleted()) {
        return Ok(None);
    }
    let TrashedRecording { record_id, formats, .. } = trashed;
    file_moves::begin(session, &record_id, formats, Destination::Removed, now).map(Some)
}

#[async_trait]
impl<D: Database> Trash for SqlStore<D> {
    async fn list_trash(
        &self,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<TrashedRecording>, StoreError> {
        const NEXT: &str = trash!(
            "WHERE record_id COLLATE BINARY > ?1 ORDER BY record_id COLLATE BINARY LIMIT ?2"
        );
        let after = self.database.to_comparable(after.unwrap_or_default()).to_owned();
        self.database
            .read(move |session| session.query(NEXT, values![&after, limit], read_trashed))
            .await
    }

    async fn find_trashed(&self, record_id: &str) -> Result<Option<TrashedRecording>, StoreError> {
        let id = record_id.to_owned();
        self.database
            .read(move |session| session.query_first(BY_ID, values![&id], read_trashed))
            .await
    }

    async fn restore_recording(
        &self,
        record_id: &str,
        now: Timestamp,
    ) -> Result<Option<FileMove>, StoreError> {
        let id = record_id.to_owned();
        self.write_recordings(move |session| restore_recording(session, &id, now)).await
    }

    async fn empty_trash(
        &self,
        before: Timestamp,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<FileMove>, StoreError> {
        const DELETED_BEFORE: &str =
            trash!("WHERE deleted_at < ?1 ORDER BY deleted_at, record_id COLLATE BINARY LIMIT ?2");
        self.write_keeping_cache(move |session| {
            let old = session.query(DELETED_BEFORE, values![before.0, limit], read_trashed)?;
            let ended = old.into_iter().map(|one| begin_purge(session, one, now));
            ended.filter_map(Result::transpose).collect()
        })
        .await
    }
}
