//! The store in PostgreSQL: recordings, and the shared state of deployments without Redis.
//!
//! One thread writes and several threads read, each on its own connection, which is opened when it
//! is needed. Statements have a time limit at the server, responses have one in this process, and
//! so has every call.
//!
//! The writers of all processes exclude each other with an advisory lock for the length of a
//! transaction, so that each replica sees the placements of the others.

pub mod address;
mod connection;
mod connector;
mod deferred;
mod dialect;
mod dump;
mod errors;
mod indexes;
mod inspect;
mod migrations;
pub mod original_sample;
mod pooler;
mod readers;
mod thread_connection;
mod tls;
mod types;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use app::ports::StoreError;

use self::address::PgOptions;
use self::connection::ConnectionState;
use self::connector::Connector;
pub(crate) use self::dump::{TableRestore, describe_content, dump_tables};
use self::readers::ReadThreads;
use self::thread_connection::ThreadConnection;
use crate::sql::connection::SqlConnection;
use crate::sql::writer::WriteConnection;
use crate::sql::{Database, Revision, SqlStore};

/// Begins a transaction that excludes other writers. The number is the key of our lock.
const BEGIN: &str = "BEGIN; SELECT pg_advisory_xact_lock(7235433001)";
/// The time that a call may take longer than a response.
const CALL_MARGIN: Duration = Duration::from_millis(500);

/// The store in PostgreSQL.
pub type PgStore = SqlStore<PgDatabase>;

/// The database and the threads that read it.
pub struct PgDatabase {
    connector: Arc<Connector>,
    readers: ReadThreads,
    /// The number of our own writes, without those that only count joins. Cached joins expire, so
    /// that writes of other processes are seen.
    writes: Arc<AtomicU64>,
}

impl PgStore {
    /// Creates a store that connects, and brings the schema up to date, when it is first used.
    ///
    /// # Errors
    /// When TLS cannot be set up (no certificates), or threads cannot be started.
    pub fn new(options: PgOptions) -> Result<Self, StoreError> {
        let connector = Connector::new(&options)?;
        let timeout = connector.response_timeout() + CALL_MARGIN;
        let reader_count = options.max_connections.saturating_sub(1).max(1);
        let writes = Arc::new(AtomicU64::new(0));
        let readers = ReadThreads::start(&connector, reader_count, timeout)?;
        let write_connection = PgWriteConnection {
            connection: ThreadConnection::new(connector.clone()),
            writes: writes.clone(),
        };
        let database = PgDatabase { connector, readers, writes };
        Self::start(database, write_connection, "postgres-writer", Some(timeout))
    }
}

impl PgStore {
    /// Whether the database has our schema and the original's; for read-only stores.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn is_adopted(&self) -> Result<bool, StoreError> {
        match self.database.read(|_| Ok(())).await {
            Ok(()) => Ok(true),
            Err(StoreError::NotAdopted) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

impl Database for PgDatabase {
    async fn read<T: Send + 'static>(
        &self,
        query: impl Fn(&mut dyn SqlConnection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        match self.outage() {
            Some(error) => Err(error),
            None => self.readers.run(query).await,
        }
    }

    fn outage(&self) -> Option<StoreError> {
        self.connector.outage()
    }

    fn revision(&self) -> Revision {
        self.writes.load(Ordering::Acquire)
    }

    fn to_comparable<'a>(&self, text: &'a str) -> &'a str {
        // Stored text contains no NUL: what sorts after the text up to NUL also sorts after the
        // whole text.
        text.split('\0').next().unwrap_or_default()
    }
}

/// The connection of the writing thread.
struct PgWriteConnection {
    connection: ThreadConnection,
    writes: Arc<AtomicU64>,
}

impl WriteConnection for PgWriteConnection {
    /// Other processes wait for the transaction; and PostgreSQL caches 64 subtransactions of a
    /// transaction.
    const MAX_BATCH: usize = 64;

    fn begin(&mut self) -> Result<(), StoreError> {
        self.connection.run(|connection| {
            let begun = connection.begin(BEGIN);
            if begun.is_err() && connection.state() == ConnectionState::Open {
                connection.execute_batch("ROLLBACK")?;
            }
            begun
        })
    }

    fn connection(&mut self) -> Result<&mut dyn SqlConnection, StoreError> {
        Ok(self.connection.connection()?)
    }

    fn roll_back(&mut self) -> Result<(), StoreError> {
        let rolled_back = self.connection.connection()?.execute_batch("ROLLBACK");
        self.connection.discard_if_unusable();
        rolled_back
    }

    fn commit(&mut self) -> Result<(), StoreError> {
        let committed = self.connection.connection()?.commit();
        self.connection.discard_if_unusable();
        committed
    }

    fn report_change(&self, invalidates_join_cache: bool) {
        if invalidates_join_cache {
            self.writes.fetch_add(1, Ordering::Release);
        }
    }
}
