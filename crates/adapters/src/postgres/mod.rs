//! Recordings, and the hot state of deployments without Redis, in PostgreSQL.
//!
//! One thread writes, some read; each has a connection of its own. Nothing is connected before it
//! is needed, and whatever the database does, callers are told in time: statements have a limit at
//! the server, answers have one here, and so has every call.
//!
//! The writers of all processes exclude each other by a lock of the database for the length of a
//! transaction, so that places which different replicas give see each other.

pub mod address;
mod dialect;
mod door;
mod errors;
mod indexes;
mod inspect;
mod migrations;
mod readers;
mod seat;
mod session;
mod tls;
mod types;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use app::ports::StoreError;

use self::address::PgOptions;
use self::door::Door;
use self::readers::Readers;
use self::seat::Seat;
use self::session::State;
use crate::sql::session::Session;
use crate::sql::writer::Link;
use crate::sql::{Database, Sign, SqlStore};

/// Begins a transaction that excludes other writers. The number is the key of our lock, and means
/// nothing.
const BEGIN: &str = "BEGIN; SELECT pg_advisory_xact_lock(7235433001)";
/// What a call may take longer than an answer.
const CALL_MARGIN: Duration = Duration::from_millis(500);

/// The store in PostgreSQL.
pub type PgStore = SqlStore<Postgres>;

/// The database, read from.
pub struct Postgres {
    door: Arc<Door>,
    readers: Readers,
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
        let door = Door::new(&options)?;
        let patience = door.patience() + CALL_MARGIN;
        let threads = options.pool.saturating_sub(1).max(1);
        let writes = Arc::new(AtomicU64::new(0));
        let readers = Readers::start(&door, threads, patience)?;
        let link = WriteLink { seat: Seat::new(door.clone()), writes: writes.clone() };
        Self::start(Postgres { door, readers, writes }, link, "postgres-writer", Some(patience))
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

impl Database for Postgres {
    async fn read<T: Send + 'static>(
        &self,
        query: impl Fn(&mut dyn Session) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        match self.closed() {
            Some(error) => Err(error),
            None => self.readers.run(query).await,
        }
    }

    fn closed(&self) -> Option<StoreError> {
        self.door.closed()
    }

    fn sign(&self) -> Sign {
        self.writes.load(Ordering::Acquire)
    }

    fn comparable<'a>(&self, text: &'a str) -> &'a str {
        // No text that is stored holds NUL: whatever lies after the one lies after the other.
        text.split('\0').next().unwrap_or_default()
    }
}

/// What the writing thread owns.
struct WriteLink {
    seat: Seat,
    writes: Arc<AtomicU64>,
}

impl Link for WriteLink {
    /// Other processes wait meanwhile; and as many savepoints are what PostgreSQL keeps at hand.
    const BATCH_MAX: usize = 64;

    fn begin(&mut self) -> Result<&mut dyn Session, StoreError> {
        self.seat.run(|session| {
            let begun = session.begin(BEGIN);
            if begun.is_err() && session.state() == State::Open {
                session.batch("ROLLBACK")?;
            }
            begun
        })?;
        Ok(self.seat.session()?)
    }

    fn commit(&mut self) -> Result<(), StoreError> {
        let committed = self.seat.session()?.commit();
        self.seat.check();
        committed
    }

    fn changed(&self, seen: bool) {
        if seen {
            self.writes.fetch_add(1, Ordering::Release);
        }
    }
}
