//! The database connection of one thread: opened when it is needed, and opened again when it is
//! broken.

use std::sync::Arc;

use app::ports::StoreError;

use super::connection::{ConnectionState, PgConnection};
use super::connector::Connector;

/// The connection of one thread, if one is open.
pub(super) struct ThreadConnection {
    connector: Arc<Connector>,
    connection: Option<PgConnection>,
}

impl ThreadConnection {
    pub(super) fn new(connector: Arc<Connector>) -> Self {
        Self { connector, connection: None }
    }

    /// Runs a query. If a connection that was open before turns out to be closed, the query is run
    /// a second time on a new one.
    pub(super) fn run<T>(
        &mut self,
        query: impl Fn(&mut PgConnection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        if self.connector.is_silent() {
            self.connection = None;
        }
        let was_open = self.connection.is_some();
        let result = query(self.connection()?);
        match self.discard_if_unusable() {
            ConnectionState::Closed if was_open && result.is_err() => {
                let result = query(self.connection()?);
                self.discard_if_unusable();
                result
            }
            _ => result,
        }
    }

    /// Returns the connection; opens one if there is none.
    pub(super) fn connection(&mut self) -> Result<&mut PgConnection, StoreError> {
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.connector.open_connection()?,
        };
        Ok(self.connection.insert(connection))
    }

    /// Drops the connection if it cannot be used any more; returns its state.
    pub(super) fn discard_if_unusable(&mut self) -> ConnectionState {
        let state = self.connection.as_ref().map_or(ConnectionState::Closed, PgConnection::state);
        if state != ConnectionState::Open {
            self.connection = None;
        }
        if state == ConnectionState::Silent {
            self.connector.report_silence();
        }
        state
    }
}
