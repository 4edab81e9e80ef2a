//! The embedded store. One thread writes, see `sql::writer`. Reads run at the same time on
//! connections of their own (WAL), in the caller's thread, since a point read takes a few
//! microseconds and a thread switch takes more.
//!
//! Other processes (the command line) use the same file at the same time. A process therefore keeps
//! in memory only joins that are not written yet, and cached joins, which are valid until any
//! process changes the store.

mod care;
mod change_counter;
mod connection;
mod copy;
mod inspect;
mod marks;
mod migrations;
mod store_file;
mod store_lock;
mod write_connection;

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use app::ports::StoreError;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use self::change_counter::ChangeCounter;
pub(crate) use self::copy::{check_copied, copy_store, describe_content};
use self::store_file::StoreFile;
pub(crate) use self::store_lock::{StoreLock, give_to_owner};
use self::write_connection::SqliteWriteConnection;
use crate::backup::{finish_restore, is_restore_unfinished};
use crate::sql::connection::SqlConnection;
use crate::sql::{Database, Revision, SqlStore};

/// The time that a connection waits for a transaction of another process.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Writes must be committed within this time, or their callers are told that they failed.
const WRITE_TIMEOUT: Duration = Duration::from_secs(60);
/// The time without writes after which what was written is moved from the log into the file.
const IDLE_TIME: Duration = Duration::from_secs(1);
/// How long the last such move waits for readers.
const LAST_CHECKPOINT_TIMEOUT: Duration = Duration::from_millis(100);
/// The number of idle connections that are kept for reading.
const MAX_READERS: usize = 16;
/// Restores that may happen while a store is being opened.
const MAX_RESTORES: u32 = 5;
/// The number of prepared statements that a connection caches.
const MAX_STATEMENTS: usize = 96;

/// The embedded store in one file.
pub type SqliteStore = SqlStore<SqliteDatabase>;

/// The database file and its connections for reading.
pub struct SqliteDatabase {
    path: PathBuf,
    readers: Mutex<Vec<Connection>>,
    change_counter: Arc<ChangeCounter>,
    file: Arc<StoreFile>,
}

impl SqliteStore {
    /// Opens the file, creating it (readable by its owner only) and bringing its schema up to date.
    ///
    /// # Errors
    /// When it cannot be opened or written, is not a database, or has a schema that this program
    /// does not know.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let unavailable =
            |error: io::Error| StoreError::Unavailable(format!("{}: {error}", path.display()));
        let lock = share_lock(path)?;
        // SQLite gives the files beside it (-wal, -shm) the same permissions.
        let mut options = OpenOptions::new();
        options.create(true).truncate(false).write(true).mode(0o600);
        options.open(path).map_err(unavailable)?;
        let file = Arc::new(StoreFile::open(path, lock).map_err(unavailable)?);
        check_compatible(path)?;
        let mut connection = connect(path)?;
        migrations::migrate(&mut connection)?;
        let change_counter = Arc::new(ChangeCounter::open(path).map_err(unavailable)?);
        let write_connection =
            SqliteWriteConnection::new(connection, change_counter.clone(), file.clone())?;
        let readers = Mutex::default();
        let database = SqliteDatabase { path: path.to_owned(), readers, change_counter, file };
        Self::start(database, write_connection, "sqlite-writer", Some(WRITE_TIMEOUT))
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
            None => {
                // Connections that are open go on reading a file that was deleted or replaced.
                self.file.check_place()?;
                connect(&self.path)?
            }
        };
        let result = query(&mut connection).inspect_err(|error| self.note_error(error));
        let mut readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        if readers.len() < MAX_READERS && result.is_ok() {
            readers.push(connection);
        }
        result
    }

    fn outage(&self) -> Option<StoreError> {
        None
    }

    fn check_files(&self) -> Result<(), StoreError> {
        self.file.check_quickly()
    }

    fn note_error(&self, error: &StoreError) {
        if matches!(error, StoreError::Corrupt(_)) {
            self.file.note_suspicion();
        }
    }

    fn revision(&self) -> Revision {
        self.change_counter.revision()
    }

    fn to_comparable<'a>(&self, text: &'a str) -> &'a str {
        text
    }
}

/// Shares the lock of the store, once no restore is left to be finished.
fn share_lock(path: &Path) -> Result<StoreLock, StoreError> {
    for _ in 0..MAX_RESTORES {
        finish_restore(path)?;
        let lock = StoreLock::share(path)?;
        // A restore may have happened, and been killed, before this process had the lock.
        if !is_restore_unfinished(path) {
            return Ok(lock);
        }
    }
    Err(StoreError::Unavailable("backups are being restored into this store".to_owned()))
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
