//! The schema of the embedded store and the steps that lead to it. A file whose schema is not one
//! of these steps is refused and left unchanged.
//!
//! `PRAGMA application_id` tells our files from those of other programs, `PRAGMA user_version` is
//! the number of steps that were applied to the file.

use app::ports::StoreError;
use rusqlite::{Connection, TransactionBehavior};

use super::to_store_error;

/// The steps, oldest first. A step that was released is never changed: a later version adds a step.
const STEPS: &[&str] = &[include_str!("schema/version_1.sql")];

/// Marks a file as ours: "SCLT" in ASCII.
const APPLICATION_ID: i64 = 0x5343_4c54;

/// Returns the schema version of files that this program writes.
pub(super) fn newest_version() -> i64 {
    STEPS.len() as i64
}

/// Checks that a file is empty or has a schema that this program knows. Changes nothing.
pub(super) fn check_compatible(connection: &Connection) -> Result<(), StoreError> {
    count_steps_done(connection).map(drop)
}

/// Brings a file to the newest schema. Processes that start at the same time wait for each other.
pub(super) fn migrate(connection: &mut Connection) -> Result<(), StoreError> {
    // An up-to-date file is not written: it can be read on a full disk, or while another process
    // writes.
    if count_steps_done(connection)? == STEPS.len() {
        return Ok(());
    }
    let transaction = connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(to_store_error)?;
    for step in &STEPS[count_steps_done(&transaction)?..] {
        transaction.execute_batch(step).map_err(to_store_error)?;
    }
    transaction.pragma_update(None, "application_id", APPLICATION_ID).map_err(to_store_error)?;
    transaction.pragma_update(None, "user_version", newest_version()).map_err(to_store_error)?;
    transaction.commit().map_err(to_store_error)?;
    // The schema is in the file from the start, and not only in the log beside it.
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).map_err(to_store_error)
}

/// Returns the number of steps that were applied to a file: 0 for an empty one.
fn count_steps_done(connection: &Connection) -> Result<usize, StoreError> {
    const STATE: &str = "SELECT (SELECT application_id FROM pragma_application_id), \
        (SELECT user_version FROM pragma_user_version), (SELECT count(*) FROM sqlite_schema)";
    let (application_id, version, objects): (i64, i64, i64) = connection
        .query_row(STATE, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .map_err(to_store_error)?;
    if (application_id, version, objects) == (0, 0, 0) {
        return Ok(0);
    }
    let newest = newest_version();
    let reason = match usize::try_from(version) {
        _ if application_id != APPLICATION_ID => "the file has the schema of an older, unreleased \
            scalelite, or belongs to another program: move it away"
            .to_owned(),
        Ok(done) if (1..=STEPS.len()).contains(&done) => return Ok(done),
        _ if version > newest => {
            format!(
                "the file has schema {version}, this program knows {newest}: use a newer scalelite"
            )
        }
        _ => format!("the file has the unknown schema {version}: move it away"),
    };
    Err(StoreError::Incompatible(reason))
}
