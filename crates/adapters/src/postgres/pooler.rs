//! Recognises a pooler in transaction mode between this program and PostgreSQL. It gives each transaction of a
//! connection another session, so that prepared statements are lost.

use std::sync::Arc;

use app::ports::StoreError;

use super::connection::PgConnection;
use super::connector::Connector;

/// What is said of it.
pub(super) const FOUND: &str = "a pooler between gives each transaction another session";
/// What to do about it.
pub(super) const ADVICE: &str = "let the pooler pool sessions (pgbouncer: pool_mode = session), or connect to PostgreSQL itself";
/// How many connections try to take the session of another one.
const MAX_RIVALS: usize = 3;

/// Returns whether a connection loses its session between two transactions. Must not be called from a worker
/// of an async runtime.
pub(super) fn loses_sessions(connector: &Arc<Connector>) -> Result<bool, StoreError> {
    let mut connection = connector.connect()?;
    let session = read_session(&mut connection)?;
    let mut rivals = Vec::new();
    for _ in 0..MAX_RIVALS {
        let mut rival = connector.connect()?;
        // Holds what it gets until it is dropped.
        rival.execute_batch("BEGIN")?;
        let taken = read_session(&mut rival)?;
        rivals.push(rival);
        if taken == session {
            return Ok(true);
        }
    }
    Ok(read_session(&mut connection)? != session)
}

/// Returns the process of PostgreSQL that serves the connection now, without a prepared statement.
fn read_session(connection: &mut PgConnection) -> Result<String, StoreError> {
    connection.read_unprepared("SELECT pg_backend_pid()")
}
