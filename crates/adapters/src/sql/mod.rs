//! The ports on SQL, once for all databases: what each method does within one transaction, the
//! thread that writes, and what joins remember. A database brings its connections
//! ([`session::Session`]), its way to read ([`Database`]) and its transactions ([`writer::Link`]).

mod callbacks;
mod cluster;
mod endings;
mod facts;
mod history;
mod imports;
mod journeys;
mod library;
mod mark;
mod meetings;
mod outbox;
mod places;
mod polls;
mod recordings;
mod rows;
mod search;
mod servers;
pub(crate) mod session;
mod statement;
mod tenants;
mod tokens;
mod totals;
mod trash;
mod turns;
pub(crate) mod writer;
mod yaml;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use app::ports::StoreError;

use crate::joins::Joins;
use crate::memory::Memory;

use self::session::Session;
use self::writer::{Link, Writer};

pub(crate) use crate::memory::Sign;

/// A database as the ports need it.
pub trait Database: Send + Sync + 'static {
    /// Reads; what it reads may be read twice if a connection turns out to be broken.
    fn read<T: Send + 'static>(
        &self,
        query: impl Fn(&mut dyn Session) -> Result<T, StoreError> + Send + 'static,
    ) -> impl Future<Output = Result<T, StoreError>> + Send;

    /// Why nobody should wait for it now; nothing if it is there, for all that is known.
    fn closed(&self) -> Option<StoreError>;

    /// The sign of now.
    fn sign(&self) -> Sign;

    /// How `after` is compared with what is stored, where the database stores less than Rust does.
    fn comparable<'a>(&self, text: &'a str) -> &'a str;
}

/// A store in a database.
pub struct SqlStore<D> {
    pub(crate) database: D,
    writer: Writer,
    joins: Arc<Joins>,
    memory: Memory,
    totals: totals::Totals,
}

impl<D: Database> SqlStore<D> {
    /// Starts the thread that writes, under that name. Callers wait no longer than `patience`.
    pub(crate) fn start(
        database: D,
        link: impl Link,
        name: &str,
        patience: Option<Duration>,
    ) -> Result<Self, StoreError> {
        let joins = Arc::new(Joins::default());
        let writer = Writer::start(link, joins.clone(), name, patience)?;
        let (memory, totals) = (Memory::default(), totals::Totals::default());
        Ok(Self { database, writer, joins, memory, totals })
    }

    /// Has something done in the next transaction. What the writer is busy with while the database is
    /// silent is finding out when it is back: nobody waits behind it for that.
    async fn queue<T: Send + 'static>(
        &self,
        operation: impl FnOnce(&mut dyn Session) -> Result<T, StoreError> + Send + 'static,
        changes: bool,
    ) -> Result<T, StoreError> {
        match self.database.closed() {
            Some(error) => Err(error),
            None => self.writer.run(operation, changes).await,
        }
    }

    /// Writes in the next transaction; returns when it is on disk.
    async fn write<T: Send + 'static>(
        &self,
        operation: impl FnOnce(&mut dyn Session) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.queue(operation, true).await
    }

    /// The same, where joins have nothing to do with what changes.
    async fn write_apart<T: Send + 'static>(
        &self,
        operation: impl FnOnce(&mut dyn Session) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.queue(operation, false).await
    }

    /// The same, where recordings change.
    async fn write_recordings<T: Send + 'static>(
        &self,
        operation: impl FnOnce(&mut dyn Session) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let written = self.write_apart(operation).await;
        // Also if it failed: then nobody knows whether it was written.
        self.totals.forget();
        written
    }

    /// Makes reads see every join that was counted.
    async fn settle_joins(&self) -> Result<(), StoreError> {
        if self.joins.settled() { Ok(()) } else { self.queue(|_| Ok(()), false).await }
    }

    /// Reads what joins are part of.
    async fn read_settled<T: Send + 'static>(
        &self,
        query: impl Fn(&mut dyn Session) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.settle_joins().await?;
        self.database.read(query).await
    }

    /// Whether the store can be read and written now.
    async fn probe(&self) -> Result<(), StoreError> {
        const WRITE: &str = "INSERT INTO probe (one, at) VALUES (1, 1) \
            ON CONFLICT (one) DO UPDATE SET at = probe.at + 1";
        self.queue(|session| session.execute(WRITE, &[]), false).await?;
        self.database
            .read(|session| session.first("SELECT at FROM probe", &[], |row| row.get::<i64>(0)))
            .await
            .map(drop)
    }
}
