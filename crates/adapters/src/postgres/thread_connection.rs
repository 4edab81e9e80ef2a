//! A thread's place at the database: the connection it keeps, and how it gets another one.

use std::sync::Arc;

use app::ports::StoreError;

use super::connection::{ConnectionState, PgConnection};
use super::connector::Connector;

/// A thread's connection, if it has one.
pub(super) struct ThreadConnection {
    connector: Arc<Connector>,
    connection: Option<PgConnection>,
}

impl ThreadConnection {
    pub(super) fn new(door: Arc<Connector>) -> Self {
        Self { connector: door, connection: None }
    }

    /// Runs what may be run twice: if a connection that was kept turns out to be closed, a new one
    /// gets a chance.
    pub(super) fn run<T>(
        &mut self,
        query: impl Fn(&mut PgConnection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        if self.connector.is_silent() {
            self.connection = None;
        }
        let kept = self.connection.is_some();
        let result = query(self.connection()?);
        match self.discard_if_unusable() {
            ConnectionState::Closed if kept && result.is_err() => {
                let result = query(self.connection()?);
                self.discard_if_unusable();
                result
            }
            _ => result,
        }
    }

    /// The connection.
    pub(super) fn connection(&mut self) -> Result<&mut PgConnection, StoreError> {
        let session = match self.connection.take() {
            Some(session) => session,
            None => self.connector.open_connection()?,
        };
        Ok(self.connection.insert(session))
    }

    /// Gives up a connection that is of no more use.
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
