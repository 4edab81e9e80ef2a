//! The embedded store. One thread writes: it takes everything that waits into one transaction, so
//! that a burst of creates costs a few synchronisations of the disk and not hundreds. Reads run
//! beside it on connections of their own (WAL), in the caller's thread, since a point read takes
//! a few microseconds and a thread switch takes more.
//!
//! Other processes (the command line) use the same file at the same time: what is kept here is
//! joins on their way to the disk, and what joins have found since anybody's last change.

mod beacon;
mod inspect;
mod migrations;
mod session;

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use app::ports::StoreError;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use self::beacon::Beacon;
use self::session::command;
use crate::sql::session::Session;
use crate::sql::writer::Link;
use crate::sql::{Database, Sign, SqlStore};

/// How long a connection waits for another process's transaction.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Connections that are kept for reading.
const READERS_MAX: usize = 16;
/// Prepared statements that a connection keeps.
const STATEMENTS_MAX: usize = 96;

/// The embedded store in one file.
pub type SqliteStore = SqlStore<Sqlite>;

/// The file, read from.
pub struct Sqlite {
    path: PathBuf,
    readers: Mutex<Vec<Connection>>,
    beacon: Arc<Beacon>,
}

impl SqliteStore {
    /// Opens the file, creating it (readable by its owner only) and bringing its schema up to date.
    ///
    /// # Errors
    /// When it cannot be opened or written, is no database, or is from a newer version.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        // The files beside it (-wal, -shm) take over its permissions.
        OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(path)
            .map_err(|error| StoreError::Unavailable(format!("{}: {error}", path.display())))?;
        let mut connection = connect(path)?;
        migrations::migrate(&mut connection)?;
        let beacon = Beacon::open(path)
            .map_err(|error| StoreError::Unavailable(format!("{}: {error}", path.display())))?;
        let beacon = Arc::new(beacon);
        let link = WriteLink { connection, beacon: beacon.clone() };
        let database = Sqlite { path: path.to_owned(), readers: Mutex::default(), beacon };
        // It waits no longer than a connection does.
        Self::start(database, link, "sqlite-writer", None)
    }
}

impl Database for Sqlite {
    async fn read<T: Send + 'static>(
        &self,
        query: impl Fn(&mut dyn Session) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let kept = self.readers.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut connection = match kept {
            Some(connection) => connection,
            None => connect(&self.path)?,
        };
        let result = query(&mut connection);
        let mut readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        if readers.len() < READERS_MAX && result.is_ok() {
            readers.push(connection);
        }
        result
    }

    fn closed(&self) -> Option<StoreError> {
        None
    }

    fn sign(&self) -> Sign {
        self.beacon.sign()
    }

    fn comparable<'a>(&self, text: &'a str) -> &'a str {
        text
    }
}

/// What the writing thread owns.
struct WriteLink {
    connection: Connection,
    beacon: Arc<Beacon>,
}

impl Link for WriteLink {
    const BATCH_MAX: usize = 256;

    fn begin(&mut self) -> Result<&mut dyn Session, StoreError> {
        command(&self.connection, "BEGIN IMMEDIATE")?;
        Ok(&mut self.connection)
    }

    fn commit(&mut self) -> Result<(), StoreError> {
        let committed = command(&self.connection, "COMMIT");
        if committed.is_err() && !self.connection.is_autocommit() {
            // The next transaction must be able to begin.
            let _ = command(&self.connection, "ROLLBACK");
        }
        committed
    }

    fn changed(&self, _seen: bool) {
        self.beacon.change();
    }
}

fn connect(path: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let open = || -> rusqlite::Result<Connection> {
        let connection = Connection::open_with_flags(path, flags)?;
        connection.busy_timeout(BUSY_TIMEOUT)?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
        connection.pragma_update(None, "journal_mode", "WAL")?;
        // FULL: what was answered is on disk, also after a power failure.
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "foreign_keys", true)?;
        // Plans must not depend on bound values, or every statement is prepared again at every use.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
        connection.pragma_update(None, "journal_size_limit", 16 << 20)?;
        Ok(connection)
    };
    open().map_err(failure)
}

fn failure(error: rusqlite::Error) -> StoreError {
    use rusqlite::ErrorCode;
    let corrupt = matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)
    ) || matches!(
        error,
        rusqlite::Error::FromSqlConversionFailure(..) | rusqlite::Error::InvalidColumnType(..)
    );
    let text = error.to_string();
    if corrupt { StoreError::Corrupt(text) } else { StoreError::Unavailable(text) }
}
