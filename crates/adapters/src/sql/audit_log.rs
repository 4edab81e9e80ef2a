//! The port [`AuditLog`].

use app::ports::{AuditLog, AuditPosition, AuditRecord, StoreError};
use async_trait::async_trait;
use domain::Timestamp;

use super::connection::{SqlConnection, values};
use super::{Database, SqlStore};

#[async_trait]
impl<D: Database> AuditLog for SqlStore<D> {
    async fn append_audit(&self, records: &[AuditRecord]) -> Result<(), StoreError> {
        const APPEND: &str = "INSERT INTO audit_log (made_at, id, record) VALUES (?1, ?2, ?3) \
            ON CONFLICT (made_at, id) DO NOTHING";
        let records = records.to_vec();
        self.write_keeping_cache(move |connection| {
            for record in &records {
                let stored = record.to_stored();
                connection.execute(APPEND, values![record.at.0, &record.id, &stored])?;
            }
            Ok(())
        })
        .await
    }

    async fn list_audit(
        &self,
        since: Timestamp,
        before: Option<&AuditPosition>,
        max: usize,
    ) -> Result<Vec<AuditRecord>, StoreError> {
        let before = before.cloned();
        let read =
            move |connection: &mut dyn SqlConnection| list(connection, since, before.as_ref(), max);
        self.database.read(read).await
    }

    async fn forget_audit(&self, before: Timestamp, max: usize) -> Result<(), StoreError> {
        // Mostly there is nothing to forget: a read finds that out without waiting for the writer.
        let extent = self.database.read(find_extent).await?;
        let (oldest, count) = extent.unwrap_or((before, 0));
        if oldest >= before && count <= max {
            return Ok(());
        }
        self.write_keeping_cache(move |connection| forget(connection, before, max)).await
    }
}

fn to_sql_limit(max: usize) -> i64 {
    i64::try_from(max).unwrap_or(i64::MAX)
}

fn list(
    connection: &mut dyn SqlConnection,
    since: Timestamp,
    before: Option<&AuditPosition>,
    max: usize,
) -> Result<Vec<AuditRecord>, StoreError> {
    const NEWEST: &str = "SELECT record FROM audit_log WHERE made_at >= ?1 \
        ORDER BY made_at DESC, id DESC LIMIT ?2";
    const NEWEST_BEFORE: &str = "SELECT record FROM audit_log WHERE made_at >= ?1 \
        AND (made_at, id) < (?3, ?4) ORDER BY made_at DESC, id DESC LIMIT ?2";
    let read_row =
        |row: &dyn super::connection::SqlRow| AuditRecord::from_stored(&row.get::<String>(0)?);
    let limit = to_sql_limit(max);
    match before {
        None => connection.query(NEWEST, values![since.0, limit], read_row),
        Some(before) => {
            let values = values![since.0, limit, before.at.0, &before.id];
            connection.query(NEWEST_BEFORE, values, read_row)
        }
    }
}

/// Returns the time of the oldest record and the number of records; `None` if there are none.
fn find_extent(
    connection: &mut dyn SqlConnection,
) -> Result<Option<(Timestamp, usize)>, StoreError> {
    const EXTENT: &str = "SELECT min(made_at), count(*) FROM audit_log";
    let found = connection.query_first(EXTENT, &[], |row| {
        let oldest: Option<i64> = row.get(0)?;
        let count: u64 = row.get(1)?;
        Ok(oldest.map(|oldest| (Timestamp(oldest), usize::try_from(count).unwrap_or(usize::MAX))))
    })?;
    Ok(found.flatten())
}

fn forget(
    connection: &mut dyn SqlConnection,
    before: Timestamp,
    max: usize,
) -> Result<(), StoreError> {
    const FIRST_EXCESS: &str = "SELECT made_at, id FROM audit_log \
        ORDER BY made_at DESC, id DESC LIMIT 1 OFFSET ?1";
    const FORGET: &str = "DELETE FROM audit_log WHERE (made_at, id) <= (?1, ?2)";
    connection.execute("DELETE FROM audit_log WHERE made_at < ?1", values![before.0])?;
    let first_excess = connection.query_first(FIRST_EXCESS, values![to_sql_limit(max)], |row| {
        Ok((row.get::<i64>(0)?, row.get::<String>(1)?))
    })?;
    if let Some((at, id)) = first_excess {
        connection.execute(FORGET, values![at, &id])?;
    }
    Ok(())
}
