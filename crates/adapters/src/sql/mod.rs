//! The ports on SQL, written once for all databases: the statements of each method, the thread that
//! writes, and the cache of joins. A database adds its connections ([`connection::SqlConnection`]),
//! its reads ([`Database`]) and its write transactions ([`writer::WriteConnection`]).

mod audit_log;
mod callbacks;
mod certificate_state;
pub(crate) mod connection;
mod count_cache;
mod deletions;
mod end_callbacks;
mod file_moves;
mod history;
mod imports;
mod kept_creates;
mod management_tokens;
mod meetings;
mod metadata_conditions;
mod outbox;
mod pending_ends;
mod periodic_jobs;
mod placement;
mod planned_drains;
mod polls;
mod pool_samples;
mod pool_store;
mod recording_catalog;
mod recording_claims;
mod recording_details;
mod recording_upkeep;
mod recording_work;
mod recordings;
mod remembered_requests;
mod rows;
mod search;
pub(crate) mod server_cache;
mod servers;
mod statement;
mod store_id;
mod tenants;
mod tokens;
mod trash;
mod write_operation;
mod write_queue;
pub(crate) mod writer;
mod yaml;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use app::ports::StoreError;

use crate::join_cache::JoinCache;
use crate::pending_joins::PendingJoins;

use self::connection::SqlConnection;
use self::write_queue::WriteMode;
use self::writer::{WriteConnection, WriteThread};

pub(crate) use crate::join_cache::Revision;

/// The operations of a database that the ports need, besides write transactions.
pub trait Database: Send + Sync + 'static {
    /// Runs a query. It is run a second time if the connection turns out to be broken.
    fn read<T: Send + 'static>(
        &self,
        query: impl Fn(&mut dyn SqlConnection) -> Result<T, StoreError> + Send + 'static,
    ) -> impl Future<Output = Result<T, StoreError>> + Send;

    /// Returns why calls must fail at once. `None` if the database is there, as far as is known.
    fn outage(&self) -> Option<StoreError>;

    /// Checks the files of a database on this machine, as far as that is quick.
    fn check_files(&self) -> Result<(), StoreError> {
        Ok(())
    }

    /// Takes note of an error of a call.
    fn note_error(&self, _error: &StoreError) {}

    /// Returns the current revision of the data.
    fn revision(&self) -> Revision;

    /// Returns the part of a text that can be compared with stored text, for databases that cannot
    /// store every text.
    fn to_comparable<'a>(&self, text: &'a str) -> &'a str;
}

/// A store in an SQL database.
pub struct SqlStore<D> {
    pub(crate) database: D,
    writer: WriteThread,
    pending_joins: Arc<PendingJoins>,
    join_cache: JoinCache,
    count_cache: count_cache::CountCache,
}

impl<D: Database> SqlStore<D> {
    /// Starts the thread that writes, under this name. Writes fail after `timeout`.
    pub(crate) fn start(
        database: D,
        write_connection: impl WriteConnection,
        name: &str,
        timeout: Option<Duration>,
    ) -> Result<Self, StoreError> {
        let pending_joins = Arc::new(PendingJoins::default());
        let writer = WriteThread::start(write_connection, pending_joins.clone(), name, timeout)?;
        Ok(Self {
            database,
            writer,
            pending_joins,
            join_cache: JoinCache::default(),
            count_cache: count_cache::CountCache::default(),
        })
    }

    /// Runs an operation in the next transaction. Fails at once while the database does not
    /// respond: the writer is then busy finding out whether it is back.
    async fn queue<T: Send + 'static>(
        &self,
        operation: impl FnMut(&mut dyn SqlConnection) -> Result<T, StoreError> + Send + 'static,
        mode: WriteMode,
    ) -> Result<T, StoreError> {
        if let Some(error) = self.database.outage() {
            return Err(error);
        }
        let result = self.writer.run(operation, mode).await;
        result.inspect_err(|error| self.database.note_error(error))
    }

    /// Runs an operation in the next transaction; returns when that is committed.
    async fn write<T: Send + 'static>(
        &self,
        operation: impl FnMut(&mut dyn SqlConnection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.queue(operation, WriteMode::Call).await
    }

    /// Like [`Self::write`], for operations that no call waits for: they do not hold up others.
    async fn write_in_background<T: Send + 'static>(
        &self,
        operation: impl FnMut(&mut dyn SqlConnection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.queue(operation, WriteMode::Background).await
    }

    /// Like [`Self::write`], for changes that do not affect joins: cached joins stay valid.
    async fn write_keeping_cache<T: Send + 'static>(
        &self,
        operation: impl FnMut(&mut dyn SqlConnection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.queue(operation, WriteMode::JoinsStay).await
    }

    /// Like [`Self::write_keeping_cache`], for changes of recordings.
    async fn write_recordings<T: Send + 'static>(
        &self,
        operation: impl FnMut(&mut dyn SqlConnection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let result = self.write_keeping_cache(operation).await;
        // A write that failed may have been committed.
        self.count_cache.record_change();
        result
    }

    /// Writes all counted joins, so that reads see them.
    async fn flush_joins(&self) -> Result<(), StoreError> {
        if self.pending_joins.is_flushed() {
            Ok(())
        } else {
            self.queue(|_| Ok(()), WriteMode::JoinsStay).await
        }
    }

    /// Runs a query whose result depends on joins.
    async fn read_with_joins<T: Send + 'static>(
        &self,
        query: impl Fn(&mut dyn SqlConnection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.flush_joins().await?;
        self.database.read(query).await
    }

    /// Checks that the store can be read and written.
    async fn run_write_check(&self) -> Result<(), StoreError> {
        const WRITE: &str = "INSERT INTO write_check (one, checks) VALUES (1, 1) \
            ON CONFLICT (one) DO UPDATE SET checks = write_check.checks + 1";
        self.database.check_files()?;
        self.queue(|connection| connection.execute(WRITE, &[]), WriteMode::JoinsStay).await?;
        self.database
            .read(|connection| {
                connection
                    .query_first("SELECT checks FROM write_check", &[], |row| row.get::<i64>(0))
            })
            .await
            .map(drop)
    }
}
