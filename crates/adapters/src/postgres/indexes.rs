//! Indexes that the original's tables lack for our searches. They are built beside the running
//! work, in a thread and a connection of their own: on large tables that takes minutes. Without
//! them everything works, only slower.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use app::ports::StoreError;

use super::connection::PgConnection;
use super::connector::Connector;
use crate::sql::connection::{SqlConnection, values};

/// How often somebody looks who waits for another process to build them.
const CHECK_INTERVAL: Duration = Duration::from_secs(10);
/// How long building one may take.
const MAX_BUILD_TIME: Duration = Duration::from_secs(6 * 60 * 60);

/// Names and what they cover. Values may be longer than an index takes: their beginnings do.
const INDEXES: [(&str, &str); 6] = [
    ("scalelite_metadata_by_key_and_value", "metadata (key, left(value, 255))"),
    ("scalelite_recordings_by_starttime", "recordings (starttime)"),
    ("scalelite_recordings_by_record_id", "recordings (record_id text_pattern_ops)"),
    ("scalelite_recordings_by_state", "recordings (state)"),
    ("scalelite_recordings_by_deleted_at", "recordings (deleted_at) WHERE deleted_at IS NOT NULL"),
    ("scalelite_callback_data_by_meeting_id", "callback_data USING hash (meeting_id)"),
];

/// Whether an index of this name is there, and whether its build came to an end.
fn is_valid(session: &mut PgConnection, name: &str) -> Result<Option<bool>, StoreError> {
    const VALID: &str = "SELECT indisvalid FROM pg_index \
        WHERE indexrelid = to_regclass('public.' || quote_ident(?1))";
    let session: &mut dyn SqlConnection = session;
    session.query_first(VALID, values![name], |row| row.get(0))
}

/// Whether there is anything to build. Nobody else's indexes are called like ours.
pub(super) fn are_missing(session: &mut dyn SqlConnection) -> Result<bool, StoreError> {
    const COUNT: &str = "SELECT count(*) FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid \
        WHERE c.relnamespace = 'public'::regnamespace AND i.indisvalid \
        AND c.relname LIKE 'scalelite\\_%'";
    let built: Option<u64> = session.query_first(COUNT, &[], |row| row.get(0))?;
    Ok(built.is_none_or(|built| built < INDEXES.len() as u64))
}

/// Builds what is missing, whenever that is done.
pub(super) fn build_in_background(door: Arc<Connector>) {
    let build = move || {
        if let Err(error) = build_missing(&door) {
            tracing::warn!(%error, "searches in recordings will be slow: an index is missing");
        }
    };
    if let Err(error) = thread::Builder::new().name("postgres-indexes".to_owned()).spawn(build) {
        tracing::warn!(%error, "searches in recordings will be slow: indexes are missing");
    }
}

fn build_missing(door: &Connector) -> Result<(), StoreError> {
    // Tried, not waited for: who waits in a statement would be waited for by the builder.
    const LOCK: &str = "SELECT pg_try_advisory_lock(7235433003)";
    let mut session = door.connect()?;
    session.set_response_timeout(MAX_BUILD_TIME);
    session.execute_batch("SET statement_timeout = 0; SET lock_timeout = 0")?;
    // Another process may be at it, or may have ended in the middle of it.
    while (&mut session as &mut dyn SqlConnection)
        .query_first(LOCK, &[], |row| row.get::<bool>(0))?
        != Some(true)
    {
        thread::sleep(CHECK_INTERVAL);
        if !are_missing(&mut session)? {
            return Ok(());
        }
    }
    for (name, columns) in INDEXES {
        match is_valid(&mut session, name)? {
            Some(true) => continue,
            // A build that was broken off leaves something that costs and is of no use.
            Some(false) => {
                session.execute_batch(&format!("DROP INDEX CONCURRENTLY public.{name}"))?
            }
            None => {}
        }
        session.execute_batch(&format!("CREATE INDEX CONCURRENTLY {name} ON public.{columns}"))?;
    }
    Ok(())
}
