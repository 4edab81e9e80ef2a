//! The servers as the writing connection of an embedded store knows them. Placing a meeting compares all servers, and
//! reading 500 rows takes longer than all else that a create does in its transaction.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use app::ports::StoreError;
use domain::Server;

use super::connection::{SqlConnection, values};
use super::rows::{self, server_columns};

/// More changed rows than this are read together with all others.
const MAX_SINGLE_ROWS: usize = 16;

/// Which rows have changed since they were read.
#[derive(Default)]
struct ServerChanges {
    /// Any row may have changed.
    are_unknown: bool,
    positions: BTreeSet<i64>,
}

/// Takes note of changes of rows. Clones belong to the same cache.
#[derive(Clone)]
pub(crate) struct ServerChangeLog(Arc<Mutex<ServerChanges>>);

impl ServerChangeLog {
    fn lock(&self) -> MutexGuard<'_, ServerChanges> {
        // No holder of the lock can panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Any row may have changed, by another process or since changes were undone.
    pub(crate) fn note_unknown_changes(&self) {
        self.lock().are_unknown = true;
    }

    /// The row with this `position` was added, changed or removed.
    pub(crate) fn note_change(&self, position: i64) {
        self.lock().positions.insert(position);
    }
}

/// All servers in their order, and what has changed.
pub struct ServerCache {
    changes: ServerChangeLog,
    /// `position` of each server, ascending.
    positions: Vec<i64>,
    servers: Vec<Server>,
}

impl Default for ServerCache {
    fn default() -> Self {
        let changes = ServerChanges { are_unknown: true, positions: BTreeSet::new() };
        let changes = ServerChangeLog(Arc::new(Mutex::new(changes)));
        Self { changes, positions: Vec::new(), servers: Vec::new() }
    }
}

impl ServerCache {
    pub(crate) fn change_log(&self) -> ServerChangeLog {
        self.changes.clone()
    }

    /// Returns all servers; reads the rows that have changed.
    pub(super) fn refresh(
        &mut self,
        connection: &mut dyn SqlConnection,
    ) -> Result<&[Server], StoreError> {
        let changes = std::mem::take(&mut *self.changes.lock());
        let refreshed = if changes.are_unknown || changes.positions.len() > MAX_SINGLE_ROWS {
            self.read_all(connection)
        } else {
            changes.positions.iter().try_for_each(|position| self.read_one(connection, *position))
        };
        if refreshed.is_err() {
            self.changes.note_unknown_changes();
        }
        refreshed.map(|()| &self.servers[..])
    }

    fn read_all(&mut self, connection: &mut dyn SqlConnection) -> Result<(), StoreError> {
        const ALL: &str = concat!(
            "SELECT ",
            server_columns!(),
            ", s.position FROM servers s ORDER BY s.position"
        );
        let read = |row: &dyn super::connection::SqlRow| {
            Ok((row.get::<i64>(rows::SERVER_COLUMN_COUNT)?, rows::read_server(row)?))
        };
        (self.positions, self.servers) = connection.query(ALL, &[], read)?.into_iter().unzip();
        Ok(())
    }

    fn read_one(
        &mut self,
        connection: &mut dyn SqlConnection,
        position: i64,
    ) -> Result<(), StoreError> {
        const ONE: &str =
            concat!("SELECT ", server_columns!(), " FROM servers s WHERE s.position = ?1");
        let server = connection.query_first(ONE, values![position], rows::read_server)?;
        match (self.positions.binary_search(&position), server) {
            (Ok(index), Some(server)) => self.servers[index] = server,
            (Ok(index), None) => {
                self.positions.remove(index);
                self.servers.remove(index);
            }
            (Err(index), Some(server)) => {
                self.positions.insert(index, position);
                self.servers.insert(index, server);
            }
            (Err(_), None) => {}
        }
        Ok(())
    }
}
