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

use super::dialect::translate;
use super::errors::to_store_error;
use super::types::{PgRow, TypedValue};
use crate::sql::connection::{SqlConnection, SqlRow, SqlValue};

/// What became of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ConnectionState {
    /// It can be used.
    Open,
    /// It is closed; a new one may be to be had at once.
    Closed,
    /// There was no answer in time.
    Silent,
}

/// A connection. It belongs to one thread at a time, which must not be one of a runtime's workers.
pub(super) struct PgConnection {
    /// Dropped before the runtime in which its other end lives.
    client: Client,
    runtime: Runtime,
    /// Prepared statements by their text.
    statements: HashMap<String, Statement>,
    response_timeout: Duration,
    state: ConnectionState,
    /// Whether the transaction can no longer be committed.
    is_failed: bool,
    /// Whether the next statement is to be marked. Mark and statement travel together, and an
    /// operation without statements costs nothing.
    needs_savepoint: bool,
}

/// Statements that a connection keeps: more than the program has, apart from the forms that searches take.
const MAX_STATEMENTS: usize = 400;
const SAVEPOINT: &str = "SAVEPOINT operation";

impl PgConnection {
    pub(super) fn new(client: Client, runtime: Runtime, patience: Duration) -> Self {
        let (prepared, state) = (HashMap::new(), ConnectionState::Open);
        Self {
            client,
            runtime,
            statements: prepared,
            response_timeout: patience,
            state,
            is_failed: false,
            needs_savepoint: false,
        }
    }

    pub(super) fn state(&self) -> ConnectionState {
        self.state
    }

    /// Waits so long for an answer from now on.
    pub(super) fn set_response_timeout(&mut self, patience: Duration) {
        self.response_timeout = patience;
    }

    /// Runs statements without parameters or rows.
    pub(super) fn execute_batch(&mut self, sql: &str) -> Result<(), StoreError> {
        self.require_open()?;
        let call = self.client.batch_execute(sql);
        let outcome = run_with_timeout(&self.runtime, self.response_timeout, call);
        self.check_outcome(outcome)
    }

    /// Begins a transaction and runs a statement in it, in one go.
    pub(super) fn begin(&mut self, sql: &str) -> Result<(), StoreError> {
        let begun = self.execute_batch(sql);
        self.is_failed = begun.is_err();
        begun
    }

    /// Commits, or undoes what cannot be committed.
    pub(super) fn commit(&mut self) -> Result<(), StoreError> {
        // PostgreSQL answers a COMMIT of a failed transaction without an error.
        if self.is_failed {
            self.execute_batch("ROLLBACK")?;
            return Err(StoreError::Unavailable("PostgreSQL: the transaction failed".to_owned()));
        }
        self.execute_batch("COMMIT")
    }

    /// The value of a call, or why there is none.
    fn check_outcome<T>(&mut self, outcome: TimedResult<T>) -> Result<T, StoreError> {
        let error = match outcome {
            Ok(Ok(value)) => return Ok(value),
            Ok(Err(error)) => error,
            Err(DeadlinePassed) => {
                self.state = ConnectionState::Silent;
                let ms = self.response_timeout.as_millis();
                let text = format!("PostgreSQL: no answer within {ms} ms");
                return Err(StoreError::Unavailable(text));
            }
        };
        self.is_failed = true;
        // Prepared for tables that are others now, or ended by an administrator.
        const CONNECTION_LOST: [SqlState; 4] = [
            SqlState::FEATURE_NOT_SUPPORTED,
            SqlState::ADMIN_SHUTDOWN,
            SqlState::CRASH_SHUTDOWN,
            SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT,
        ];
        let over = error.code().is_some_and(|code| CONNECTION_LOST.contains(code));
        if over || error.is_closed() || self.client.is_closed() {
            self.state = ConnectionState::Closed;
        }
        Err(to_store_error(&error))
    }

    /// Once is enough to wait for somebody who does not answer.
    fn require_open(&self) -> Result<(), StoreError> {
        let lost = || StoreError::Unavailable("PostgreSQL: connection lost".to_owned());
        if self.state == ConnectionState::Open { Ok(()) } else { Err(lost()) }
    }

    fn prepare(&mut self, sql: &str) -> Result<Statement, StoreError> {
        self.require_open()?;
        if let Some(statement) = self.statements.get(sql) {
            return Ok(statement.clone());
        }
        if std::mem::take(&mut self.needs_savepoint) {
            // What cannot be prepared spoils the transaction as well.
            self.execute_batch(SAVEPOINT)?;
        }
        let text = translate(sql);
        let outcome =
            run_with_timeout(&self.runtime, self.response_timeout, self.client.prepare(&text));
        let statement = self.check_outcome(outcome)?;
        if self.statements.len() >= MAX_STATEMENTS {
            self.statements.clear();
        }
        self.statements.insert(sql.to_owned(), statement.clone());
        Ok(statement)
    }
}

/// There was no answer in time.
struct DeadlinePassed;
type TimedResult<T> = Result<Result<T, Error>, DeadlinePassed>;

fn run_with_timeout<T>(
    runtime: &Runtime,
    patience: Duration,
    call: impl Future<Output = Result<T, Error>>,
) -> TimedResult<T> {
    runtime
        .block_on(async { tokio::time::timeout(patience, call).await })
        .map_err(|_| DeadlinePassed)
}

/// Sends a mark before a call without waiting for it.
async fn send_after_savepoint<T>(
    client: &Client,
    mark: bool,
    call: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    if !mark {
        return call.await;
    }
    // The one that is asked first is sent first.
    let (marked, answer) = join(client.batch_execute(SAVEPOINT), call).await;
    marked.and(answer)
}

/// The values of a call, as the library wants them.
fn to_typed_values<'a>(values: &[SqlValue<'a>]) -> Vec<TypedValue<'a>> {
    values.iter().copied().map(TypedValue).collect()
}

fn to_references<'a>(typed: &'a [TypedValue<'a>]) -> Vec<&'a (dyn ToSql + Sync)> {
    typed.iter().map(|one| one as _).collect()
}

/// PostgreSQL stores no NUL within text: such a text is equal to none that is there.
fn holds_nul(values: &[SqlValue<'_>]) -> bool {
    values.iter().any(|value| matches!(value, SqlValue::Text(text) if text.contains('\0')))
}

fn is_delete(sql: &str) -> bool {
    sql.starts_with("DELETE")
}

impl SqlConnection for PgConnection {
    fn execute(&mut self, sql: &str, values: &[SqlValue<'_>]) -> Result<u64, StoreError> {
        if holds_nul(values) {
            let text = "PostgreSQL: text that holds NUL cannot be stored";
            return if is_delete(sql) {
                Ok(0)
            } else {
                Err(StoreError::Unavailable(text.to_owned()))
            };
        }
        let statement = self.prepare(sql)?;
        let typed = to_typed_values(values);
        let references = to_references(&typed);
        let call = self.client.execute(&statement, &references);
        let call =
            send_after_savepoint(&self.client, std::mem::take(&mut self.needs_savepoint), call);
        let outcome = run_with_timeout(&self.runtime, self.response_timeout, call);
        self.check_outcome(outcome)
    }

    fn visit(
        &mut self,
        sql: &str,
        values: &[SqlValue<'_>],
        visitor: &mut dyn FnMut(&dyn SqlRow) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        if holds_nul(values) {
            let text = "PostgreSQL: text that holds NUL cannot be stored";
            let writes = sql.starts_with("INSERT");
            return if writes { Err(StoreError::Unavailable(text.to_owned())) } else { Ok(()) };
        }
        let statement = self.prepare(sql)?;
        let typed = to_typed_values(values);
        let references = to_references(&typed);
        let call = self.client.query(&statement, &references);
        let call =
            send_after_savepoint(&self.client, std::mem::take(&mut self.needs_savepoint), call);
        let outcome = run_with_timeout(&self.runtime, self.response_timeout, call);
        self.check_outcome(outcome)?.into_iter().try_for_each(|row| visitor(&PgRow(row)))
    }

    fn begin_reading(&mut self) -> Result<(), StoreError> {
        self.begin("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
    }

    fn end_reading(&mut self) -> Result<(), StoreError> {
        self.commit()
    }

    fn set_savepoint(&mut self) -> Result<(), StoreError> {
        self.require_open()?;
        self.needs_savepoint = true;
        Ok(())
    }

    fn release_savepoint(&mut self) -> Result<(), StoreError> {
        // The next mark hides this one, and the commit forgets them all: a round trip saved.
        self.needs_savepoint = false;
        Ok(())
    }

    fn roll_back_to_savepoint(&mut self) -> Result<(), StoreError> {
        if std::mem::take(&mut self.needs_savepoint) {
            return Ok(());
        }
        self.execute_batch("ROLLBACK TO operation")?;
        self.is_failed = false;
        Ok(())
    }
}
