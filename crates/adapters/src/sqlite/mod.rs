//! The embedded store. One thread writes, see `sql::writer`. Reads run at the same time on
//! connections of their own (WAL), in the caller's thread, since a point read takes a few
//! microseconds and a thread switch takes more.
//!
//! Other processes (the command line) use the same file at the same time. A process therefore keeps
//! in memory only joins that are not written yet, and cached joins, which are valid until any
//! process changes the store.

mod change_counter;
mod connection;
mod inspect;
mod migrations;

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use app::ports::StoreError;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use self::change_counter::ChangeCounter;
use self::connection::run_command;
use crate::sql::connection::SqlConnection;
use crate::sql::writer::WriteConnection;
use crate::sql::{Database, Revision, SqlStore};

/// The time that a connection waits for a transaction of another process.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// The number of idle connections that are kept for reading.
const MAX_READERS: usize = 16;
/// The number of prepared statements that a connection caches.
const MAX_STATEMENTS: usize = 96;

/// The embedded store in one file.
pub type SqliteStore = SqlStore<SqliteDatabase>;

/// The database file and its connections for reading.
pub struct SqliteDatabase {
    path: PathBuf,
    readers: Mutex<Vec<Connection>>,
    change_counter: Arc<ChangeCounter>,
}

impl SqliteStore {
    /// Opens the file, creating it (readable by its owner only) and bringing its schema up to date.
    ///
    /// # Errors
    /// When it cannot be opened or written, is not a database, or has a schema that this program
    /// does not know.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        // SQLite gives the files beside it (-wal, -shm) the same permissions.
        OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(path)
            .map_err(|error| StoreError::Unavailable(format!("{}: {error}", path.display())))?;
        check_compatible(path)?;
        let mut connection = connect(path)?;
        migrations::migrate(&mut connection)?;
        let change_counter = ChangeCounter::open(path)
            .map_err(|error| StoreError::Unavailable(format!("{}: {error}", path.display())))?;
        let change_counter = Arc::new(change_counter);
        let write_connection =
            SqliteWriteConnection { connection, change_counter: change_counter.clone() };
        let database =
            SqliteDatabase { path: path.to_owned(), readers: Mutex::default(), change_counter };
        // Writes need no timeout besides BUSY_TIMEOUT.
        Self::start(database, write_connection, "sqlite-writer", None)
    }
}

impl Database for SqliteDatabase {
    async fn read<T: Send + 'static>(
        &self,
        query: impl Fn(&mut dyn SqlConnection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let idle = self.readers.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut connection = match idle {
            Some(connection) => connection,
            None => connect(&self.path)?,
        };
        let result = query(&mut connection);
        let mut readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        if readers.len() < MAX_READERS && result.is_ok() {
            readers.push(connection);
        }
        result
    }

    fn outage(&self) -> Option<StoreError> {
        None
    }

    fn revision(&self) -> Revision {
        self.change_counter.revision()
    }

    fn to_comparable<'a>(&self, text: &'a str) -> &'a str {
        text
    }
}

/// The connection of the writing thread.
struct SqliteWriteConnection {
    connection: Connection,
    change_counter: Arc<ChangeCounter>,
}

impl WriteConnection for SqliteWriteConnection {
    const MAX_BATCH: usize = 256;

    fn begin(&mut self) -> Result<&mut dyn SqlConnection, StoreError> {
        run_command(&self.connection, "BEGIN IMMEDIATE")?;
        Ok(&mut self.connection)
    }

    fn commit(&mut self) -> Result<(), StoreError> {
        let committed = run_command(&self.connection, "COMMIT");
        if committed.is_err() && !self.connection.is_autocommit() {
            // The failed transaction is still open, and would keep the next one from beginning.
            let _ = run_command(&self.connection, "ROLLBACK");
        }
        committed
    }

    fn report_change(&self, _invalidates_join_cache: bool) {
        self.change_counter.increment();
    }
}

/// Refuses a file with an unknown schema before anything in it is changed.
fn check_compatible(path: &Path) -> Result<(), StoreError> {
    let connection = open_connection(path).map_err(to_store_error)?;
    // Closing the last connection would write the log of another program into its file.
    connection
        .set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)
        .map_err(to_store_error)?;
    migrations::check_compatible(&connection)
}

fn open_connection(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    Ok(connection)
}

fn connect(path: &Path) -> Result<Connection, StoreError> {
    let open = || -> rusqlite::Result<Connection> {
        let connection = open_connection(path)?;
        connection.set_prepared_statement_cache_capacity(MAX_STATEMENTS);
        connection.pragma_update(None, "journal_mode", "WAL")?;
        // FULL: committed transactions survive a power failure.
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "foreign_keys", true)?;
        // Query plans must not depend on parameters, or every statement is prepared again at every
        // use.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
        connection.pragma_update(None, "journal_size_limit", 16 << 20)?;
        Ok(connection)
    };
    open().map_err(to_store_error)
}

fn to_store_error(error: rusqlite::Error) -> StoreError {
    use rusqlite::ErrorCode;
    let is_corrupt = matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)
    ) || matches!(
        error,
        rusqlite::Error::FromSqlConversionFailure(..) | rusqlite::Error::InvalidColumnType(..)
    );
    let text = error.to_string();
    if is_corrupt { StoreError::Corrupt(text) } else { StoreError::Unavailable(text) }
}
