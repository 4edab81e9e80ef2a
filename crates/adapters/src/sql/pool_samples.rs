//! The port [`PoolSamples`]: a row for each block.

use app::ports::{PoolSamples, SampleBlock, StoreError};
use async_trait::async_trait;
use domain::Timestamp;
use domain::samples::SampleSpan;

use super::connection::{SqlConnection, SqlRow, values};
use super::{Database, SqlStore};

#[async_trait]
impl<D: Database> PoolSamples for SqlStore<D> {
    async fn append_samples(
        &self,
        span: SampleSpan,
        start: Timestamp,
        entries: &[(String, String)],
    ) -> Result<(), StoreError> {
        let entries = entries.to_vec();
        self.write_keeping_cache(move |connection| append(connection, span, start, &entries)).await
    }

    async fn list_sample_blocks(
        &self,
        span: SampleSpan,
        subject: &str,
        from: Timestamp,
    ) -> Result<Vec<SampleBlock>, StoreError> {
        const LIST: &str = "SELECT subject, start, entries FROM samples \
            WHERE span = ?1 AND subject = ?2 AND start >= ?3 ORDER BY start";
        let subject = subject.to_owned();
        let list = move |connection: &mut dyn SqlConnection| {
            connection.query(LIST, values![span.name(), &subject, from.0], read_block)
        };
        self.database.read(list).await
    }

    async fn list_blocks_at(
        &self,
        span: SampleSpan,
        start: Timestamp,
    ) -> Result<Vec<SampleBlock>, StoreError> {
        const LIST: &str = "SELECT subject, start, entries FROM samples \
            WHERE span = ?1 AND start = ?2";
        let list = move |connection: &mut dyn SqlConnection| {
            connection.query(LIST, values![span.name(), start.0], read_block)
        };
        let mut blocks = self.database.read(list).await?;
        blocks.sort_by(|one, other| one.subject.cmp(&other.subject));
        Ok(blocks)
    }

    async fn forget_samples(&self, span: SampleSpan, before: Timestamp) -> Result<(), StoreError> {
        const FORGET: &str = "DELETE FROM samples WHERE span = ?1 AND start < ?2";
        let forget = move |connection: &mut dyn SqlConnection| {
            connection.execute(FORGET, values![span.name(), before.0]).map(drop)
        };
        self.write_keeping_cache(forget).await
    }
}

fn append(
    connection: &mut dyn SqlConnection,
    span: SampleSpan,
    start: Timestamp,
    entries: &[(String, String)],
) -> Result<(), StoreError> {
    const APPEND: &str = "INSERT INTO samples (span, start, subject, entries) VALUES (?1, ?2, ?3, ?4) \
        ON CONFLICT (span, subject, start) DO UPDATE SET entries = samples.entries || excluded.entries";
    for (subject, entry) in entries {
        connection.execute_later(APPEND, values![span.name(), start.0, subject, entry])?;
    }
    connection.flush()
}

fn read_block(row: &dyn SqlRow) -> Result<SampleBlock, StoreError> {
    Ok(SampleBlock { subject: row.get(0)?, start: Timestamp(row.get(1)?), entries: row.get(2)? })
}
