//! The trash: what the rows of deleted recordings said before, as one text for each. Nothing in it is searched.

use app::ports::{Destination, Journey, StoreError, Trash, Trashed};
use async_trait::async_trait;
use domain::Timestamp;
use domain::recording::{PlaybackFormat, Recording, Thumbnail};
use serde::{Deserialize, Serialize};

use super::facts::Known;
use super::recordings::{one, put};
use super::session::{Row, Session, values};
use super::{Database, SqlStore, journeys};

/// What deleting takes away from a row, in JSON.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    published: bool,
    state: Option<String>,
    metadata: Vec<(String, Option<String>)>,
    formats: Vec<Format>,
    facts: Known,
}

#[derive(Debug, Serialize, Deserialize)]
struct Format {
    format: String,
    url: Option<String>,
    length: Option<i32>,
    processing_time: Option<i32>,
    thumbnails: Vec<Preview>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Preview {
    width: Option<i32>,
    height: Option<i32>,
    alt: Option<String>,
    url: Option<String>,
    sequence: Option<i32>,
}

impl Kept {
    fn of(recording: &Recording) -> Self {
        let preview = |one: &Thumbnail| Preview {
            width: one.width,
            height: one.height,
            alt: one.alt.clone(),
            url: one.url.clone(),
            sequence: one.sequence,
        };
        let format = |one: &PlaybackFormat| Format {
            format: one.format.clone(),
            url: one.url.clone(),
            length: one.length,
            processing_time: one.processing_time,
            thumbnails: one.thumbnails.iter().map(preview).collect(),
        };
        Self {
            published: recording.published,
            state: recording.state.clone(),
            metadata: recording.metadata.clone(),
            formats: recording.formats.iter().map(format).collect(),
            facts: Known::of(recording),
        }
    }

    /// Makes a deleted recording what it was.
    fn enter(self, recording: &mut Recording) {
        let preview = |one: Preview| Thumbnail {
            width: one.width,
            height: one.height,
            alt: one.alt,
            url: one.url,
            sequence: one.sequence,
        };
        let format = |one: Format| PlaybackFormat {
            format: one.format,
            url: one.url,
            length: one.length,
            processing_time: one.processing_time,
            thumbnails: one.thumbnails.into_iter().map(preview).collect(),
            size: None,
        };
        recording.published = self.published;
        recording.state = self.state;
        recording.deleted_at = None;
        recording.metadata = self.metadata;
        recording.formats = self.formats.into_iter().map(format).collect();
        self.facts.enter(recording);
    }

    fn names(&self) -> Vec<String> {
        self.formats.iter().map(|one| one.format.clone()).collect()
    }
}

/// What is in the trash under some condition.
macro_rules! trash {
    ($condition:literal) => {
        concat!("SELECT record_id, since, kept FROM trash ", $condition)
    };
}

const BY_ID: &str = trash!("WHERE record_id = ?1");

fn kept(row: &dyn Row) -> Result<(Trashed, Kept), StoreError> {
    let text: String = row.get(2)?;
    let kept: Kept = serde_json::from_str(&text).map_err(|_| unreadable())?;
    let since = Timestamp(row.get(1)?);
    Ok((Trashed { record_id: row.get(0)?, formats: kept.names(), since }, kept))
}

fn trashed(row: &dyn Row) -> Result<Trashed, StoreError> {
    kept(row).map(|(trashed, _)| trashed)
}

fn unreadable() -> StoreError {
    StoreError::Corrupt("a recording in the trash is not readable".to_owned())
}

/// Keeps what a recording was before it set out to the trash, or drops what is kept of one that goes on to its end.
/// Returns the formats of what was there already.
pub(super) fn enter(
    session: &mut dyn Session,
    record_id: &str,
    before: Option<&Recording>,
    to: Destination,
    now: Timestamp,
) -> Result<Vec<String>, StoreError> {
    const KEEP: &str = "INSERT INTO trash (record_id, since, kept) VALUES (?1, ?2, ?3) \
        ON CONFLICT (record_id) DO UPDATE SET since = excluded.since, kept = excluded.kept";
    if !to.is_end() {
        return Ok(Vec::new());
    }
    let known = session.first(BY_ID, values![record_id], trashed)?;
    match (to, before) {
        (Destination::Trash, Some(recording)) => {
            let text = serde_json::to_string(&Kept::of(recording)).map_err(|_| unreadable())?;
            session.execute(KEEP, values![record_id, now.0, &text])?;
        }
        (Destination::Gone, _) => drop_one(session, record_id)?,
        _ => {}
    }
    Ok(known.map(|one| one.formats).unwrap_or_default())
}

fn drop_one(session: &mut dyn Session, record_id: &str) -> Result<(), StoreError> {
    const DROP: &str = "DELETE FROM trash WHERE record_id = ?1";
    session.execute(DROP, values![record_id]).map(drop)
}

fn restore(
    session: &mut dyn Session,
    record_id: &str,
    now: Timestamp,
) -> Result<Option<Journey>, StoreError> {
    let Some((trashed, kept)) = session.first(BY_ID, values![record_id], kept)? else {
        return Ok(None);
    };
    drop_one(session, record_id)?;
    let Some((_, mut recording)) = one(session, record_id)?.filter(|(_, one)| one.is_deleted())
    else {
        return Ok(None);
    };
    kept.enter(&mut recording);
    put(session, &recording)?;
    let to = Destination::of(&recording);
    journeys::begin(session, record_id, trashed.formats, to, now).map(Some)
}

fn end(
    session: &mut dyn Session,
    trashed: Trashed,
    now: Timestamp,
) -> Result<Option<Journey>, StoreError> {
    drop_one(session, &trashed.record_id)?;
    // Whoever has put another recording in its place wants its files.
    let row = one(session, &trashed.record_id)?;
    if row.is_some_and(|(_, recording)| !recording.is_deleted()) {
        return Ok(None);
    }
    let Trashed { record_id, formats, .. } = trashed;
    journeys::begin(session, &record_id, formats, Destination::Gone, now).map(Some)
}

#[async_trait]
impl<D: Database> Trash for SqlStore<D> {
    async fn trash(&self, after: Option<&str>, limit: u32) -> Result<Vec<Trashed>, StoreError> {
        const NEXT: &str = trash!(
            "WHERE record_id COLLATE BINARY > ?1 ORDER BY record_id COLLATE BINARY LIMIT ?2"
        );
        let after = self.database.comparable(after.unwrap_or_default()).to_owned();
        self.database
            .read(move |session| session.query(NEXT, values![&after, limit], trashed))
            .await
    }

    async fn trashed(&self, record_id: &str) -> Result<Option<Trashed>, StoreError> {
        let id = record_id.to_owned();
        self.database.read(move |session| session.first(BY_ID, values![&id], trashed)).await
    }

    async fn restore_recording(
        &self,
        record_id: &str,
        now: Timestamp,
    ) -> Result<Option<Journey>, StoreError> {
        let id = record_id.to_owned();
        self.write_recordings(move |session| restore(session, &id, now)).await
    }

    async fn empty_trash(
        &self,
        before: Timestamp,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<Journey>, StoreError> {
        const OLD: &str =
            trash!("WHERE since < ?1 ORDER BY since, record_id COLLATE BINARY LIMIT ?2");
        self.write_apart(move |session| {
            let old = session.query(OLD, values![before.0, limit], trashed)?;
            let ended = old.into_iter().map(|one| end(session, one, now));
            ended.filter_map(Result::transpose).collect()
        })
        .await
    }
}
