//! Recordings, in the tables that existing deployments have.

use std::collections::HashMap;

use app::ports::{RecordingCounts, Recordings, StoreError};
use async_trait::async_trait;
use domain::recording::{Callback, Facts, PlaybackFormat, Recording, Thumbnail};

use super::session::{Row, Session, Value, values};
use super::{Database, SqlStore, callbacks};

#[async_trait]
impl<D: Database> Recordings for SqlStore<D> {
    async fn check_recordings(&self) -> Result<(), StoreError> {
        self.probe().await
    }

    async fn count_recordings(&self) -> Result<RecordingCounts, StoreError> {
        const COUNT: &str = "SELECT \
            (SELECT count(*) FROM recordings WHERE record_id IS NOT NULL), \
            (SELECT count(DISTINCT meeting_id) FROM callback_data)";
        let counts =
            |row: &dyn Row| Ok(RecordingCounts { recordings: row.get(0)?, callbacks: row.get(1)? });
        let counted = self.database.read(move |session| session.first(COUNT, &[], counts)).await?;
        Ok(counted.unwrap_or_default())
    }

    async fn recordings_after(
        &self,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<Recording>, StoreError> {
        let after = after.map(|after| self.database.comparable(after).to_owned());
        self.database
            .read(move |session| reading(session, |session| page(session, after.as_deref(), limit)))
            .await
    }

    async fn recording(&self, record_id: &str) -> Result<Option<Recording>, StoreError> {
        let record_id = record_id.to_owned();
        self.database
            .read(move |session| reading(session, |session| one(session, &record_id)))
            .await
    }

    async fn put_recording(&self, recording: &Recording) -> Result<(), StoreError> {
        let recording = recording.clone();
        self.write(move |session| put(session, &recording)).await
    }

    async fn callbacks_after(
        &self,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<Callback>, StoreError> {
        let after = after.map(|after| self.database.comparable(after).to_owned());
        self.database.read(move |session| callbacks::page(session, after.as_deref(), limit)).await
    }

    async fn put_callback(&self, callback: &Callback) -> Result<(), StoreError> {
        let callback = callback.clone();
        self.write(move |session| callbacks::put(session, &callback)).await
    }
}

/// Runs several statements that must see the same moment.
fn reading<T>(
    session: &mut dyn Session,
    query: impl FnOnce(&mut dyn Session) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    session.begin_reading()?;
    let result = query(session);
    let ended = session.end_reading();
    result.and_then(|found| ended.map(|()| found))
}

/// What is read of recordings; of rows that older versions wrote too.
macro_rules! recordings {
    ($condition:literal) => {
        concat!(
            "SELECT id, record_id, meeting_id, name, coalesce(published, FALSE), participants, \
             state, starttime, endtime, deleted_at, coalesce(protected, FALSE), \
             coalesce(publish_updated, FALSE) FROM recordings WHERE ",
            $condition
        )
    };
}

/// What belongs to recordings: of one by its key, or of all between two ids, these included.
macro_rules! parts {
    ($of_one:ident, $of_page:ident, $select:literal, $key:literal) => {
        const $of_one: &str = concat!($select, " WHERE ", $key, " = ?1");
        const $of_page: &str = concat!(
            $select,
            " WHERE ",
            $key,
            " IN (SELECT id FROM recordings \
             WHERE record_id COLLATE BINARY >= ?1 AND record_id COLLATE BINARY <= ?2)"
        );
    };
}

parts!(
    METADATA_OF_ONE,
    METADATA_OF_PAGE,
    "SELECT recording_id, key, value FROM metadata",
    "key IS NOT NULL AND recording_id"
);
parts!(
    FORMATS_OF_ONE,
    FORMATS_OF_PAGE,
    "SELECT recording_id, id, format, url, length, processing_time FROM playback_formats",
    "format IS NOT NULL AND recording_id"
);
parts!(
    THUMBNAILS_OF_ONE,
    THUMBNAILS_OF_PAGE,
    "SELECT t.playback_format_id, t.id, t.width, t.height, t.alt, t.url, t.sequence \
     FROM thumbnails t JOIN playback_formats p ON p.id = t.playback_format_id",
    "p.recording_id"
);

fn recording(row: &dyn Row) -> Result<(i64, Recording), StoreError> {
    let recording = Recording {
        record_id: row.get(1)?,
        meeting_id: row.get(2)?,
        name: row.get(3)?,
        published: row.get(4)?,
        participants: row.get(5)?,
        state: row.get(6)?,
        started_at: row.get(7)?,
        ended_at: row.get(8)?,
        deleted_at: row.get(9)?,
        protected: row.get(10)?,
        publish_updated: row.get(11)?,
        metadata: Vec::new(),
        formats: Vec::new(),
        facts: Facts::default(),
    };
    Ok((row.get(0)?, recording))
}

fn one(session: &mut dyn Session, record_id: &str) -> Result<Option<Recording>, StoreError> {
    let found = session.first(recordings!("record_id = ?1"), values![record_id], recording)?;
    let Some((id, recording)) = found else {
        return Ok(None);
    };
    let parts = Parts {
        metadata: METADATA_OF_ONE,
        formats: FORMATS_OF_ONE,
        thumbnails: THUMBNAILS_OF_ONE,
        values: values![id],
    };
    Ok(complete(session, vec![(id, recording)], &parts)?.pop())
}

fn page(
    session: &mut dyn Session,
    after: Option<&str>,
    limit: u32,
) -> Result<Vec<Recording>, StoreError> {
    const FIRST: &str =
        recordings!("record_id IS NOT NULL ORDER BY record_id COLLATE BINARY LIMIT ?1");
    const NEXT: &str =
        recordings!("record_id COLLATE BINARY > ?1 ORDER BY record_id COLLATE BINARY LIMIT ?2");
    let found = match after {
        Some(after) => session.query(NEXT, values![after, limit], recording)?,
        None => session.query(FIRST, values![limit], recording)?,
    };
    let bounds = found.first().zip(found.last());
    let Some((first, last)) =
        bounds.map(|((_, first), (_, last))| (first.record_id.clone(), last.record_id.clone()))
    else {
        return Ok(Vec::new());
    };
    let parts = Parts {
        metadata: METADATA_OF_PAGE,
        formats: FORMATS_OF_PAGE,
        thumbnails: THUMBNAILS_OF_PAGE,
        values: values![&first, &last],
    };
    complete(session, found, &parts)
}

/// Where the parts of some recordings are found.
struct Parts<'a> {
    metadata: &'static str,
    formats: &'static str,
    thumbnails: &'static str,
    values: &'a [Value<'a>],
}

/// Adds to recordings what belongs to them.
fn complete(
    session: &mut dyn Session,
    recordings: Vec<(i64, Recording)>,
    parts: &Parts<'_>,
) -> Result<Vec<Recording>, StoreError> {
    let mut metadata: HashMap<i64, Vec<(String, Option<String>)>> = HashMap::new();
    session.visit(parts.metadata, parts.values, &mut |row| {
        metadata.entry(row.get(0)?).or_default().push((row.get(1)?, row.get(2)?));
        Ok(())
    })?;
    let mut thumbnails: HashMap<i64, Vec<(i64, Thumbnail)>> = HashMap::new();
    session.visit(parts.thumbnails, parts.values, &mut |row| {
        let thumbnail = Thumbnail {
            width: row.get(2)?,
            height: row.get(3)?,
            alt: row.get(4)?,
            url: row.get(5)?,
            sequence: row.get(6)?,
        };
        thumbnails.entry(row.get(0)?).or_default().push((row.get(1)?, thumbnail));
        Ok(())
    })?;
    let mut formats: HashMap<i64, Vec<PlaybackFormat>> = HashMap::new();
    session.visit(parts.formats, parts.values, &mut |row| {
        let mut previews = thumbnails.remove(&row.get(1)?).unwrap_or_default();
        // In the order in which they were given, which somebody may have written down.
        let numbered = previews.iter().all(|(_, one)| one.sequence.is_some());
        previews.sort_by_key(|(id, one)| (one.sequence.filter(|_| numbered), *id));
        formats.entry(row.get(0)?).or_default().push(PlaybackFormat {
            format: row.get(2)?,
            url: row.get(3)?,
            length: row.get(4)?,
            processing_time: row.get(5)?,
            thumbnails: previews.into_iter().map(|(_, thumbnail)| thumbnail).collect(),
            size: None,
        });
        Ok(())
    })?;
    let whole = recordings.into_iter().map(|(id, mut recording)| {
        recording.metadata = metadata.remove(&id).unwrap_or_default();
        recording.metadata.sort();
        recording.formats = formats.remove(&id).unwrap_or_default();
        recording.formats.sort_by(|one, other| one.format.cmp(&other.format));
        recording
    });
    Ok(whole.collect())
}

fn put(session: &mut dyn Session, recording: &Recording) -> Result<(), StoreError> {
    const PUT: &str = "INSERT INTO recordings (record_id, meeting_id, name, published, \
        participants, state, starttime, endtime, deleted_at, protected, publish_updated) \
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11) \
        ON CONFLICT (record_id) DO UPDATE SET meeting_id = excluded.meeting_id, \
        name = excluded.name, published = excluded.published, \
        participants = excluded.participants, state = excluded.state, \
        starttime = excluded.starttime, endtime = excluded.endtime, \
        deleted_at = excluded.deleted_at, protected = excluded.protected, \
        publish_updated = excluded.publish_updated RETURNING id";
    const CLEAR: [&str; 3] = [
        "DELETE FROM thumbnails WHERE playback_format_id IN \
         (SELECT id FROM playback_formats WHERE recording_id = ?1)",
        "DELETE FROM playback_formats WHERE recording_id = ?1",
        "DELETE FROM metadata WHERE recording_id = ?1",
    ];
    let values = values![
        &recording.record_id,
        &recording.meeting_id,
        &recording.name,
        recording.published,
        recording.participants,
        &recording.state,
        recording.started_at,
        recording.ended_at,
        recording.deleted_at,
        recording.protected,
        recording.publish_updated,
    ];
    let id = inserted(session, PUT, values)?;
    for sql in CLEAR {
        session.execute(sql, values![id])?;
    }
    for (key, value) in &recording.metadata {
        let sql = "INSERT INTO metadata (recording_id, key, value) VALUES (?1, ?2, ?3)";
        session.execute(sql, values![id, key, value])?;
    }
    recording.formats.iter().try_for_each(|format| put_format(session, id, format))
}

fn put_format(
    session: &mut dyn Session,
    recording: i64,
    format: &PlaybackFormat,
) -> Result<(), StoreError> {
    const FORMAT: &str = "INSERT INTO playback_formats (recording_id, format, url, length, \
        processing_time) VALUES (?1, ?2, ?3, ?4, ?5) RETURNING id";
    const THUMBNAIL: &str = "INSERT INTO thumbnails (playback_format_id, width, height, alt, url, \
        sequence) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    let PlaybackFormat { format: name, url, length, processing_time, thumbnails, .. } = format;
    let id = inserted(session, FORMAT, values![recording, name, url, *length, *processing_time])?;
    for Thumbnail { width, height, alt, url, sequence } in thumbnails {
        session.execute(THUMBNAIL, values![id, *width, *height, alt, url, *sequence])?;
    }
    Ok(())
}

/// The key of a row that a statement writes and returns.
fn inserted(
    session: &mut dyn Session,
    sql: &'static str,
    values: &[Value<'_>],
) -> Result<i64, StoreError> {
    session
        .first(sql, values, |row| row.get(0))?
        .ok_or_else(|| StoreError::Corrupt("a row that was written is not there".to_owned()))
}
