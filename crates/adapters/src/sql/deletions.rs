//! When recordings were deleted, in a table of our own.

use app::ports::StoreError;
use domain::Timestamp;

use super::connection::{SqlConnection, values};

/// Stores when a recording was deleted. The column of that name in the original's table is left
/// alone: the original does not clear it when it imports the recording again.
pub(super) fn write_time(
    connection: &mut dyn SqlConnection,
    record_id: &str,
    deleted_at: Option<Timestamp>,
) -> Result<(), StoreError> {
    const WRITE: &str = "INSERT INTO deletions (record_id, deleted_at) VALUES (?1, ?2) \
        ON CONFLICT (record_id) DO UPDATE SET deleted_at = excluded.deleted_at";
    const FORGET: &str = "DELETE FROM deletions WHERE record_id = ?1";
    match deleted_at {
        Some(deleted_at) => connection.execute(WRITE, values![record_id, deleted_at.0])?,
        None => connection.execute(FORGET, values![record_id])?,
    };
    Ok(())
}
