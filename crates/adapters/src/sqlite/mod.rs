//! The embedded store. One thread writes: it takes everything that waits into one transaction, so
//! that a burst of creates costs a few synchronisations of the disk and not hundreds. Reads run
//! beside it on connections of their own (WAL), in the caller's thread, since a point read takes
//! a few microseconds and a thread switch takes more.
//!
//! Other processes (the command line) use the same file at the same time: what is kept here is
//! joins on their way to the disk, and what joins have found since anybody's last change.

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

/// How long a connection waits for another process's transaction.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Connections that are kept for reading.
const MAX_READERS: usize = 16;
/// Prepared statements that a connection keeps.
const MAX_STATEMENTS: usize = 96;

/// The embedded store in one file.
pub type SqliteStore = SqlStore<SqliteDatabase>;

/// The file, read from.
pub struct SqliteDatabase {
    path: PathBuf,
    readers: Mutex<Vec<Connection>>,
    change_counter: Arc<ChangeCounter>,
}

impl SqliteStore {
    /// Opens the file, creating it (readable by its owner only) and bringing its schema up to date.
    ///
    /// # Errors
    /// When it cannot be opened or written, is not a database, or has a schema that this program does
    /// not know.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        // The files beside it (-wal, -shm) take over its permissions.
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
        let beacon = ChangeCounter::open(path)
            .map_err(|error| StoreError::Unavailable(format!("{}: {error}", path.display())))?;
        let beacon = Arc::new(beacon);
        let link = SqliteWriteConnection { connection, change_counter: beacon.clone() };
        let database = SqliteDatabase {
            path: path.to_owned(),
            readers: Mutex::default(),
            change_counter: beacon,
        };
        // It waits no longer than a connection does.
        Self::start(database, link, "sqlite-writer", None)
    }
}

impl Database for SqliteDatabase {
    async fn read<T: Send + 'static>(
        &self,
        query: impl Fn(&mut dyn SqlConnection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let kept = self.readers.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut connection = match kept {
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

/// What the writing thread owns.
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
            // The next transaction must be able to begin.
            let _ = run_command(&self.connection, "ROLLBACK");
        }
        committed
    }

    fn report_change(&self, _seen: bool) {
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
        // FULL: what was answered is on disk, also after a power failure.
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "foreign_keys", true)?;
        // Plans must not depend on bound values, or every statement is prepared again at every use.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
        connection.pragma_update(None, "journal_size_limit", 16 << 20)?;
        Ok(connection)
    };
    open().map_err(to_store_error)
}

fn to_store_error(error: rusqlite::Error) -> StoreError {
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
