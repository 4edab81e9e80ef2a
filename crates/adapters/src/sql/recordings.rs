//! The port [`Recordings`]: recordings in the original's tables. Details that have no column there
//! are in [`recording_details`].

use std::collections::HashMap;

use app::ports::{RecordingCounts, Recordings, StoreError};
use async_trait::async_trait;
use domain::recording::{Callback, PlaybackFormat, Recording, RecordingDetails, Thumbnail};
use domain::{MeetingKey, Timestamp};

use super::connection::{SqlConnection, SqlRow, SqlValue, values};
use super::{Database, SqlStore, callbacks, deletions, recording_details};

#[async_trait]
impl<D: Database> Recordings for SqlStore<D> {
    async fn check_recording_store(&self) -> Result<(), StoreError> {
        self.run_write_check().await
    }

    async fn count_recordings(&self) -> Result<RecordingCounts, StoreError> {
        const COUNT: &str = "SELECT \
            (SELECT count(*) FROM recordings WHERE record_id IS NOT NULL), \
            (SELECT count(DISTINCT meeting_id) FROM callback_data)";
        let read_counts = |row: &dyn SqlRow| {
            Ok(RecordingCounts { recordings: row.get(0)?, callbacks: row.get(1)? })
        };
        let counts = self
            .database
            .read(move |connection| connection.query_first(COUNT, &[], read_counts))
            .await?;
        Ok(counts.unwrap_or_default())
    }

    async fn list_recordings_after(
        &self,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<Recording>, StoreError> {
        let after = after.map(|after| self.database.to_comparable(after).to_owned());
        self.database
            .read(move |connection| {
                read_snapshot(connection, |connection| {
                    list_recordings(connection, after.as_deref(), limit)
                })
            })
            .await
    }

    async fn find_recording(&self, record_id: &str) -> Result<Option<Recording>, StoreError> {
        let record_id = record_id.to_owned();
        self.database
            .read(move |connection| {
                read_snapshot(connection, |connection| find_recording(connection, &record_id))
            })
            .await
            .map(|found| found.map(|(_, recording)| recording))
    }

    async fn put_recording(&self, recording: &Recording) -> Result<(), StoreError> {
        let recording = recording.clone();
        self.write_recordings(move |connection| put_recording(connection, &recording).map(drop))
            .await
    }

    async fn list_callbacks_after(
        &self,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<Callback>, StoreError> {
        let after = after.map(|after| self.database.to_comparable(after).to_owned());
        self.database
            .read(move |connection| callbacks::list_callbacks(connection, after.as_deref(), limit))
            .await
    }

    async fn find_callback(&self, meeting: &MeetingKey) -> Result<Option<Callback>, StoreError> {
        let meeting = meeting.clone();
        let find = move |connection: &mut dyn SqlConnection| {
            callbacks::find_by_meeting(connection, meeting.tenant.as_deref(), &meeting.id)
        };
        self.database.read(find).await
    }

    async fn put_callback(&self, callback: &Callback) -> Result<(), StoreError> {
        let callback = callback.clone();
        self.write_keeping_cache(move |connection| callbacks::put_callback(connection, &callback))
            .await
    }

    async fn forget_callbacks(&self, before: Timestamp, limit: u32) -> Result<u64, StoreError> {
        self.write_keeping_cache(move |connection| callbacks::forget(connection, before, limit))
            .await
    }
}

/// Runs several statements that see the same state of the database.
pub(super) fn read_snapshot<T>(
    connection: &mut dyn SqlConnection,
    query: impl FnOnce(&mut dyn SqlConnection) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    connection.begin_reading()?;
    let result = query(connection);
    let ended = connection.end_reading();
    result.and_then(|found| ended.map(|()| found))
}

/// Selects recordings that meet a condition. Rows of the original of 2020 may have NULL in boolean
/// columns.
macro_rules! recordings {
    ($condition:literal) => {
        concat!(
            "SELECT id, record_id, meeting_id, name, coalesce(published, FALSE), participants, \
             state, starttime, endtime, (SELECT d.deleted_at FROM deletions d \
             WHERE d.record_id = recordings.record_id), coalesce(protected, FALSE), \
             coalesce(publish_updated, FALSE) FROM recordings WHERE ",
            $condition
        )
    };
}

fn read_recording(row: &dyn SqlRow) -> Result<(i64, Recording), StoreError> {
    let recording = Recording {
        record_id: row.get(1)?,
        meeting_id: row.get(2)?,
        name: row.get(3)?,
        published: row.get(4)?,
        participants: row.get(5)?,
        state: row.get(6)?,
        started_at: row.get(7)?,
        ended_at: row.get(8)?,
        deleted_at: row.get::<Option<i64>>(9)?.map(Timestamp),
        protected: row.get(10)?,
        publish_updated: row.get(11)?,
        metadata: Vec::new(),
        formats: Vec::new(),
        details: RecordingDetails::default(),
    };
    Ok((row.get(0)?, recording))
}

fn list_recordings(
    connection: &mut dyn SqlConnection,
    after: Option<&str>,
    limit: u32,
) -> Result<Vec<Recording>, StoreError> {
    const FIRST: &str =
        recordings!("record_id IS NOT NULL ORDER BY record_id COLLATE BINARY LIMIT ?1");
    const NEXT: &str =
        recordings!("record_id COLLATE BINARY > ?1 ORDER BY record_id COLLATE BINARY LIMIT ?2");
    let found = match after {
        Some(after) => connection.query(NEXT, values![after, limit], read_recording)?,
        None => connection.query(FIRST, values![limit], read_recording)?,
    };
    load_parts(connection, found)
}

/// Returns a recording and the key of its row.
pub(super) fn find_recording(
    connection: &mut dyn SqlConnection,
    record_id: &str,
) -> Result<Option<(i64, Recording)>, StoreError> {
    let found = connection.query_first(
        recordings!("record_id = ?1"),
        values![record_id],
        read_recording,
    )?;
    let key = found.as_ref().map(|(key, _)| *key);
    let recording = load_parts(connection, found.into_iter().collect())?.pop();
    Ok(key.zip(recording))
}

/// Returns recordings by the keys of their rows, in the order of the keys. Missing rows are left
/// out.
pub(super) fn list_by_keys(
    connection: &mut dyn SqlConnection,
    keys: &[i64],
) -> Result<Vec<Recording>, StoreError> {
    let mut rows: HashMap<i64, (i64, Recording)> = HashMap::new();
    for chunk in keys.chunks(CHUNK_SIZE) {
        for found in connection.query(
            &build_in_query(recordings!("id"), chunk),
            &to_values(chunk),
            read_recording,
        )? {
            rows.insert(found.0, found);
        }
    }
    let rows = keys.iter().filter_map(|key| rows.remove(key)).collect();
    load_parts(connection, rows)
}

/// The number of rows that one statement reads.
const CHUNK_SIZE: usize = 50;

/// Builds a statement with a parameter for each key. Nearly all lists have one key or
/// [`CHUNK_SIZE`] keys, so there are few different texts.
fn build_in_query(select: &str, keys: &[impl Sized]) -> String {
    let parameters: Vec<String> = (1..=keys.len()).map(|n| format!("?{n}")).collect();
    format!("{select} IN ({})", parameters.join(", "))
}

fn to_values<'a, T: Copy + Into<SqlValue<'a>>>(keys: &[T]) -> Vec<SqlValue<'a>> {
    keys.iter().map(|key| (*key).into()).collect()
}

/// Adds metadata, formats and details to recordings.
pub(super) fn load_parts(
    connection: &mut dyn SqlConnection,
    mut recordings: Vec<(i64, Recording)>,
) -> Result<Vec<Recording>, StoreError> {
    for chunk in recordings.chunks_mut(CHUNK_SIZE) {
        load_chunk_parts(connection, chunk)?;
    }
    Ok(recordings.into_iter().map(|(_, recording)| recording).collect())
}

fn load_chunk_parts(
    connection: &mut dyn SqlConnection,
    recordings: &mut [(i64, Recording)],
) -> Result<(), StoreError> {
    let keys: Vec<i64> = recordings.iter().map(|(key, _)| *key).collect();
    let mut metadata = read_metadata(connection, &keys)?;
    let mut formats = read_formats(connection, &keys)?;
    let ids: Vec<&str> =
        recordings.iter().map(|(_, recording)| recording.record_id.as_str()).collect();
    let sql =
        build_in_query("SELECT record_id, details FROM recording_details WHERE record_id", &ids);
    let mut details = recording_details::read(connection, &sql, &to_values(&ids))?;
    for (key, recording) in recordings {
        recording.metadata = metadata.remove(key).unwrap_or_default();
        recording.metadata.sort();
        recording.formats = formats.remove(key).unwrap_or_default();
        recording.formats.sort_by(|a, b| a.format.cmp(&b.format));
        if let Some(details) = details.remove(&recording.record_id) {
            details.apply_to(recording);
        }
    }
    Ok(())
}

/// Parts of recordings, by the keys of the rows that they belong to.
type PartsByKey<T> = HashMap<i64, Vec<T>>;

fn read_metadata(
    connection: &mut dyn SqlConnection,
    keys: &[i64],
) -> Result<PartsByKey<(String, Option<String>)>, StoreError> {
    const SELECT: &str = "SELECT recording_id, key, value FROM metadata \
        WHERE key IS NOT NULL AND recording_id";
    let mut metadata: PartsByKey<(String, Option<String>)> = HashMap::new();
    connection.visit(&build_in_query(SELECT, keys), &to_values(keys), &mut |row| {
        metadata.entry(row.get(0)?).or_default().push((row.get(1)?, row.get(2)?));
        Ok(())
    })?;
    Ok(metadata)
}

fn read_formats(
    connection: &mut dyn SqlConnection,
    keys: &[i64],
) -> Result<PartsByKey<PlaybackFormat>, StoreError> {
    const SELECT: &str = "SELECT recording_id, id, format, url, length, processing_time \
        FROM playback_formats WHERE format IS NOT NULL AND recording_id";
    let mut thumbnails = read_thumbnails(connection, keys)?;
    let mut formats: PartsByKey<PlaybackFormat> = HashMap::new();
    connection.visit(&build_in_query(SELECT, keys), &to_values(keys), &mut |row| {
        let mut thumbnails = thumbnails.remove(&row.get(1)?).unwrap_or_default();
        // By their numbers, or in the order in which they were added if one has no number.
        let are_numbered = thumbnails.iter().all(|(_, thumbnail)| thumbnail.sequence.is_some());
        thumbnails
            .sort_by_key(|(id, thumbnail)| (thumbnail.sequence.filter(|_| are_numbered), *id));
        formats.entry(row.get(0)?).or_default().push(PlaybackFormat {
            format: row.get(2)?,
            url: row.get(3)?,
            length_minutes: row.get(4)?,
            processing_time_ms: row.get(5)?,
            thumbnails: thumbnails.into_iter().map(|(_, thumbnail)| thumbnail).collect(),
            size: None,
        });
        Ok(())
    })?;
    Ok(formats)
}

/// Reads thumbnails with the keys of their rows, by the keys of their formats.
fn read_thumbnails(
    connection: &mut dyn SqlConnection,
    keys: &[i64],
) -> Result<PartsByKey<(i64, Thumbnail)>, StoreError> {
    const SELECT: &str = "SELECT t.playback_format_id, t.id, t.width, t.height, t.alt, t.url, \
        t.sequence FROM thumbnails t JOIN playback_formats p ON p.id = t.playback_format_id \
        WHERE p.recording_id";
    let mut thumbnails: PartsByKey<(i64, Thumbnail)> = HashMap::new();
    connection.visit(&build_in_query(SELECT, keys), &to_values(keys), &mut |row| {
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

/// Deletes metadata, formats and thumbnails of a recording.
pub(super) fn delete_parts(connection: &mut dyn SqlConnection, key: i64) -> Result<(), StoreError> {
    const DELETE_PARTS: [&str; 3] = [
        "DELETE FROM thumbnails WHERE playback_format_id IN \
         (SELECT id FROM playback_formats WHERE recording_id = ?1)",
        "DELETE FROM playback_formats WHERE recording_id = ?1",
        "DELETE FROM metadata WHERE recording_id = ?1",
    ];
    DELETE_PARTS.iter().try_for_each(|sql| connection.execute(sql, values![key]).map(drop))
}

/// Stores a recording in place of what is stored under its id; returns the key of its row.
pub(super) fn put_recording(
    connection: &mut dyn SqlConnection,
    recording: &Recording,
) -> Result<i64, StoreError> {
    const PUT: &str = "INSERT INTO recordings (record_id, meeting_id, name, published, \
        participants, state, starttime, endtime, protected, publish_updated) \
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) \
        ON CONFLICT (record_id) DO UPDATE SET meeting_id = excluded.meeting_id, \
        name = excluded.name, published = excluded.published, \
        participants = excluded.participants, state = excluded.state, \
        starttime = excluded.starttime, endtime = excluded.endtime, \
        protected = excluded.protected, publish_updated = excluded.publish_updated RETURNING id";
    let values = values![
        &recording.record_id,
        &recording.meeting_id,
        &recording.name,
        recording.published,
        recording.participants,
        &recording.state,
        recording.started_at,
        recording.ended_at,
        recording.protected,
        recording.publish_updated,
    ];
    let id = insert_returning_key(connection, PUT, values)?;
    deletions::write_time(connection, &recording.record_id, recording.deleted_at)?;
    delete_parts(connection, id)?;
    for (key, value) in &recording.metadata {
        let sql = "INSERT INTO metadata (recording_id, key, value) VALUES (?1, ?2, ?3)";
        connection.execute(sql, values![id, key, value])?;
    }
    recording.formats.iter().try_for_each(|format| put_format(connection, id, format))?;
    recording_details::write(connection, recording)?;
    Ok(id)
}

fn put_format(
    connection: &mut dyn SqlConnection,
    recording: i64,
    format: &PlaybackFormat,
) -> Result<(), StoreError> {
    const INSERT_FORMAT: &str = "INSERT INTO playback_formats (recording_id, format, url, length, \
        processing_time) VALUES (?1, ?2, ?3, ?4, ?5) RETURNING id";
    const INSERT_THUMBNAIL: &str = "INSERT INTO thumbnails (playback_format_id, width, height, \
        alt, url, sequence) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    let PlaybackFormat {
        format: name,
        url,
        length_minutes: length,
        processing_time_ms: processing_time,
        thumbnails,
        ..
    } = format;
    let id = insert_returning_key(
        connection,
        INSERT_FORMAT,
        values![recording, name, url, *length, *processing_time],
    )?;
    for Thumbnail { width, height, alt, url, sequence } in thumbnails {
        connection.execute(INSERT_THUMBNAIL, values![id, *width, *height, alt, url, *sequence])?;
    }
    Ok(())
}

/// Runs a statement that writes a row and returns its key.
fn insert_returning_key(
    connection: &mut dyn SqlConnection,
    sql: &str,
    values: &[SqlValue<'_>],
) -> Result<i64, StoreError> {
    connection.query_first(sql, values, |row| row.get(0))?.ok_or_else(|| {
        StoreError::Corrupt("a statement returned no key of the row that it wrote".to_owned())
    })
}
