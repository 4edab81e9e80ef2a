//! The port [`KeptCreates`]: how recorded meetings were created.

use app::ports::kept_creates::{LARGE_CREATE_BYTES, MAX_LARGE_CREATES_BYTES};
use app::ports::{KeptCreate, KeptCreates, StoreError};
use async_trait::async_trait;
use domain::{Meeting, MeetingKey};

use super::connection::{SqlConnection, values};
use super::rows::tenant_or_empty;
use super::{Database, SqlStore};

#[async_trait]
impl<D: Database> KeptCreates for SqlStore<D> {
    async fn keep_create(&self, key: &MeetingKey, kept: &KeptCreate) -> Result<bool, StoreError> {
        let (key, kept) = (key.clone(), kept.clone());
        self.write_keeping_cache(move |connection| keep(connection, &key, &kept)).await
    }

    async fn find_kept_create(&self, key: &MeetingKey) -> Result<Option<KeptCreate>, StoreError> {
        let key = key.clone();
        self.database.read(move |connection| find(connection, &key)).await
    }
}

/// Returns what is kept of a meeting, for the copy of it that is recorded from now on.
pub(super) fn take(
    connection: &mut dyn SqlConnection,
    key: &MeetingKey,
    internal_id: &str,
) -> Result<Option<KeptCreate>, StoreError> {
    const TAKE: &str = "SELECT sealed FROM kept_creates WHERE tenant = ?1 AND id = ?2";
    let sealed = connection
        .query_first(TAKE, values![tenant_or_empty(key), &key.id], |row| row.get::<String>(0))?;
    Ok(sealed.map(|sealed| KeptCreate { internal_id: internal_id.to_owned(), sealed }))
}

/// Keeps the create of a recorded meeting; see [`KeptCreates::keep_create`].
pub(super) fn keep(
    connection: &mut dyn SqlConnection,
    key: &MeetingKey,
    kept: &KeptCreate,
) -> Result<bool, StoreError> {
    const FORGET_EARLIER: &str = "DELETE FROM kept_creates WHERE tenant = ?1 AND id = ?2 AND \
        EXISTS (SELECT 1 FROM meetings m WHERE m.tenant = ?1 AND m.id = ?2 AND m.internal_id = ?3)";
    const INSERT: &str = "INSERT INTO kept_creates (tenant, id, internal_id, sealed, size) \
        SELECT m.tenant, m.id, m.internal_id, ?4, ?5 FROM meetings m \
        WHERE m.tenant = ?1 AND m.id = ?2 AND m.internal_id = ?3";
    let (tenant, size) = (tenant_or_empty(key), to_i64(kept.sealed.len()));
    if kept.sealed.len() > LARGE_CREATE_BYTES {
        let others = large_bytes_of_others(connection, key)?;
        if others + size > to_i64(MAX_LARGE_CREATES_BYTES) {
            return Ok(false);
        }
    }
    connection.execute_later(FORGET_EARLIER, values![tenant, &key.id, &kept.internal_id])?;
    let values = values![tenant, &key.id, &kept.internal_id, &kept.sealed, size];
    Ok(connection.execute(INSERT, values)? == 1)
}

/// Returns how many bytes the large kept creates of other meetings have together.
fn large_bytes_of_others(
    connection: &mut dyn SqlConnection,
    key: &MeetingKey,
) -> Result<i64, StoreError> {
    // The number is that of the index, which has only large ones.
    const { assert!(LARGE_CREATE_BYTES == 16_384) };
    const LARGE: &str = "SELECT CAST(coalesce(sum(size), 0) AS BIGINT) FROM kept_creates \
        WHERE size > 16384 AND NOT (tenant = ?1 AND id = ?2)";
    let values = values![tenant_or_empty(key), &key.id];
    Ok(connection.query_first(LARGE, values, |row| row.get::<i64>(0))?.unwrap_or(0))
}

fn to_i64(size: usize) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}

fn find(
    connection: &mut dyn SqlConnection,
    key: &MeetingKey,
) -> Result<Option<KeptCreate>, StoreError> {
    const FIND: &str = "SELECT k.internal_id, k.sealed FROM kept_creates k JOIN meetings m \
        ON m.tenant = k.tenant AND m.id = k.id AND m.internal_id = k.internal_id \
        WHERE k.tenant = ?1 AND k.id = ?2";
    connection.query_first(FIND, values![tenant_or_empty(key), &key.id], |row| {
        Ok(KeptCreate { internal_id: row.get(0)?, sealed: row.get(1)? })
    })
}

/// Deletes the kept create of a meeting whose record is deleted.
pub(super) fn forget(
    connection: &mut dyn SqlConnection,
    key: &MeetingKey,
) -> Result<(), StoreError> {
    const FORGET: &str = "DELETE FROM kept_creates WHERE tenant = ?1 AND id = ?2";
    connection.execute_later(FORGET, values![tenant_or_empty(key), &key.id])
}

/// Deletes the kept creates of meetings whose records are deleted.
pub(super) fn forget_all(
    connection: &mut dyn SqlConnection,
    meetings: &[Meeting],
) -> Result<(), StoreError> {
    meetings.iter().try_for_each(|meeting| forget(connection, &meeting.key))
}
