//! The ports on SQL, once for all databases: what each method does within one transaction, the
//! thread that writes, and what joins remember. A database brings its connections
//! ([`session::SqlConnection`]), its way to read ([`Database`]) and its transactions ([`writer::Link`]).

mod callbacks;
pub(crate) mod connection;
mod count_cache;
mod file_moves;
mod history;
mod imports;
mod meetings;
mod outbox;
mod pending_ends;
mod periodic_jobs;
mod placement;
mod polls;
mod pool_store;
mod recording_catalog;
mod recording_details;
mod recordings;
mod rows;
mod search;
mod servers;
mod statement;
mod store_id;
mod tenants;
mod tokens;
mod trash;
pub(crate) mod writer;
mod yaml;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use app::ports::StoreError;

use crate::join_cache::JoinCache;
use crate::pending_joins::PendingJoins;

use self::connection::SqlConnection;
use self::writer::{WriteConnection, WriteThread};

pub(crate) use crate::join_cache::Revision;

/// A database as the ports need it.
pub trait Database: Send + Sync + 'static {
    /// Reads; what it reads may be read twice if a connection turns out to be broken.
    fn read<T: Send + 'static>(
        &self,
        query: impl Fn(&mut dyn SqlConnection) -> Result<T, StoreError> + Send + 'static,
    ) -> impl Future<Output = Result<T, StoreError>> + Send;

    /// Why nobody should wait for it now; nothing if it is there, for all that is known.
    fn outage(&self) -> Option<StoreError>;

    /// The sign of now.
    fn revision(&self) -> Revision;

    /// How `after` is compared with what is stored, where the database stores less than Rust does.
    fn to_comparable<'a>(&self, text: &'a str) -> &'a str;
}

/// A store in a database.
pub struct SqlStore<D> {
    pub(crate) database: D,
    writer: WriteThread,
    pending_joins: Arc<PendingJoins>,
    join_cache: JoinCache,
    count_cache: count_cache::CountCache,
}

impl<D: Database> SqlStore<D> {
    /// Starts the thread that writes, under that name. Callers wait no longer than `patience`.
    pub(crate) fn start(
        database: D,
        link: impl WriteConnection,
        name: &str,
        patience: Option<Duration>,
    ) -> Result<Self, StoreError> {
        let joins = Arc::new(PendingJoins::default());
        let writer = WriteThread::start(link, joins.clone(), name, patience)?;
        let (memory, totals) = (JoinCache::default(), count_cache::CountCache::default());
        Ok(Self { database, writer, pending_joins: joins, join_cache: memory, count_cache: totals })
    }

    /// Has something done in the next transaction. What the writer is busy with while the database is
    /// silent is finding out when it is back: nobody waits behind it for that.
    async fn queue<T: Send + 'static>(
        &self,
        operation: impl FnOnce(&mut dyn SqlConnection) -> Result<T, StoreError> + Send + 'static,
        changes: bool,
    ) -> Result<T, StoreError> {
        match self.database.outage() {
            Some(error) => Err(error),
            None => self.writer.run(operation, changes).await,
        }
    }

    /// Writes in the next transaction; returns when it is on disk.
    async fn write<T: Send + 'static>(
        &self,
        operation: impl FnOnce(&mut dyn SqlConnection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.queue(operation, true).await
    }

    /// The same, where joins have nothing to do with what changes.
    async fn write_keeping_cache<T: Send + 'static>(
        &self,
        operation: impl FnOnce(&mut dyn SqlConnection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.queue(operation, false).await
    }

    /// The same, where recordings change.
    async fn write_recordings<T: Send + 'static>(
        &self,
        operation: impl FnOnce(&mut dyn SqlConnection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let written = self.write_keeping_cache(operation).await;
        // Also if it failed: then nobody knows whether it was written.
        self.count_cache.record_change();
        written
    }

    /// Makes reads see every join that was counted.
    async fn flush_joins(&self) -> Result<(), StoreError> {
        if self.pending_joins.is_flushed() { Ok(()) } else { self.queue(|_| Ok(()), false).await }
    }

    /// Reads what joins are part of.
    async fn read_with_joins<T: Send + 'static>(
        &self,
        query: impl Fn(&mut dyn SqlConnection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.flush_joins().await?;
        self.database.read(query).await
    }

    /// Whether the store can be read and written now.
    async fn run_write_check(&self) -> Result<(), StoreError> {
        const WRITE: &str = "INSERT INTO write_check (one, checks) VALUES (1, 1) \
            ON CONFLICT (one) DO UPDATE SET checks = write_check.checks + 1";
        self.queue(|session| session.execute(WRITE, &[]), false).await?;
        self.database
            .read(|session| {
                session.query_first("SELECT checks FROM write_check", &[], |row| row.get::<i64>(0))
            })
            .await
            .map(drop)
    }
}
