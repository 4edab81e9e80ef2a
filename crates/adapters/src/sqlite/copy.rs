//! Consistent copies of the embedded store, while it is in use.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::Duration;

use app::ports::StoreError;
use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags};

use super::care::find_damage;
use super::{migrations, open_connection, to_store_error};

/// Attempts to copy while another process keeps the file locked.
const MAX_TRIES: u32 = 100;
/// Wait between two of them.
const RETRY_WAIT: Duration = Duration::from_millis(100);

/// Copies a store to a new file that only its owner can read. Writers go on meanwhile.
///
/// # Errors
/// When the store cannot be read or has an unknown schema, the copy cannot be written, or is damaged.
pub(crate) fn copy_store(store: &Path, to: &Path) -> Result<(), StoreError> {
    let unavailable =
        |error: std::io::Error| StoreError::Unavailable(format!("{}: {error}", to.display()));
    if !store.is_file() {
        return Err(StoreError::Unavailable(format!("{}: there is no store", store.display())));
    }
    let source = open_connection(store).map_err(to_store_error)?;
    migrations::check_compatible(&source)?;
    let mut options = OpenOptions::new();
    options.create_new(true).write(true).mode(0o600).open(to).map_err(unavailable)?;
    let mut target = Connection::open(to).map_err(to_store_error)?;
    copy_pages(&source, &mut target)?;
    // Without a log beside it, the copy is one file.
    target.pragma_update(None, "journal_mode", "DELETE").map_err(to_store_error)?;
    check_copy(&target)?;
    target.close().map_err(|(_, error)| to_store_error(error))?;
    std::fs::File::open(to).and_then(|file| file.sync_all()).map_err(unavailable)
}

/// Copies all pages in one step: a copy in several steps begins anew whenever another process writes.
fn copy_pages(source: &Connection, target: &mut Connection) -> Result<(), StoreError> {
    let backup = Backup::new(source, target).map_err(to_store_error)?;
    for _ in 0..MAX_TRIES {
        match backup.step(-1).map_err(to_store_error)? {
            StepResult::Done => return Ok(()),
            _ => std::thread::sleep(RETRY_WAIT),
        }
    }
    Err(StoreError::Unavailable("the store is locked by another process".to_owned()))
}

/// Checks a store that is to be put in place of another one: its schema, and that it is whole.
///
/// # Errors
/// When it cannot be used.
pub(crate) fn check_copied(path: &Path) -> Result<(), StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    check_copy(&Connection::open_with_flags(path, flags).map_err(to_store_error)?)
}

fn check_copy(connection: &Connection) -> Result<(), StoreError> {
    migrations::check_compatible(connection)?;
    find_damage(connection)?.map_or(Ok(()), |damage| Err(StoreError::Corrupt(damage)))
}

/// Describes what a store holds that would be lost if it were replaced; `None` if it holds nothing.
pub(crate) fn describe_content(path: &Path) -> Option<String> {
    if !path.exists() {
        return None;
    }
    let count = |connection: &Connection, table: &str| -> rusqlite::Result<i64> {
        connection.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0))
    };
    let counted = open_connection(path).and_then(|connection| {
        Ok([
            count(&connection, "servers")?,
            count(&connection, "tenants")?,
            count(&connection, "recordings")?,
        ])
    });
    match counted {
        Ok([0, 0, 0]) => None,
        Ok([servers, tenants, recordings]) => {
            Some(format!("{servers} servers, {tenants} tenants and {recordings} recordings"))
        }
        Err(error) => Some(format!("something that cannot be read ({error})")),
    }
}
