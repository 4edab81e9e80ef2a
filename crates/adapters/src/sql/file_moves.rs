//! Statements about file moves: recordings whose files are being moved.

use app::ports::{Destination, FileMove, StoreError};
use domain::Timestamp;

use super::connection::{SqlConnection, SqlRow, values};

/// Selects file moves that meet a condition.
macro_rules! file_moves {
    ($condition:literal) => {
        concat!(
            "SELECT record_id, formats, destination, started_at, number, replaced_running \
             FROM file_moves WHERE ",
            $condition
        )
    };
}

fn read_file_move(row: &dyn SqlRow) -> Result<FileMove, StoreError> {
    let unreadable =
        |field| StoreError::Corrupt(format!("the {field} of a file move is unreadable"));
    let (formats, destination): (String, String) = (row.get(1)?, row.get(2)?);
    let number: i64 = row.get(4)?;
    Ok(FileMove {
        record_id: row.get(0)?,
        formats: serde_json::from_str(&formats).map_err(|_| unreadable("list of formats"))?,
        destination: Destination::from_name(&destination)
            .ok_or_else(|| unreadable("destination"))?,
        started_at: Timestamp(row.get(3)?),
        number: number.unsigned_abs(),
        replaced_running: row.get(5)?,
    })
}

fn to_sql_number(file_move: &FileMove) -> i64 {
    i64::try_from(file_move.number).unwrap_or(i64::MAX)
}

/// Begins to move the files of a recording. The move replaces one that is running.
pub(super) fn begin(
    connection: &mut dyn SqlConnection,
    record_id: &str,
    formats: Vec<String>,
    destination: Destination,
    now: Timestamp,
) -> Result<FileMove, StoreError> {
    let running = connection.query_first(
        file_moves!("record_id = ?1"),
        values![record_id],
        read_file_move,
    )?;
    let file_move = FileMove::begin(record_id, formats, destination, now, running);
    put(connection, &file_move)?;
    Ok(file_move)
}

/// Stores a move in place of the one of its recording.
pub(super) fn put(
    connection: &mut dyn SqlConnection,
    file_move: &FileMove,
) -> Result<(), StoreError> {
    const PUT: &str = "INSERT INTO file_moves \
        (record_id, formats, destination, started_at, tried_at, number, replaced_running) \
        VALUES (?1, ?2, ?3, ?4, ?4, ?5, ?6) ON CONFLICT (record_id) DO UPDATE SET \
        formats = excluded.formats, destination = excluded.destination, \
        started_at = excluded.started_at, tried_at = excluded.tried_at, number = excluded.number, \
        replaced_running = excluded.replaced_running";
    let formats = serde_json::to_string(&file_move.formats)
        .map_err(|error| StoreError::Corrupt(format!("formats of a file move: {error}")))?;
    let values = values![
        &file_move.record_id,
        &formats,
        file_move.destination.name(),
        file_move.started_at.0,
        to_sql_number(file_move),
        file_move.replaced_running,
    ];
    connection.execute(PUT, values).map(drop)
}

/// Ends a move, unless another one has replaced it; returns whether it did.
pub(super) fn end(
    connection: &mut dyn SqlConnection,
    file_move: &FileMove,
) -> Result<bool, StoreError> {
    const END: &str = "DELETE FROM file_moves WHERE record_id = ?1 AND number = ?2";
    Ok(connection.execute(END, values![&file_move.record_id, to_sql_number(file_move)])? > 0)
}

/// Records that the files of a move could not be moved.
pub(super) fn postpone(
    connection: &mut dyn SqlConnection,
    file_move: &FileMove,
    now: Timestamp,
) -> Result<(), StoreError> {
    const POSTPONE: &str =
        "UPDATE file_moves SET tried_at = ?3 WHERE record_id = ?1 AND number = ?2";
    let values = values![&file_move.record_id, to_sql_number(file_move), now.0];
    connection.execute(POSTPONE, values).map(drop)
}

/// Lists moves that were last tried before a time, those first that were tried first.
pub(super) fn list_tried_before(
    connection: &mut dyn SqlConnection,
    before: Timestamp,
    limit: u32,
) -> Result<Vec<FileMove>, StoreError> {
    const TRIED_BEFORE: &str =
        file_moves!("tried_at < ?1 ORDER BY tried_at, record_id COLLATE BINARY LIMIT ?2");
    connection.query(TRIED_BEFORE, values![before.0, limit], read_file_move)
}
