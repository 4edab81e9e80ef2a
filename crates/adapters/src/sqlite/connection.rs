//! Implements the interface of the shared statements on a connection to SQLite.

use app::ports::StoreError;
use domain::Timestamp;
use rusqlite::types::{ToSql, ToSqlOutput, ValueRef};
use rusqlite::{Connection, params_from_iter};

use super::to_store_error;
use crate::sql::connection::{SqlConnection, SqlRow, SqlValue};

impl ToSql for SqlValue<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            SqlValue::Null => ValueRef::Null,
            SqlValue::Boolean(value) => ValueRef::Integer((*value).into()),
            SqlValue::Integer(value) | SqlValue::Time(Timestamp(value)) => {
                ValueRef::Integer(*value)
            }
            SqlValue::Real(value) => ValueRef::Real(*value),
            SqlValue::Text(value) => ValueRef::Text(value.as_bytes()),
        }))
    }
}

impl SqlRow for rusqlite::Row<'_> {
    fn boolean(&self, column: usize) -> Result<Option<bool>, StoreError> {
        self.get(column).map_err(to_store_error)
    }

    fn integer(&self, column: usize) -> Result<Option<i64>, StoreError> {
        self.get(column).map_err(to_store_error)
    }

    fn real(&self, column: usize) -> Result<Option<f64>, StoreError> {
        self.get(column).map_err(to_store_error)
    }

    fn text(&self, column: usize) -> Result<Option<String>, StoreError> {
        self.get(column).map_err(to_store_error)
    }

    fn time(&self, column: usize) -> Result<Option<Timestamp>, StoreError> {
        Ok(self.integer(column)?.map(Timestamp))
    }
}

/// Runs a statement that has no parameters and returns no rows.
pub(super) fn run_command(connection: &Connection, sql: &str) -> Result<(), StoreError> {
    let run = || connection.prepare_cached(sql)?.execute([]);
    run().map(drop).map_err(to_store_error)
}

impl SqlConnection for Connection {
    fn execute(&mut self, sql: &str, values: &[SqlValue<'_>]) -> Result<u64, StoreError> {
        let mut statement = self.prepare_cached(sql).map_err(to_store_error)?;
        let written = statement.execute(params_from_iter(values)).map_err(to_store_error)?;
        Ok(u64::try_from(written).unwrap_or(u64::MAX))
    }

    fn visit(
        &mut self,
        sql: &str,
        values: &[SqlValue<'_>],
        visitor: &mut dyn FnMut(&dyn SqlRow) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let mut statement = self.prepare_cached(sql).map_err(to_store_error)?;
        let mut rows = statement.query(params_from_iter(values)).map_err(to_store_error)?;
        while let Some(row) = rows.next().map_err(to_store_error)? {
            visitor(row)?;
        }
        Ok(())
    }

    fn begin_reading(&mut self) -> Result<(), StoreError> {
        run_command(self, "BEGIN DEFERRED")
    }

    fn end_reading(&mut self) -> Result<(), StoreError> {
        run_command(self, "COMMIT")
    }

    fn set_savepoint(&mut self) -> Result<(), StoreError> {
        // SQLite rolls back the transaction when the disk is full; a savepoint would then begin
        // another one.
        if self.is_autocommit() {
            return Err(StoreError::Unavailable("the transaction was rolled back".to_owned()));
        }
        run_command(self, "SAVEPOINT operation")
    }

    fn release_savepoint(&mut self) -> Result<(), StoreError> {
        run_command(self, "RELEASE operation")
    }

    fn roll_back_to_savepoint(&mut self) -> Result<(), StoreError> {
        run_command(self, "ROLLBACK TO operation")?;
        self.release_savepoint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Operations after a full disk must not be committed each in a transaction of its own, while
    /// their callers are told that the batch failed.
    #[test]
    fn no_savepoint_begins_once_the_transaction_was_rolled_back() {
        let mut connection = Connection::open_in_memory().unwrap();
        run_command(&connection, "CREATE TABLE t (text)").unwrap();
        run_command(&connection, "BEGIN IMMEDIATE").unwrap();
        connection.set_savepoint().unwrap();
        connection.release_savepoint().unwrap();
        // As SQLite does by itself when the disk is full.
        run_command(&connection, "ROLLBACK").unwrap();
        assert!(matches!(connection.set_savepoint(), Err(StoreError::Unavailable(_))));
        assert!(connection.is_autocommit(), "no transaction has begun");
    }
}
