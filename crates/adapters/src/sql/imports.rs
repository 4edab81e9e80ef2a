//! The port [`Imports`]: archives of recordings that are being imported. Only one transaction
//! writes at a time, so a claim cannot be overtaken between its read and its write.

use app::ports::{ArchiveRecord, ImportStage, Imports, StoreError};
use async_trait::async_trait;
use domain::Timestamp;

use super::connection::{SqlRow, values};
use super::{Database, SqlStore};

/// The columns of an archive, in the order that [`read_archive`] expects.
macro_rules! columns {
    () => {
        "name, size, received_at, stage, attempts, reason, changed_at"
    };
}

#[async_trait]
impl<D: Database> Imports for SqlStore<D> {
    async fn receive_archive(
        &self,
        name: &str,
        size: u64,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        const GROW: &str = "UPDATE archive_imports SET size = ?2 WHERE name = ?1 \
            AND stage IN ('received', 'importing')";
        const RECEIVE: &str = "INSERT INTO archive_imports (name, size, received_at, stage, attempts, \
            changed_at, claimed_until, not_before) VALUES (?1, ?2, ?3, 'received', 0, ?3, 0, 0) \
            ON CONFLICT (name) DO UPDATE SET size = excluded.size, \
            received_at = excluded.received_at, stage = excluded.stage, attempts = 0, \
            reason = NULL, changed_at = excluded.changed_at, token = NULL, claimed_until = 0, \
            not_before = 0 WHERE archive_imports.stage = 'done' \
            OR (archive_imports.stage IN ('quarantined', 'aside') \
            AND archive_imports.size <> excluded.size)";
        let (name, size) = (name.to_owned(), i64::try_from(size).unwrap_or(i64::MAX));
        self.write_keeping_cache(move |connection| {
            if connection.execute(GROW, values![&name, size])? == 0 {
                connection.execute(RECEIVE, values![&name, size, now.0])?;
            }
            Ok(())
        })
        .await
    }

    async fn claim_archive(
        &self,
        name: &str,
        token: &str,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Option<ArchiveRecord>, StoreError> {
        const CLAIM: &str = concat!(
            "UPDATE archive_imports SET stage = 'importing', attempts = attempts + 1, token = ?2, \
             changed_at = ?3, claimed_until = ?4 WHERE name = ?1 \
             AND ((stage = 'received' AND not_before <= ?3) \
             OR (stage = 'importing' AND claimed_until <= ?3)) RETURNING ",
            columns!()
        );
        let (name, token) = (name.to_owned(), token.to_owned());
        self.write_keeping_cache(move |connection| {
            connection.query_first(CLAIM, values![&name, &token, now.0, until.0], read_archive)
        })
        .await
    }

    async fn renew_archive_claim(
        &self,
        name: &str,
        token: &str,
        until: Timestamp,
    ) -> Result<bool, StoreError> {
        const RENEW: &str = "UPDATE archive_imports SET claimed_until = ?3 \
            WHERE name = ?1 AND token = ?2 AND stage = 'importing'";
        let (name, token) = (name.to_owned(), token.to_owned());
        self.write_keeping_cache(move |connection| {
            Ok(connection.execute(RENEW, values![&name, &token, until.0])? > 0)
        })
        .await
    }

    async fn record_import_result(
        &self,
        name: &str,
        token: &str,
        stage: ImportStage,
        reason: Option<&str>,
        now: Timestamp,
        not_before: Timestamp,
    ) -> Result<bool, StoreError> {
        const SETTLE: &str = "UPDATE archive_imports SET stage = ?3, reason = ?4, changed_at = ?5, \
            not_before = ?6, token = NULL \
            WHERE name = ?1 AND token = ?2 AND stage = 'importing'";
        let (name, token) = (name.to_owned(), token.to_owned());
        let reason = reason.map(str::to_owned);
        self.write_keeping_cache(move |connection| {
            let values = values![&name, &token, stage.name(), &reason, now.0, not_before.0];
            Ok(connection.execute(SETTLE, values)? > 0)
        })
        .await
    }

    async fn retry_archive(&self, name: &str, now: Timestamp) -> Result<bool, StoreError> {
        const RETRY: &str = "UPDATE archive_imports SET stage = 'received', attempts = 0, \
            reason = NULL, changed_at = ?2, not_before = 0 WHERE name = ?1 \
            AND stage IN ('quarantined', 'aside')";
        let name = name.to_owned();
        self.write_keeping_cache(move |connection| {
            Ok(connection.execute(RETRY, values![&name, now.0])? > 0)
        })
        .await
    }

    async fn expire_archive(
        &self,
        name: &str,
        reason: &str,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        const EXPIRE: &str = "UPDATE archive_imports SET stage = 'done', reason = ?2, \
            changed_at = ?3 WHERE name = ?1 AND stage = 'aside'";
        let (name, reason) = (name.to_owned(), reason.to_owned());
        self.write_keeping_cache(move |connection| {
            Ok(connection.execute(EXPIRE, values![&name, &reason, now.0])? > 0)
        })
        .await
    }

    async fn list_archives(&self, limit: u32) -> Result<Vec<ArchiveRecord>, StoreError> {
        const ALL: &str = concat!(
            "SELECT ",
            columns!(),
            " FROM archive_imports ORDER BY changed_at DESC, name COLLATE BINARY LIMIT ?1"
        );
        self.database
            .read(move |connection| connection.query(ALL, values![limit], read_archive))
            .await
    }

    async fn forget_archives(&self, before: Timestamp) -> Result<u64, StoreError> {
        const FORGET: &str = "DELETE FROM archive_imports WHERE stage = 'done' AND changed_at < ?1";
        self.write_keeping_cache(move |connection| connection.execute(FORGET, values![before.0]))
            .await
    }
}

fn read_archive(row: &dyn SqlRow) -> Result<ArchiveRecord, StoreError> {
    let stage: String = row.get(3)?;
    Ok(ArchiveRecord {
        name: row.get(0)?,
        size: row.get(1)?,
        received_at: Timestamp(row.get(2)?),
        stage: ImportStage::from_name(&stage)
            .ok_or_else(|| StoreError::Corrupt("an archive has an unknown stage".to_owned()))?,
        attempts: row.get(4)?,
        reason: row.get(5)?,
        changed_at: Timestamp(row.get(6)?),
    })
}
