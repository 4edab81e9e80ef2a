//! What statements need of a database: positional parameters, rows, and savepoints. Small, so that
//! everything else is written once for all databases. Objects and not type parameters: a virtual
//! call costs a nanosecond, a statement thousands of them.

use app::ports::StoreError;
use domain::Timestamp;

/// A value on its way into a statement.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum SqlValue<'a> {
    /// Nothing.
    Null,
    /// Yes or no.
    Boolean(bool),
    /// A whole number.
    Integer(i64),
    /// A number.
    Real(f64),
    /// Text.
    Text(&'a str),
    /// A time, where the column is one and not a number.
    Time(Timestamp),
}

/// Conversions into [`SqlValue`].
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

/// The values of a statement, in order: `values![id, name]`.
macro_rules! values {
    ($($value:expr),* $(,)?) => { &[$($crate::sql::connection::SqlValue::from($value)),*] };
}
pub(crate) use values;

/// A row that was found. Columns are counted from 0; `None` is NULL.
pub trait SqlRow {
    /// Yes or no.
    fn boolean(&self, column: usize) -> Result<Option<bool>, StoreError>;
    /// A whole number.
    fn integer(&self, column: usize) -> Result<Option<i64>, StoreError>;
    /// A number.
    fn real(&self, column: usize) -> Result<Option<f64>, StoreError>;
    /// Text.
    fn text(&self, column: usize) -> Result<Option<String>, StoreError>;
    /// A time.
    fn time(&self, column: usize) -> Result<Option<Timestamp>, StoreError>;
}

impl dyn SqlRow + '_ {
    /// What a column holds.
    pub(crate) fn get<T: SqlColumn>(&self, column: usize) -> Result<T, StoreError> {
        T::read(self, column)
    }
}

/// What a column may hold.
pub(crate) trait SqlColumn: Sized {
    /// Reads it.
    fn read(row: &dyn SqlRow, column: usize) -> Result<Self, StoreError>;
}

fn column_error(column: usize, what: &str) -> StoreError {
    StoreError::Corrupt(format!("column {column} of a row holds {what}"))
}

macro_rules! columns {
    ($($type:ty: $method:ident),* $(,)?) => {$(
        impl SqlColumn for Option<$type> {
            fn read(row: &dyn SqlRow, column: usize) -> Result<Self, StoreError> {
                let found = row.$method(column)?;
                let fits = |found| <$type>::try_from(found);
                found.map(fits).transpose().map_err(|_| column_error(column, "too large a number"))
            }
        }
        impl SqlColumn for $type {
            fn read(row: &dyn SqlRow, column: usize) -> Result<Self, StoreError> {
                Option::<$type>::read(row, column)?.ok_or_else(|| column_error(column, "nothing"))
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

/// A connection, mostly within a transaction.
///
/// Statements are prepared once and kept by their texts, of which there must not be many. The texts are SQLite's: parameters are `?1`, `?2`…, and `COLLATE BINARY` says that
/// text is compared byte by byte.
pub trait SqlConnection {
    /// Runs a statement; returns how many rows it wrote.
    fn execute(&mut self, sql: &str, values: &[SqlValue<'_>]) -> Result<u64, StoreError>;

    /// Runs a statement and visits each row it returns.
    fn visit(
        &mut self,
        sql: &str,
        values: &[SqlValue<'_>],
        visitor: &mut dyn FnMut(&dyn SqlRow) -> Result<(), StoreError>,
    ) -> Result<(), StoreError>;

    /// Begins to read: all reads until [`SqlConnection::end_reading`] see the same moment.
    fn begin_reading(&mut self) -> Result<(), StoreError>;

    /// Ends what [`SqlConnection::begin_reading`] began.
    fn end_reading(&mut self) -> Result<(), StoreError>;

    /// Marks a point in a transaction.
    fn set_savepoint(&mut self) -> Result<(), StoreError>;

    /// Forgets the last mark.
    fn release_savepoint(&mut self) -> Result<(), StoreError>;

    /// Undoes everything since the last mark.
    fn roll_back_to_savepoint(&mut self) -> Result<(), StoreError>;
}

impl dyn SqlConnection + '_ {
    /// All rows, as what they stand for.
    pub(crate) fn query<T>(
        &mut self,
        sql: &str,
        values: &[SqlValue<'_>],
        of_row: impl Fn(&dyn SqlRow) -> Result<T, StoreError>,
    ) -> Result<Vec<T>, StoreError> {
        let mut found = Vec::new();
        self.visit(sql, values, &mut |row| {
            found.push(of_row(row)?);
            Ok(())
        })?;
        Ok(found)
    }

    /// The only row, or the first.
    pub(crate) fn query_first<T>(
        &mut self,
        sql: &str,
        values: &[SqlValue<'_>],
        of_row: impl Fn(&dyn SqlRow) -> Result<T, StoreError>,
    ) -> Result<Option<T>, StoreError> {
        let mut found = None;
        self.visit(sql, values, &mut |row| {
            if found.is_none() {
                found = Some(of_row(row)?);
            }
            Ok(())
        })?;
        Ok(found)
    }

    /// Runs an operation of a transaction apart: if it fails, it alone is undone.
    pub(crate) fn run_in_savepoint<T>(
        &mut self,
        operation: impl FnOnce(&mut dyn SqlConnection) -> Result<T, StoreError>,
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
