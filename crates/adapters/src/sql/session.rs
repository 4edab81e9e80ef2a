//! What statements need of a database: positional parameters, rows, and savepoints. Small, so that
//! everything else is written once for all databases. Objects and not type parameters: a virtual
//! call costs a nanosecond, a statement thousands of them.

use app::ports::StoreError;
use domain::Timestamp;

/// A value on its way into a statement.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
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

/// Conversions into [`Value`].
macro_rules! into_value {
    ($($from:ty => |$value:ident| $into:expr),* $(,)?) => {$(
        impl<'a> From<$from> for Value<'a> {
            fn from($value: $from) -> Self {
                $into
            }
        }
    )*};
}

into_value! {
    bool => |value| Value::Boolean(value),
    i64 => |value| Value::Integer(value),
    i32 => |value| Value::Integer(value.into()),
    u32 => |value| Value::Integer(value.into()),
    f64 => |value| Value::Real(value),
    &'a str => |value| Value::Text(value),
    &'a String => |value| Value::Text(value),
    Timestamp => |value| Value::Time(value),
    &'a Option<String> => |value| value.as_deref().into(),
}

impl<'a, T: Into<Value<'a>>> From<Option<T>> for Value<'a> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Value::Null, Into::into)
    }
}

/// The values of a statement, in order: `values![id, name]`.
macro_rules! values {
    ($($value:expr),* $(,)?) => { &[$($crate::sql::session::Value::from($value)),*] };
}
pub(crate) use values;

/// A row that was found. Columns are counted from 0; `None` is NULL.
pub trait Row {
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

impl dyn Row + '_ {
    /// What a column holds.
    pub(crate) fn get<T: Column>(&self, column: usize) -> Result<T, StoreError> {
        T::of(self, column)
    }
}

/// What a column may hold.
pub(crate) trait Column: Sized {
    /// Reads it.
    fn of(row: &dyn Row, column: usize) -> Result<Self, StoreError>;
}

fn unreadable(column: usize, what: &str) -> StoreError {
    StoreError::Corrupt(format!("column {column} of a row holds {what}"))
}

macro_rules! columns {
    ($($type:ty: $method:ident),* $(,)?) => {$(
        impl Column for Option<$type> {
            fn of(row: &dyn Row, column: usize) -> Result<Self, StoreError> {
                let found = row.$method(column)?;
                let fits = |found| <$type>::try_from(found);
                found.map(fits).transpose().map_err(|_| unreadable(column, "too large a number"))
            }
        }
        impl Column for $type {
            fn of(row: &dyn Row, column: usize) -> Result<Self, StoreError> {
                Option::<$type>::of(row, column)?.ok_or_else(|| unreadable(column, "nothing"))
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
pub trait Session {
    /// Runs a statement; returns how many rows it wrote.
    fn execute(&mut self, sql: &str, values: &[Value<'_>]) -> Result<u64, StoreError>;

    /// Runs a statement and visits each row it returns.
    fn visit(
        &mut self,
        sql: &str,
        values: &[Value<'_>],
        visitor: &mut dyn FnMut(&dyn Row) -> Result<(), StoreError>,
    ) -> Result<(), StoreError>;

    /// Begins to read: all reads until [`Session::end_reading`] see the same moment.
    fn begin_reading(&mut self) -> Result<(), StoreError>;

    /// Ends what [`Session::begin_reading`] began.
    fn end_reading(&mut self) -> Result<(), StoreError>;

    /// Marks a point in a transaction.
    fn mark(&mut self) -> Result<(), StoreError>;

    /// Forgets the last mark.
    fn keep(&mut self) -> Result<(), StoreError>;

    /// Undoes everything since the last mark.
    fn undo(&mut self) -> Result<(), StoreError>;
}

impl dyn Session + '_ {
    /// All rows, as what they stand for.
    pub(crate) fn query<T>(
        &mut self,
        sql: &str,
        values: &[Value<'_>],
        of_row: impl Fn(&dyn Row) -> Result<T, StoreError>,
    ) -> Result<Vec<T>, StoreError> {
        let mut found = Vec::new();
        self.visit(sql, values, &mut |row| {
            found.push(of_row(row)?);
            Ok(())
        })?;
        Ok(found)
    }

    /// The only row, or the first.
    pub(crate) fn first<T>(
        &mut self,
        sql: &str,
        values: &[Value<'_>],
        of_row: impl Fn(&dyn Row) -> Result<T, StoreError>,
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
    pub(crate) fn apart<T>(
        &mut self,
        operation: impl FnOnce(&mut dyn Session) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.mark()?;
        let result = operation(self);
        if result.is_err() {
            self.undo()?;
        } else {
            self.keep()?;
        }
        result
    }
}
