//! A connection to PostgreSQL with blocking calls. Every response has a time limit; the blocking
//! client of the library has none, so that a server that is reachable and silent (a paused
//! container, a lost route) would block a thread for ever.

use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use app::ports::StoreError;
use futures_util::future::join;
use tokio::runtime::Runtime;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Error, SimpleQueryMessage, Statement};

use super::deferred::Deferred;
use super::dialect::translate;
use super::errors::to_store_error;
use super::types::{PgRow, TypedValue};
use crate::sql::connection::{SqlConnection, SqlRow, SqlValue};

/// Whether a connection can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ConnectionState {
    /// The connection can be used.
    Open,
    /// The connection is closed; a new one may be opened at once.
    Closed,
    /// The server did not respond in time.
    Silent,
}

/// A connection. It belongs to one thread at a time, which must not be a worker of an async
/// runtime.
pub(super) struct PgConnection {
    /// Dropped before the runtime, which runs the task that drives the connection.
    client: Arc<Client>,
    runtime: Runtime,
    /// Statements that are sent before the next call, and whose results are awaited with it.
    deferred: Deferred,
    /// Prepared statements by their texts.
    statements: HashMap<String, Statement>,
    response_timeout: Duration,
    state: ConnectionState,
    /// Whether the transaction can no longer be committed.
    is_failed: bool,
    /// Whether a savepoint is sent before the next statement. Both are sent together, and an
    /// operation without statements sends nothing.
    needs_savepoint: bool,
    /// Whether the operations of the transaction have savepoints. Then no statement is deferred: its error
    /// would be that of another operation.
    uses_savepoints: bool,
}

/// The number of prepared statements that a connection caches: more than the program has, without
/// the variants of searches.
const MAX_STATEMENTS: usize = 400;
const SAVEPOINT: &str = "SAVEPOINT operation";

impl PgConnection {
    pub(super) fn new(client: Client, runtime: Runtime, response_timeout: Duration) -> Self {
        Self {
            client: Arc::new(client),
            runtime,
            deferred: Deferred::default(),
            statements: HashMap::new(),
            response_timeout,
            state: ConnectionState::Open,
            is_failed: false,
            needs_savepoint: false,
            uses_savepoints: false,
        }
    }

    pub(super) fn state(&self) -> ConnectionState {
        self.state
    }

    /// Sets the time limit of responses.
    pub(super) fn set_response_timeout(&mut self, timeout: Duration) {
        self.response_timeout = timeout;
    }

    /// Runs statements that have no parameters and return no rows.
    pub(super) fn execute_batch(&mut self, sql: &str) -> Result<(), StoreError> {
        self.require_open()?;
        let client = self.client.clone();
        self.send(async move { client.batch_execute(sql).await })
    }

    /// Returns the first value of the first row as text, without preparing the statement; empty without a row.
    pub(super) fn read_unprepared(&mut self, sql: &str) -> Result<String, StoreError> {
        self.require_open()?;
        let client = self.client.clone();
        let messages = self.send(async move { client.simple_query(sql).await })?;
        let value = messages.iter().find_map(|message| match message {
            SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
            _ => None,
        });
        Ok(value.unwrap_or_default())
    }

    /// Sends the deferred statements and then a call, and waits for all of them.
    fn send<T>(&mut self, call: impl Future<Output = Result<T, Error>>) -> Result<T, StoreError> {
        let call = self.deferred.send_before(call);
        let outcome = run_with_timeout(&self.runtime, self.response_timeout, call);
        self.check_outcome(outcome)
    }

    /// Runs statements that begin a transaction.
    pub(super) fn begin(&mut self, sql: &str) -> Result<(), StoreError> {
        self.uses_savepoints = false;
        let begun = self.execute_batch(sql);
        self.is_failed = begun.is_err();
        begun
    }

    /// Commits the transaction. One that has failed is rolled back instead.
    pub(super) fn commit(&mut self) -> Result<(), StoreError> {
        // PostgreSQL reports no error for COMMIT in a failed transaction.
        if self.is_failed {
            self.execute_batch("ROLLBACK")?;
            return Err(StoreError::Unavailable("PostgreSQL: the transaction failed".to_owned()));
        }
        self.execute_batch("COMMIT")
    }

    /// Returns the value of a call. After an error, records whether the transaction and the
    /// connection can still be used.
    fn check_outcome<T>(&mut self, outcome: TimedResult<T>) -> Result<T, StoreError> {
        let error = match outcome {
            Ok(Ok(value)) => return Ok(value),
            Ok(Err(error)) => error,
            Err(DeadlinePassed) => {
                self.state = ConnectionState::Silent;
                let ms = self.response_timeout.as_millis();
                let text = format!("PostgreSQL: no response within {ms} ms");
                return Err(StoreError::Unavailable(text));
            }
        };
        self.is_failed = true;
        // A prepared statement no longer fits its tables, or the server has ended the connection.
        const CONNECTION_LOST: [SqlState; 4] = [
            SqlState::FEATURE_NOT_SUPPORTED,
            SqlState::ADMIN_SHUTDOWN,
            SqlState::CRASH_SHUTDOWN,
            SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT,
        ];
        let is_lost = error.code().is_some_and(|code| CONNECTION_LOST.contains(code));
        if is_lost || error.is_closed() || self.client.is_closed() {
            self.state = ConnectionState::Closed;
        }
        Err(to_store_error(&error))
    }

    /// Fails if the connection is closed or silent, without waiting for the server again.
    fn require_open(&self) -> Result<(), StoreError> {
        let lost_error = || StoreError::Unavailable("PostgreSQL: connection lost".to_owned());
        if self.state == ConnectionState::Open { Ok(()) } else { Err(lost_error()) }
    }

    fn take_savepoint(&mut self) -> bool {
        std::mem::take(&mut self.needs_savepoint)
    }

    fn prepare(&mut self, sql: &str) -> Result<Statement, StoreError> {
        self.require_open()?;
        if let Some(statement) = self.statements.get(sql) {
            return Ok(statement.clone());
        }
        if std::mem::take(&mut self.needs_savepoint) {
            // A statement that cannot be prepared fails the transaction, too.
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

/// The server did not respond in time.
struct DeadlinePassed;
type TimedResult<T> = Result<Result<T, Error>, DeadlinePassed>;

fn run_with_timeout<T>(
    runtime: &Runtime,
    timeout: Duration,
    call: impl Future<Output = Result<T, Error>>,
) -> TimedResult<T> {
    runtime
        .block_on(async { tokio::time::timeout(timeout, call).await })
        .map_err(|_| DeadlinePassed)
}

/// Sends a savepoint before a call without waiting for its response.
async fn send_after_savepoint<T>(
    client: &Client,
    needs_savepoint: bool,
    call: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    if !needs_savepoint {
        return call.await;
    }
    // join() polls its first future first, so the savepoint is sent first.
    let (savepoint, result) = join(client.batch_execute(SAVEPOINT), call).await;
    savepoint.and(result)
}

/// Wraps parameters for the client library.
fn to_typed_values<'a>(values: &[SqlValue<'a>]) -> Vec<TypedValue<'a>> {
    values.iter().copied().map(TypedValue).collect()
}

fn to_references<'a>(typed: &'a [TypedValue<'a>]) -> Vec<&'a (dyn ToSql + Sync)> {
    typed.iter().map(|value| value as _).collect()
}

/// Whether a parameter contains NUL. PostgreSQL does not store NUL in text, so such a text equals
/// no stored one.
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
        let (client, needs_savepoint) = (self.client.clone(), self.take_savepoint());
        let call = client.execute(&statement, &references);
        self.send(send_after_savepoint(&client, needs_savepoint, call))
    }

    fn execute_later(&mut self, sql: &str, values: &[SqlValue<'_>]) -> Result<(), StoreError> {
        if self.uses_savepoints || holds_nul(values) {
            return self.execute(sql, values).map(drop);
        }
        if self.deferred.is_full() {
            self.flush()?;
        }
        let statement = self.prepare(sql)?;
        self.deferred.add(self.client.clone(), statement, values);
        Ok(())
    }

    fn flush(&mut self) -> Result<(), StoreError> {
        if self.deferred.is_empty() { Ok(()) } else { self.send(async { Ok(()) }) }
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
        let (client, needs_savepoint) = (self.client.clone(), self.take_savepoint());
        let call = client.query(&statement, &references);
        let rows = self.send(send_after_savepoint(&client, needs_savepoint, call))?;
        rows.into_iter().try_for_each(|row| visitor(&PgRow(row)))
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
        self.uses_savepoints = true;
        Ok(())
    }

    fn release_savepoint(&mut self) -> Result<(), StoreError> {
        // Not sent, which saves a round trip: the next savepoint of this name hides this one, and
        // the commit releases all.
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
