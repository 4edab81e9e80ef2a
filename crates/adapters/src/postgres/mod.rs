//! Recordings, and the hot state of deployments without Redis, in PostgreSQL.
//!
//! One thread writes, some read; each has a connection of its own. Nothing is connected before it
//! is needed, and whatever the database does, callers are told in time: statements have a limit at
//! the server, answers have one here, and so has every call.
//!
//! The writers of all processes exclude each other by a lock of the database for the length of a
//! transaction, so that places which different replicas give see each other.

pub mod address;
mod connection;
mod connector;
mod dialect;
mod errors;
mod indexes;
mod inspect;
mod migrations;
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
use self::readers::ReadThreads;
use self::thread_connection::ThreadConnection;
use crate::sql::connection::SqlConnection;
use crate::sql::writer::WriteConnection;
use crate::sql::{Database, Revision, SqlStore};

/// Begins a transaction that excludes other writers. The number is the key of our lock, and means
/// nothing.
const BEGIN: &str = "BEGIN; SELECT pg_advisory_xact_lock(7235433001)";
/// What a call may take longer than an answer.
const CALL_MARGIN: Duration = Duration::from_millis(500);

/// The store in PostgreSQL.
pub type PgStore = SqlStore<PgDatabase>;

/// The database, read from.
pub struct PgDatabase {
    connector: Arc<Connector>,
    readers: ReadThreads,
    /// Counts our own writes, but not those that only count joins. Those of others are seen when
    /// what is remembered grows old.
    writes: Arc<AtomicU64>,
}

impl PgStore {
    /// A store that will connect, and bring the schema up to date, when it is used first.
    ///
    /// # Errors
    /// When TLS cannot be set up (no certificates), or threads cannot be started.
    pub fn new(options: PgOptions) -> Result<Self, StoreError> {
        let door = Connector::new(&options)?;
        let patience = door.response_timeout() + CALL_MARGIN;
        let threads = options.max_connections.saturating_sub(1).max(1);
        let writes = Arc::new(AtomicU64::new(0));
        let readers = ReadThreads::start(&door, threads, patience)?;
        let link = PgWriteConnection {
            connection: ThreadConnection::new(door.clone()),
            writes: writes.clone(),
        };
        Self::start(
            PgDatabase { connector: door, readers, writes },
            link,
            "postgres-writer",
            Some(patience),
        )
    }
}

impl PgStore {
    /// Whether the database has our schema and the original's; for stores that only look.
    ///
    /// # Errors
    /// When it cannot be asked.
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
        // No text that is stored holds NUL: whatever lies after the one lies after the other.
        text.split('\0').next().unwrap_or_default()
    }
}

/// What the writing thread owns.
struct PgWriteConnection {
    connection: ThreadConnection,
    writes: Arc<AtomicU64>,
}

impl WriteConnection for PgWriteConnection {
    /// Other processes wait meanwhile; and as many savepoints are what PostgreSQL keeps at hand.
    const MAX_BATCH: usize = 64;

    fn begin(&mut self) -> Result<&mut dyn SqlConnection, StoreError> {
        self.connection.run(|session| {
            let begun = session.begin(BEGIN);
            if begun.is_err() && session.state() == ConnectionState::Open {
                session.execute_batch("ROLLBACK")?;
            }
            begun
        })?;
        Ok(self.connection.connection()?)
    }

    fn commit(&mut self) -> Result<(), StoreError> {
        let committed = self.connection.connection()?.commit();
        self.connection.discard_if_unusable();
        committed
    }

    fn report_change(&self, seen: bool) {
        if seen {
            self.writes.fetch_add(1, Ordering::Release);
        }
    }
}
