//! The interface to a database connection that all statements use: positional parameters, rows, and
//! savepoints. It is small, so that everything else is written once for all databases. It consists
//! of trait objects and not of type parameters: a virtual call takes a nanosecond, a statement
//! thousands of them.

use app::ports::StoreError;
use domain::Timestamp;

use super::server_cache::ServerCache;

/// A parameter of a statement.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum SqlValue<'a> {
    /// NULL.
    Null,
    /// A truth value.
    Boolean(bool),
    /// An integer.
    Integer(i64),
    /// A floating-point number.
    Real(f64),
    /// Text.
    Text(&'a str),
    /// A time, for a column of that type. Most columns hold times as integers.
    Time(Timestamp),
}

/// Implements conversions into [`SqlValue`].
macro_rules! into_sql_value {
    ($($from:ty => |$value:ident| $into:expr),* $(,)?) => {$(
        impl<'a> From<$from> for SqlValue<'a> {
            fn from($value: $from) -> Self {
                $into
            }
        }
    )*};
}

into_sql_value! {
    bool => |value| SqlValue::Boolean(value),
    i64 => |value| SqlValue::Integer(value),
    i32 => |value| SqlValue::Integer(value.into()),
    u32 => |value| SqlValue::Integer(value.into()),
    f64 => |value| SqlValue::Real(value),
    &'a str => |value| SqlValue::Text(value),
    &'a String => |value| SqlValue::Text(value),
    Timestamp => |value| SqlValue::Time(value),
    &'a Option<String> => |value| value.as_deref().into(),
}

impl<'a, T: Into<SqlValue<'a>>> From<Option<T>> for SqlValue<'a> {
    fn from(value: Option<T>) -> Self {
        value.map_or(SqlValue::Null, Into::into)
    }
}

/// Lists the parameters of a statement in order: `values![id, name]`.
macro_rules! values {
    ($($value:expr),* $(,)?) => { &[$($crate::sql::connection::SqlValue::from($value)),*] };
}
pub(crate) use values;

/// A row of a result. Columns are counted from 0; `None` is NULL.
pub trait SqlRow {
    /// Reads a truth value.
    fn boolean(&self, column: usize) -> Result<Option<bool>, StoreError>;
    /// Reads an integer.
    fn integer(&self, column: usize) -> Result<Option<i64>, StoreError>;
    /// Reads a floating-point number.
    fn real(&self, column: usize) -> Result<Option<f64>, StoreError>;
    /// Reads a text.
    fn text(&self, column: usize) -> Result<Option<String>, StoreError>;
    /// Reads a time.
    fn time(&self, column: usize) -> Result<Option<Timestamp>, StoreError>;
}

impl dyn SqlRow + '_ {
    /// Reads the value of a column.
    pub(crate) fn get<T: SqlColumn>(&self, column: usize) -> Result<T, StoreError> {
        T::read(self, column)
    }
}

/// A type that a column can be read as.
pub(crate) trait SqlColumn: Sized {
    /// Reads the value of a column.
    fn read(row: &dyn SqlRow, column: usize) -> Result<Self, StoreError>;
}

fn column_error(column: usize, problem: &str) -> StoreError {
    StoreError::Corrupt(format!("column {column} of a row {problem}"))
}

macro_rules! columns {
    ($($type:ty: $method:ident),* $(,)?) => {$(
        impl SqlColumn for Option<$type> {
            fn read(row: &dyn SqlRow, column: usize) -> Result<Self, StoreError> {
                let value = row.$method(column)?;
                let convert = |value| <$type>::try_from(value);
                value.map(convert).transpose().map_err(|_| column_error(column, "is out of range"))
            }
        }
        impl SqlColumn for $type {
            fn read(row: &dyn SqlRow, column: usize) -> Result<Self, StoreError> {
                Option::<$type>::read(row, column)?.ok_or_else(|| column_error(column, "is NULL"))
            }
        }
    )*};
}

columns! {
    bool: boolean,
    i64: integer,
    i32: integer,
    u32: integer,
    u64: integer,
    f64: real,
    String: text,
    Timestamp: time,
}

/// A database connection, mostly within a transaction.
///
/// Statements are prepared once and cached by their texts, so the number of different texts must be
/// small. The texts are in SQLite's dialect: parameters are `?1`, `?2`…, and `COLLATE BINARY`
/// compares text byte by byte.
pub trait SqlConnection {
    /// Runs a statement; returns the number of rows that it wrote.
    fn execute(&mut self, sql: &str, values: &[SqlValue<'_>]) -> Result<u64, StoreError>;

    /// Runs a statement whose effect the caller does not ask for. An error of it may be that of a later
    /// call, of [`SqlConnection::flush`] at the latest.
    fn execute_later(&mut self, sql: &str, values: &[SqlValue<'_>]) -> Result<(), StoreError> {
        self.execute(sql, values).map(drop)
    }

    /// Waits for the statements of [`SqlConnection::execute_later`].
    fn flush(&mut self) -> Result<(), StoreError> {
        Ok(())
    }

    /// Runs a statement and calls `visitor` with each row of its result.
    fn visit(
        &mut self,
        sql: &str,
        values: &[SqlValue<'_>],
        visitor: &mut dyn FnMut(&dyn SqlRow) -> Result<(), StoreError>,
    ) -> Result<(), StoreError>;

    /// Begins a read transaction: all reads until [`SqlConnection::end_reading`] see the same
    /// state.
    fn begin_reading(&mut self) -> Result<(), StoreError>;

    /// Ends the transaction of [`SqlConnection::begin_reading`].
    fn end_reading(&mut self) -> Result<(), StoreError>;

    /// Sets a savepoint in a transaction.
    fn set_savepoint(&mut self) -> Result<(), StoreError>;

    /// Releases the last savepoint.
    fn release_savepoint(&mut self) -> Result<(), StoreError>;

    /// Undoes everything since the last savepoint.
    fn roll_back_to_savepoint(&mut self) -> Result<(), StoreError>;

    /// The place of what the connection remembers of the servers, if it does.
    fn server_cache(&mut self) -> Option<&mut Option<ServerCache>> {
        None
    }
}

impl dyn SqlConnection + '_ {
    /// Runs a statement and returns its rows, each converted by `read_row`.
    pub(crate) fn query<T>(
        &mut self,
        sql: &str,
        values: &[SqlValue<'_>],
        read_row: impl Fn(&dyn SqlRow) -> Result<T, StoreError>,
    ) -> Result<Vec<T>, StoreError> {
        let mut found = Vec::new();
        self.visit(sql, values, &mut |row| {
            found.push(read_row(row)?);
            Ok(())
        })?;
        Ok(found)
    }

    /// Runs a statement and returns its first row, if there is one.
    pub(crate) fn query_first<T>(
        &mut self,
        sql: &str,
        values: &[SqlValue<'_>],
        read_row: impl Fn(&dyn SqlRow) -> Result<T, StoreError>,
    ) -> Result<Option<T>, StoreError> {
        let mut found = None;
        self.visit(sql, values, &mut |row| {
            if found.is_none() {
                found = Some(read_row(row)?);
            }
            Ok(())
        })?;
        Ok(found)
    }

    /// Runs one of several operations of a transaction: if it fails, only its own changes are
    /// undone.
    pub(crate) fn run_in_savepoint<T>(
        &mut self,
        operation: &mut impl FnMut(&mut dyn SqlConnection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.set_savepoint()?;
        let result = operation(self);
        if result.is_err() {
            self.roll_back_to_savepoint()?;
        } else {
            self.release_savepoint()?;
        }
        result
    }
}
