//! Recordings whose files are on their way.

use app::ports::{Destination, FileMove, StoreError};
use domain::Timestamp;

use super::connection::{SqlConnection, SqlRow, values};

/// Journeys of which something holds.
macro_rules! file_moves {
    ($condition:literal) => {
        concat!(
            "SELECT record_id, formats, destination, started_at, number, replaced_running FROM file_moves WHERE ",
            $condition
        )
    };
}

fn read_file_move(row: &dyn SqlRow) -> Result<FileMove, StoreError> {
    let unreadable = |what| StoreError::Corrupt(format!("a journey's {what} is not readable"));
    let (formats, to): (String, String) = (row.get(1)?, row.get(2)?);
    let number: i64 = row.get(4)?;
    Ok(FileMove {
        record_id: row.get(0)?,
        formats: serde_json::from_str(&formats).map_err(|_| unreadable("list of formats"))?,
        destination: Destination::from_name(&to).ok_or_else(|| unreadable("destination"))?,
        started_at: Timestamp(row.get(3)?),
        number: number.unsigned_abs(),
        replaced_running: row.get(5)?,
    })
}

fn to_sql_number(journey: &FileMove) -> i64 {
    i64::try_from(journey.number).unwrap_or(i64::MAX)
}

/// Begins a journey, in place of one that may be under way.
pub(super) fn begin(
    session: &mut dyn SqlConnection,
    record_id: &str,
    formats: Vec<String>,
    to: Destination,
    now: Timestamp,
) -> Result<FileMove, StoreError> {
    const BEGIN: &str = "INSERT INTO file_moves \
        (record_id, formats, destination, started_at, number, replaced_running) \
        VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (record_id) DO UPDATE SET \
        formats = excluded.formats, destination = excluded.destination, \
        started_at = excluded.started_at, number = excluded.number, \
        replaced_running = excluded.replaced_running";
    let before =
        session.query_first(file_moves!("record_id = ?1"), values![record_id], read_file_move)?;
    let journey = FileMove::begin(record_id, formats, to, now, before);
    let formats = serde_json::to_string(&journey.formats)
        .map_err(|error| StoreError::Corrupt(format!("formats of a journey: {error}")))?;
    let values = values![
        record_id,
        &formats,
        journey.destination.name(),
        journey.started_at.0,
        to_sql_number(&journey),
        journey.replaced_running,
    ];
    session.execute(BEGIN, values)?;
    Ok(journey)
}

/// Ends a journey, if it still is the one.
pub(super) fn end(session: &mut dyn SqlConnection, journey: &FileMove) -> Result<bool, StoreError> {
    const END: &str = "DELETE FROM file_moves WHERE record_id = ?1 AND number = ?2";
    Ok(session.execute(END, values![&journey.record_id, to_sql_number(journey)])? > 0)
}

/// Journeys that began before that time.
pub(super) fn list_begun_before(
    session: &mut dyn SqlConnection,
    before: Timestamp,
    limit: u32,
) -> Result<Vec<FileMove>, StoreError> {
    const BEGUN_BEFORE: &str =
        file_moves!("started_at < ?1 ORDER BY started_at, record_id COLLATE BINARY LIMIT ?2");
    session.query(BEGUN_BEFORE, values![before.0, limit], read_file_move)
}
