//! The port [`SessionHistory`]: meetings that have ended.

use app::ports::{SessionHistory, StoreError};
use async_trait::async_trait;
use domain::{MeetingSession, Timestamp};

use super::connection::{SqlConnection, values};
use super::rows::{read_key, tenant_or_empty};
use super::{Database, SqlStore};

#[async_trait]
impl<D: Database> SessionHistory for SqlStore<D> {
    async fn record_session(&self, session: &MeetingSession) -> Result<(), StoreError> {
        let session = session.clone();
        self.write_keeping_cache(move |connection| insert_session(connection, &session)).await
    }

    async fn list_sessions(
        &self,
        since: Timestamp,
        max: usize,
    ) -> Result<Vec<MeetingSession>, StoreError> {
        self.database.read(move |connection| list_newest(connection, since, max)).await
    }

    async fn forget_sessions(&self, before: Timestamp, max: usize) -> Result<(), StoreError> {
        // Mostly there is nothing to forget: a read finds that out without waiting for the writer.
        let extent = self.database.read(find_extent).await?;
        let (oldest, count) = extent.unwrap_or((before, 0));
        if oldest >= before && count <= max {
            return Ok(());
        }
        self.write_keeping_cache(move |connection| delete_old_sessions(connection, before, max))
            .await
    }
}

fn to_sql_limit(max: usize) -> i64 {
    i64::try_from(max).unwrap_or(i64::MAX)
}

fn insert_session(
    connection: &mut dyn SqlConnection,
    session: &MeetingSession,
) -> Result<(), StoreError> {
    const FORGET: &str = "DELETE FROM sessions WHERE created_at = ?1 AND tenant = ?2 AND id = ?3";
    const RECORD: &str = "INSERT INTO sessions (created_at, tenant, id, peak_users, busy_ms) \
        VALUES (?1, ?2, ?3, ?4, ?5)";
    let (created_at, key) = (session.created_at.0, &session.key);
    connection.execute(FORGET, values![created_at, tenant_or_empty(key), &key.id])?;
    let values =
        values![created_at, tenant_or_empty(key), &key.id, session.peak_users, session.busy_ms,];
    connection.execute(RECORD, values).map(drop)
}

fn list_newest(
    connection: &mut dyn SqlConnection,
    since: Timestamp,
    max: usize,
) -> Result<Vec<MeetingSession>, StoreError> {
    const NEWEST: &str = "SELECT created_at, tenant, id, peak_users, busy_ms FROM sessions \
        WHERE created_at >= ?1 ORDER BY created_at DESC, tenant DESC, id DESC LIMIT ?2";
    connection.query(NEWEST, values![since.0, to_sql_limit(max)], |row| {
        Ok(MeetingSession {
            key: read_key(row, 1)?,
            created_at: Timestamp(row.get(0)?),
            peak_users: row.get(3)?,
            busy_ms: row.get(4)?,
        })
    })
}

/// Returns the creation time of the oldest session and the number of sessions; `None` if there are
/// none.
fn find_extent(
    connection: &mut dyn SqlConnection,
) -> Result<Option<(Timestamp, usize)>, StoreError> {
    const EXTENT: &str = "SELECT min(created_at), count(*) FROM sessions";
    let found = connection.query_first(EXTENT, &[], |row| {
        let oldest: Option<i64> = row.get(0)?;
        let count: u64 = row.get(1)?;
        Ok(oldest.map(|oldest| (Timestamp(oldest), usize::try_from(count).unwrap_or(usize::MAX))))
    })?;
    Ok(found.flatten())
}

fn delete_old_sessions(
    connection: &mut dyn SqlConnection,
    before: Timestamp,
    max: usize,
) -> Result<(), StoreError> {
    const FIRST_EXCESS: &str = "SELECT created_at, tenant, id FROM sessions \
        ORDER BY created_at DESC, tenant DESC, id DESC LIMIT 1 OFFSET ?1";
    const FORGET: &str = "DELETE FROM sessions WHERE (created_at, tenant, id) <= (?1, ?2, ?3)";
    connection.execute("DELETE FROM sessions WHERE created_at < ?1", values![before.0])?;
    let first_excess = connection.query_first(FIRST_EXCESS, values![to_sql_limit(max)], |row| {
        Ok((row.get::<i64>(0)?, row.get::<String>(1)?, row.get::<String>(2)?))
    })?;
    if let Some((created_at, tenant, id)) = first_excess {
        connection.execute(FORGET, values![created_at, &tenant, &id])?;
    }
    Ok(())
}
