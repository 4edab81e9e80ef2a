//! A thread's place at the database: the connection it keeps, and how it gets another one.

use std::sync::Arc;

use app::ports::StoreError;

use super::door::Door;
use super::session::{PgSession, State};

/// A thread's connection, if it has one.
pub(super) struct Seat {
    door: Arc<Door>,
    session: Option<PgSession>,
}

impl Seat {
    pub(super) fn new(door: Arc<Door>) -> Self {
        Self { door, session: None }
    }

    /// Runs what may be run twice: if a connection that was kept turns out to be closed, a new one
    /// gets a chance.
    pub(super) fn run<T>(
        &mut self,
        query: impl Fn(&mut PgSession) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        if self.door.is_silent() {
            self.session = None;
        }
        let kept = self.session.is_some();
        let result = query(self.session()?);
        match self.check() {
            State::Closed if kept && result.is_err() => {
                let result = query(self.session()?);
                self.check();
                result
            }
            _ => result,
        }
    }

    /// The connection.
    pub(super) fn session(&mut self) -> Result<&mut PgSession, StoreError> {
        let session = match self.session.take() {
            Some(session) => session,
            None => self.door.enter()?,
        };
        Ok(self.session.insert(session))
    }

    /// Gives up a connection that is of no more use.
    pub(super) fn check(&mut self) -> State {
        let state = self.session.as_ref().map_or(State::Closed, PgSession::state);
        if state != State::Open {
            self.session = None;
        }
        if state == State::Silent {
            self.door.report_silence();
        }
        state
    }
}
