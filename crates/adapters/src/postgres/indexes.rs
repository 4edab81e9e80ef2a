//! Indexes that our searches need and the original's tables lack. They are built in a background
//! thread with its own connection, which takes minutes on large tables. Until then searches are
//! slower.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use app::ports::StoreError;

use super::connection::PgConnection;
use super::connector::Connector;
use crate::sql::connection::{SqlConnection, values};

/// How often a process checks whether another one has built the indexes.
const CHECK_INTERVAL: Duration = Duration::from_secs(10);
/// The time limit for building one index.
const MAX_BUILD_TIME: Duration = Duration::from_secs(6 * 60 * 60);

/// Names and definitions. Values of metadata may be longer than an index allows, so their
/// beginnings are indexed.
const INDEXES: [(&str, &str); 5] = [
    ("scalelite_metadata_by_key_and_value", "metadata (key, left(value, 255))"),
    ("scalelite_recordings_by_starttime", "recordings (starttime)"),
    ("scalelite_recordings_by_record_id", "recordings (record_id text_pattern_ops)"),
    ("scalelite_recordings_by_state", "recordings (state)"),
    ("scalelite_callback_data_by_meeting_id", "callback_data USING hash (meeting_id)"),
];

/// Returns whether the build of an index was finished; `None` if the index does not exist.
fn is_valid(connection: &mut PgConnection, name: &str) -> Result<Option<bool>, StoreError> {
    const VALID: &str = "SELECT indisvalid FROM pg_index \
        WHERE indexrelid = to_regclass('public.' || quote_ident(?1))";
    let connection: &mut dyn SqlConnection = connection;
    connection.query_first(VALID, values![name], |row| row.get(0))
}

/// Whether an index is missing. Only our indexes have names that begin with `scalelite_`.
pub(super) fn are_missing(connection: &mut dyn SqlConnection) -> Result<bool, StoreError> {
    const COUNT: &str = "SELECT count(*) FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid \
        WHERE c.relnamespace = 'public'::regnamespace AND i.indisvalid \
        AND c.relname LIKE 'scalelite\\_%'";
    let built: Option<u64> = connection.query_first(COUNT, &[], |row| row.get(0))?;
    Ok(built.is_none_or(|built| built < INDEXES.len() as u64))
}

/// Starts a thread that builds the missing indexes.
pub(super) fn build_in_background(connector: Arc<Connector>) {
    let build = move || {
        if let Err(error) = build_missing(&connector) {
            tracing::warn!(%error, "index not built: searches in recordings are slow");
        }
    };
    if let Err(error) = thread::Builder::new().name("postgres-indexes".to_owned()).spawn(build) {
        tracing::warn!(%error, "indexes not built: searches in recordings are slow");
    }
}

fn build_missing(connector: &Connector) -> Result<(), StoreError> {
    // Does not wait for the lock within a statement: CREATE INDEX CONCURRENTLY waits for running
    // statements.
    const TRY_LOCK: &str = "SELECT pg_try_advisory_lock(7235433003)";
    let mut connection = connector.connect()?;
    connection.set_response_timeout(MAX_BUILD_TIME);
    connection.execute_batch("SET statement_timeout = 0; SET lock_timeout = 0")?;
    // Another process may be building the indexes, and may end before it has finished.
    while (&mut connection as &mut dyn SqlConnection)
        .query_first(TRY_LOCK, &[], |row| row.get::<bool>(0))?
        != Some(true)
    {
        thread::sleep(CHECK_INTERVAL);
        if !are_missing(&mut connection)? {
            return Ok(());
        }
    }
    for (name, columns) in INDEXES {
        match is_valid(&mut connection, name)? {
            Some(true) => continue,
            // An interrupted build leaves an invalid index, which is updated and never used.
            Some(false) => {
                connection.execute_batch(&format!("DROP INDEX CONCURRENTLY public.{name}"))?;
            }
            None => {}
        }
        connection
            .execute_batch(&format!("CREATE INDEX CONCURRENTLY {name} ON public.{columns}"))?;
    }
    Ok(())
}
