//! A connection to SQLite, as the shared statements need it.

use app::ports::StoreError;
use domain::Timestamp;
use rusqlite::types::{ToSql, ToSqlOutput, ValueRef};
use rusqlite::{Connection, params_from_iter};

use super::failure;
use crate::sql::session::{Row, Session, Value};

impl ToSql for Value<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Value::Null => ValueRef::Null,
            Value::Boolean(value) => ValueRef::Integer((*value).into()),
            Value::Integer(value) | Value::Time(Timestamp(value)) => ValueRef::Integer(*value),
            Value::Real(value) => ValueRef::Real(*value),
            Value::Text(value) => ValueRef::Text(value.as_bytes()),
        }))
    }
}

impl Row for rusqlite::Row<'_> {
    fn boolean(&self, column: usize) -> Result<Option<bool>, StoreError> {
        self.get(column).map_err(failure)
    }

    fn integer(&self, column: usize) -> Result<Option<i64>, StoreError> {
        self.get(column).map_err(failure)
    }

    fn real(&self, column: usize) -> Result<Option<f64>, StoreError> {
        self.get(column).map_err(failure)
    }

    fn text(&self, column: usize) -> Result<Option<String>, StoreError> {
        self.get(column).map_err(failure)
    }

    fn time(&self, column: usize) -> Result<Option<Timestamp>, StoreError> {
        Ok(self.integer(column)?.map(Timestamp))
    }
}

/// Runs a statement without parameters or rows.
pub(super) fn command(connection: &Connection, sql: &str) -> Result<(), StoreError> {
    let run = || connection.prepare_cached(sql)?.execute([]);
    run().map(drop).map_err(failure)
}

impl Session for Connection {
    fn execute(&mut self, sql: &str, values: &[Value<'_>]) -> Result<u64, StoreError> {
        let mut statement = self.prepare_cached(sql).map_err(failure)?;
        let written = statement.execute(params_from_iter(values)).map_err(failure)?;
        Ok(u64::try_from(written).unwrap_or(u64::MAX))
    }

    fn visit(
        &mut self,
        sql: &str,
        values: &[Value<'_>],
        visitor: &mut dyn FnMut(&dyn Row) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let mut statement = self.prepare_cached(sql).map_err(failure)?;
        let mut rows = statement.query(params_from_iter(values)).map_err(failure)?;
        while let Some(row) = rows.next().map_err(failure)? {
            visitor(row)?;
        }
        Ok(())
    }

    fn begin_reading(&mut self) -> Result<(), StoreError> {
        command(self, "BEGIN DEFERRED")
    }

    fn end_reading(&mut self) -> Result<(), StoreError> {
        command(self, "COMMIT")
    }

    fn mark(&mut self) -> Result<(), StoreError> {
        // A full disk may have undone the transaction; a savepoint would then begin another one.
        if self.is_autocommit() {
            return Err(StoreError::Unavailable("the transaction was undone".to_owned()));
        }
        command(self, "SAVEPOINT operation")
    }

    fn keep(&mut self) -> Result<(), StoreError> {
        command(self, "RELEASE operation")
    }

    fn undo(&mut self) -> Result<(), StoreError> {
        command(self, "ROLLBACK TO operation")?;
        self.keep()
    }
}
