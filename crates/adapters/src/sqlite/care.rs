//! The port [`EmbeddedStore`]: checks of the whole file, and the marks that say that it had servers.

use std::path::Path;

use app::blocking::STORE_CHECKS;
use app::ports::{EmbeddedStore, StoreError};
use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension as _};

use super::marks::Marks;
use super::{SqliteStore, connect, to_store_error};

/// The number of problems that an integrity check lists.
const MAX_COMPLAINTS: usize = 3;

#[async_trait]
impl EmbeddedStore for SqliteStore {
    async fn check_integrity(&self) -> Result<(), StoreError> {
        let path = self.database.path.clone();
        let check = move || connect(&path).and_then(|connection| find_damage(&connection));
        let found = STORE_CHECKS.run(check).await;
        let found = found.map_err(|error| StoreError::Unavailable(error.to_string()))?;
        let damage = match found {
            Ok(damage) => damage,
            Err(StoreError::Corrupt(reason)) => Some(reason),
            Err(error) => return Err(error),
        };
        self.database.file.note_check(damage.clone());
        damage.map_or(Ok(()), |damage| Err(StoreError::Corrupt(damage)))
    }

    fn is_suspect(&self) -> bool {
        self.database.file.is_suspect()
    }

    async fn update_mark(&self) -> Result<(), StoreError> {
        let connection = connect(&self.database.path)?;
        let (Some(id), true) = read_id_and_servers(&connection)? else {
            return Ok(());
        };
        let failed = |error: std::io::Error| StoreError::Unavailable(error.to_string());
        Marks::of_store(&self.database.path).write(&id).map_err(failed)
    }

    async fn check_not_lost(&self, accept_empty: bool) -> Result<(), StoreError> {
        let marks = Marks::of_store(&self.database.path);
        let Some((marked, mark)) = marks.read() else { return Ok(()) };
        let (id, has_servers) = read_id_and_servers(&connect(&self.database.path)?)?;
        if has_servers || id.as_deref() == Some(&*marked) {
            return Ok(());
        }
        if accept_empty {
            tracing::warn!("the store is empty and had servers: accepted");
            let failed = |error: std::io::Error| StoreError::Unavailable(error.to_string());
            return marks.remove().map_err(failed);
        }
        Err(lost_error(&mark))
    }
}

impl SqliteStore {
    /// Checks, before a store is created, that there was none with servers.
    ///
    /// # Errors
    /// [`StoreError::Lost`] if there was.
    pub fn check_may_create(path: &Path) -> Result<(), StoreError> {
        match Marks::of_store(path).read() {
            Some((_, mark)) => Err(lost_error(&mark)),
            None => Ok(()),
        }
    }
}

fn lost_error(mark: &Path) -> StoreError {
    StoreError::Lost(format!(
        "it is empty, but had servers, as {} says: put back the data directory or a backup of it, \
         or start once with `scalelite serve --accept-empty`",
        mark.display()
    ))
}

/// Returns the id of the store, and whether it has servers.
fn read_id_and_servers(connection: &Connection) -> Result<(Option<String>, bool), StoreError> {
    let id = connection.query_row("SELECT id FROM store_id", [], |row| row.get(0)).optional();
    let servers = "SELECT EXISTS (SELECT 1 FROM servers)";
    let has_servers = connection.query_row(servers, [], |row| row.get(0));
    Ok((id.map_err(to_store_error)?, has_servers.map_err(to_store_error)?))
}

/// Returns what `quick_check` finds; `None` if the file is whole.
pub(super) fn find_damage(connection: &Connection) -> Result<Option<String>, StoreError> {
    let check = || -> rusqlite::Result<Vec<String>> {
        let mut statement = connection.prepare("PRAGMA quick_check(10)")?;
        statement.query_map([], |row| row.get(0))?.collect()
    };
    let problems = check().map_err(to_store_error)?;
    if problems == ["ok"] {
        return Ok(None);
    }
    Ok(Some(problems.into_iter().take(MAX_COMPLAINTS).collect::<Vec<_>>().join("; ")))
}
