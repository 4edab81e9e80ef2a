//! A connection to PostgreSQL for code that waits. Every answer has a deadline of its own, which is
//! why this is not the blocking client of the library: a server that is there and silent (a paused
//! container, a lost route) must not keep a thread for ever.

use std::collections::HashMap;
use std::future::Future;
use std::time::Duration;

use app::ports::StoreError;
use futures_util::future::join;
use tokio::runtime::Runtime;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Error, Statement};

use super::dialect::translated;
use super::errors::failure;
use super::types::{Found, Typed};
use crate::sql::session::{Row, Session, Value};

/// What became of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// It can be used.
    Open,
    /// It is closed; a new one may be to be had at once.
    Closed,
    /// There was no answer in time.
    Silent,
}

/// A connection. It belongs to one thread at a time, which must not be one of a runtime's workers.
pub(super) struct PgSession {
    /// Dropped before the runtime in which its other end lives.
    client: Client,
    runtime: Runtime,
    /// Prepared statements by their text.
    prepared: HashMap<String, Statement>,
    patience: Duration,
    state: State,
    /// Whether the transaction can no longer be committed.
    spoiled: bool,
    /// Whether the next statement is to be marked. Mark and statement travel together, and an
    /// operation without statements costs nothing.
    marking: bool,
}

/// Statements that a connection keeps: more than the program has, apart from the forms that searches take.
const STATEMENTS_MAX: usize = 400;
const MARK: &str = "SAVEPOINT operation";

impl PgSession {
    pub(super) fn new(client: Client, runtime: Runtime, patience: Duration) -> Self {
        let (prepared, state) = (HashMap::new(), State::Open);
        Self { client, runtime, prepared, patience, state, spoiled: false, marking: false }
    }

    pub(super) fn state(&self) -> State {
        self.state
    }

    /// Waits so long for an answer from now on.
    pub(super) fn set_patience(&mut self, patience: Duration) {
        self.patience = patience;
    }

    /// Runs statements without parameters or rows.
    pub(super) fn batch(&mut self, sql: &str) -> Result<(), StoreError> {
        self.must_be_open()?;
        let call = self.client.batch_execute(sql);
        let outcome = in_time(&self.runtime, self.patience, call);
        self.settled(outcome)
    }

    /// Begins a transaction and runs a statement in it, in one go.
    pub(super) fn begin(&mut self, sql: &str) -> Result<(), StoreError> {
        let begun = self.batch(sql);
        self.spoiled = begun.is_err();
        begun
    }

    /// Commits, or undoes what cannot be committed.
    pub(super) fn commit(&mut self) -> Result<(), StoreError> {
        // PostgreSQL answers a COMMIT of a failed transaction without an error.
        if self.spoiled {
            self.batch("ROLLBACK")?;
            return Err(StoreError::Unavailable("PostgreSQL: the transaction failed".to_owned()));
        }
        self.batch("COMMIT")
    }

    /// The value of a call, or why there is none.
    fn settled<T>(&mut self, outcome: Outcome<T>) -> Result<T, StoreError> {
        let error = match outcome {
            Ok(Ok(value)) => return Ok(value),
            Ok(Err(error)) => error,
            Err(Late) => {
                self.state = State::Silent;
                let ms = self.patience.as_millis();
                let text = format!("PostgreSQL: no answer within {ms} ms");
                return Err(StoreError::Unavailable(text));
            }
        };
        self.spoiled = true;
        // Prepared for tables that are others now, or ended by an administrator.
        const OVER: [SqlState; 4] = [
            SqlState::FEATURE_NOT_SUPPORTED,
            SqlState::ADMIN_SHUTDOWN,
            SqlState::CRASH_SHUTDOWN,
            SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT,
        ];
        let over = error.code().is_some_and(|code| OVER.contains(code));
        if over || error.is_closed() || self.client.is_closed() {
            self.state = State::Closed;
        }
        Err(failure(&error))
    }

    /// Once is enough to wait for somebody who does not answer.
    fn must_be_open(&self) -> Result<(), StoreError> {
        let lost = || StoreError::Unavailable("PostgreSQL: connection lost".to_owned());
        if self.state == State::Open { Ok(()) } else { Err(lost()) }
    }

    fn prepared(&mut self, sql: &str) -> Result<Statement, StoreError> {
        self.must_be_open()?;
        if let Some(statement) = self.prepared.get(sql) {
            return Ok(statement.clone());
        }
        if std::mem::take(&mut self.marking) {
            // What cannot be prepared spoils the transaction as well.
            self.batch(MARK)?;
        }
        let text = translated(sql);
        let outcome = in_time(&self.runtime, self.patience, self.client.prepare(&text));
        let statement = self.settled(outcome)?;
        if self.prepared.len() >= STATEMENTS_MAX {
            self.prepared.clear();
        }
        self.prepared.insert(sql.to_owned(), statement.clone());
        Ok(statement)
    }
}

/// There was no answer in time.
struct Late;
type Outcome<T> = Result<Result<T, Error>, Late>;

fn in_time<T>(
    runtime: &Runtime,
    patience: Duration,
    call: impl Future<Output = Result<T, Error>>,
) -> Outcome<T> {
    runtime.block_on(async { tokio::time::timeout(patience, call).await }).map_err(|_| Late)
}

/// Sends a mark before a call without waiting for it.
async fn marked<T>(
    client: &Client,
    mark: bool,
    call: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    if !mark {
        return call.await;
    }
    // The one that is asked first is sent first.
    let (marked, answer) = join(client.batch_execute(MARK), call).await;
    marked.and(answer)
}

/// The values of a call, as the library wants them.
fn typed<'a>(values: &[Value<'a>]) -> Vec<Typed<'a>> {
    values.iter().copied().map(Typed).collect()
}

fn references<'a>(typed: &'a [Typed<'a>]) -> Vec<&'a (dyn ToSql + Sync)> {
    typed.iter().map(|one| one as _).collect()
}

/// PostgreSQL stores no NUL within text: such a text is equal to none that is there.
fn holds_nul(values: &[Value<'_>]) -> bool {
    values.iter().any(|value| matches!(value, Value::Text(text) if text.contains('\0')))
}

fn deletes(sql: &str) -> bool {
    sql.starts_with("DELETE")
}

impl Session for PgSession {
    fn execute(&mut self, sql: &str, values: &[Value<'_>]) -> Result<u64, StoreError> {
        if holds_nul(values) {
            let text = "PostgreSQL: text that holds NUL cannot be stored";
            return if deletes(sql) {
                Ok(0)
            } else {
                Err(StoreError::Unavailable(text.to_owned()))
            };
        }
        let statement = self.prepared(sql)?;
        let typed = typed(values);
        let references = references(&typed);
        let call = self.client.execute(&statement, &references);
        let call = marked(&self.client, std::mem::take(&mut self.marking), call);
        let outcome = in_time(&self.runtime, self.patience, call);
        self.settled(outcome)
    }

    fn visit(
        &mut self,
        sql: &str,
        values: &[Value<'_>],
        visitor: &mut dyn FnMut(&dyn Row) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        if holds_nul(values) {
            let text = "PostgreSQL: text that holds NUL cannot be stored";
            let writes = sql.starts_with("INSERT");
            return if writes { Err(StoreError::Unavailable(text.to_owned())) } else { Ok(()) };
        }
        let statement = self.prepared(sql)?;
        let typed = typed(values);
        let references = references(&typed);
        let call = self.client.query(&statement, &references);
        let call = marked(&self.client, std::mem::take(&mut self.marking), call);
        let outcome = in_time(&self.runtime, self.patience, call);
        self.settled(outcome)?.into_iter().try_for_each(|row| visitor(&Found(row)))
    }

    fn begin_reading(&mut self) -> Result<(), StoreError> {
        self.begin("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
    }

    fn end_reading(&mut self) -> Result<(), StoreError> {
        self.commit()
    }

    fn mark(&mut self) -> Result<(), StoreError> {
        self.must_be_open()?;
        self.marking = true;
        Ok(())
    }

    fn keep(&mut self) -> Result<(), StoreError> {
        // The next mark hides this one, and the commit forgets them all: a round trip saved.
        self.marking = false;
        Ok(())
    }

    fn undo(&mut self) -> Result<(), StoreError> {
        if std::mem::take(&mut self.marking) {
            return Ok(());
        }
        self.batch("ROLLBACK TO operation")?;
        self.spoiled = false;
        Ok(())
    }
}
