//! Recordings, in the tables that existing deployments have. What those have no room for is in a table of ours.

use std::collections::HashMap;

use app::ports::{RecordingCounts, Recordings, StoreError};
use async_trait::async_trait;
use domain::MeetingKey;
use domain::recording::{Callback, Facts, PlaybackFormat, Recording, Thumbnail};

use super::session::{Row, Session, Value, values};
use super::{Database, SqlStore, callbacks, facts};

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
            .map(|found| found.map(|(_, recording)| recording))
    }

    async fn put_recording(&self, recording: &Recording) -> Result<(), StoreError> {
        let recording = recording.clone();
        self.write_recordings(move |session| put(session, &recording).map(drop)).await
    }

    async fn callbacks_after(
        &self,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<Callback>, StoreError> {
        let after = after.map(|after| self.database.comparable(after).to_owned());
        self.database.read(move |session| callbacks::page(session, after.as_deref(), limit)).await
    }

    async fn callback(&self, meeting: &MeetingKey) -> Result<Option<Callback>, StoreError> {
        let meeting = meeting.clone();
        let find = move |session: &mut dyn Session| {
            callbacks::of_meeting(session, meeting.tenant.as_deref(), &meeting.id)
        };
        self.database.read(find).await
    }

    async fn put_callback(&self, callback: &Callback) -> Result<(), StoreError> {
        let callback = callback.clone();
        self.write_apart(move |session| callbacks::put(session, &callback)).await
    }
}

/// Runs several statements that must see the same moment.
pub(super) fn reading<T>(
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
    complete(session, found)
}

/// A recording and the key of its row.
pub(super) fn one(
    session: &mut dyn Session,
    record_id: &str,
) -> Result<Option<(i64, Recording)>, StoreError> {
    let found = session.first(recordings!("record_id = ?1"), values![record_id], recording)?;
    let key = found.as_ref().map(|(key, _)| *key);
    let whole = complete(session, found.into_iter().collect())?.pop();
    Ok(key.zip(whole))
}

/// Recordings by the keys of their rows, in that order. What is gone is left out.
pub(super) fn by_keys(
    session: &mut dyn Session,
    keys: &[i64],
) -> Result<Vec<Recording>, StoreError> {
    let mut rows: HashMap<i64, (i64, Recording)> = HashMap::new();
    for chunk in keys.chunks(CHUNK) {
        for found in session.query(&of(recordings!("id"), chunk), &values_of(chunk), recording)? {
            rows.insert(found.0, found);
        }
    }
    let rows = keys.iter().filter_map(|key| rows.remove(key)).collect();
    complete(session, rows)
}

/// Rows that are asked for in one statement.
const CHUNK: usize = 50;

/// A statement for as many values as there are. Most lists are of two lengths: one, and the longest.
fn of(select: &str, keys: &[impl Sized]) -> String {
    let marks: Vec<String> = (1..=keys.len()).map(|n| format!("?{n}")).collect();
    format!("{select} IN ({})", marks.join(", "))
}

fn values_of<'a, T: Copy + Into<Value<'a>>>(keys: &[T]) -> Vec<Value<'a>> {
    keys.iter().map(|key| (*key).into()).collect()
}

/// Adds to recordings what belongs to them.
pub(super) fn complete(
    session: &mut dyn Session,
    mut recordings: Vec<(i64, Recording)>,
) -> Result<Vec<Recording>, StoreError> {
    for chunk in recordings.chunks_mut(CHUNK) {
        complete_chunk(session, chunk)?;
    }
    Ok(recordings.into_iter().map(|(_, recording)| recording).collect())
}

fn complete_chunk(
    session: &mut dyn Session,
    recordings: &mut [(i64, Recording)],
) -> Result<(), StoreError> {
    let keys: Vec<i64> = recordings.iter().map(|(key, _)| *key).collect();
    let mut metadata = metadata(session, &keys)?;
    let mut formats = formats(session, &keys)?;
    let ids: Vec<&str> = recordings.iter().map(|(_, one)| one.record_id.as_str()).collect();
    let sql = of("SELECT record_id, facts FROM recording_facts WHERE record_id", &ids);
    let mut facts = facts::read(session, &sql, &values_of(&ids))?;
    for (key, recording) in recordings {
        recording.metadata = metadata.remove(key).unwrap_or_default();
        recording.metadata.sort();
        recording.formats = formats.remove(key).unwrap_or_default();
        recording.formats.sort_by(|one, other| one.format.cmp(&other.format));
        if let Some(known) = facts.remove(&recording.record_id) {
            known.enter(recording);
        }
    }
    Ok(())
}

/// What belongs to each recording, by its key.
type Parts<T> = HashMap<i64, Vec<T>>;

fn metadata(
    session: &mut dyn Session,
    keys: &[i64],
) -> Result<Parts<(String, Option<String>)>, StoreError> {
    const SELECT: &str = "SELECT recording_id, key, value FROM metadata \
        WHERE key IS NOT NULL AND recording_id";
    let mut metadata: Parts<(String, Option<String>)> = HashMap::new();
    session.visit(&of(SELECT, keys), &values_of(keys), &mut |row| {
        metadata.entry(row.get(0)?).or_default().push((row.get(1)?, row.get(2)?));
        Ok(())
    })?;
    Ok(metadata)
}

fn formats(session: &mut dyn Session, keys: &[i64]) -> Result<Parts<PlaybackFormat>, StoreError> {
    const SELECT: &str = "SELECT recording_id, id, format, url, length, processing_time \
        FROM playback_formats WHERE format IS NOT NULL AND recording_id";
    let mut thumbnails = thumbnails(session, keys)?;
    let mut formats: Parts<PlaybackFormat> = HashMap::new();
    session.visit(&of(SELECT, keys), &values_of(keys), &mut |row| {
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
    Ok(formats)
}

/// Previews with the keys of their rows, by the keys of their formats.
fn thumbnails(
    session: &mut dyn Session,
    keys: &[i64],
) -> Result<Parts<(i64, Thumbnail)>, StoreError> {
    const SELECT: &str = "SELECT t.playback_format_id, t.id, t.width, t.height, t.alt, t.url, \
        t.sequence FROM thumbnails t JOIN playback_formats p ON p.id = t.playback_format_id \
        WHERE p.recording_id";
    let mut thumbnails: Parts<(i64, Thumbnail)> = HashMap::new();
    session.visit(&of(SELECT, keys), &values_of(keys), &mut |row| {
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
    Ok(thumbnails)
}

/// Removes what belongs to a recording.
pub(super) fn clear(session: &mut dyn Session, key: i64) -> Result<(), StoreError> {
    const CLEAR: [&str; 3] = [
        "DELETE FROM thumbnails WHERE playback_format_id IN \
         (SELECT id FROM playback_formats WHERE recording_id = ?1)",
        "DELETE FROM playback_formats WHERE recording_id = ?1",
        "DELETE FROM metadata WHERE recording_id = ?1",
    ];
    CLEAR.iter().try_for_each(|sql| session.execute(sql, values![key]).map(drop))
}

/// Writes a recording whole; returns the key of its row.
pub(super) fn put(session: &mut dyn Session, recording: &Recording) -> Result<i64, StoreError> {
    const PUT: &str = "INSERT INTO recordings (record_id, meeting_id, name, published, \
        participants, state, starttime, endtime, deleted_at, protected, publish_updated) \
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11) \
        ON CONFLICT (record_id) DO UPDATE SET meeting_id = excluded.meeting_id, \
        name = excluded.name, published = excluded.published, \
        participants = excluded.participants, state = excluded.state, \
        starttime = excluded.starttime, endtime = excluded.endtime, \
        deleted_at = excluded.deleted_at, protected = excluded.protected, \
        publish_updated = excluded.publish_updated RETURNING id";
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
    clear(session, id)?;
    for (key, value) in &recording.metadata {
        let sql = "INSERT INTO metadata (recording_id, key, value) VALUES (?1, ?2, ?3)";
        session.execute(sql, values![id, key, value])?;
    }
    recording.formats.iter().try_for_each(|format| put_format(session, id, format))?;
    facts::write(session, recording)?;
    Ok(id)
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
fn inserted(session: &mut dyn Session, sql: &str, values: &[Value<'_>]) -> Result<i64, StoreError> {
    session
        .first(sql, values, |row| row.get(0))?
        .ok_or_else(|| StoreError::Corrupt("a row that was written is not there".to_owned()))
}
