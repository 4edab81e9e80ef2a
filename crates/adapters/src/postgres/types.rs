//! Converts parameters and rows to and from the types of PostgreSQL.

use std::error::Error;
use std::fmt;

use app::ports::StoreError;
use domain::Timestamp;
use tokio_postgres::types::private::BytesMut;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};

use super::errors::to_corrupt_error;
use crate::sql::connection::{SqlRow, SqlValue};

/// The milliseconds from 1970, our epoch, to 2000, the epoch of PostgreSQL.
const EPOCH_MS: i64 = 946_684_800_000;

/// A parameter, sent in the type that the statement requires.
pub(super) struct TypedValue<'a>(pub(super) SqlValue<'a>);

impl fmt::Debug for TypedValue<'_> {
    /// Hides the value: the client library logs it, and it may be a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("_")
    }
}

type ConversionError = Box<dyn Error + Sync + Send>;

fn write_integer(
    value: i64,
    required: &Type,
    out: &mut BytesMut,
) -> Result<IsNull, ConversionError> {
    match *required {
        Type::INT2 => i16::try_from(value)?.to_sql(required, out),
        Type::INT4 => i32::try_from(value)?.to_sql(required, out),
        Type::INT8 => value.to_sql(required, out),
        _ => Err(format!("an integer where {required} is required").into()),
    }
}

fn write_time(
    Timestamp(ms): Timestamp,
    required: &Type,
    out: &mut BytesMut,
) -> Result<IsNull, ConversionError> {
    if *required != Type::TIMESTAMP {
        return Err(format!("a time where {required} is required").into());
    }
    let since_2000 = ms.checked_sub(EPOCH_MS).and_then(|ms| ms.checked_mul(1000));
    let since_2000 = since_2000.ok_or("a time out of range")?;
    since_2000.to_sql(&Type::INT8, out)
}

impl ToSql for TypedValue<'_> {
    fn to_sql(&self, required: &Type, out: &mut BytesMut) -> Result<IsNull, ConversionError> {
        match self.0 {
            SqlValue::Null => Ok(IsNull::Yes),
            SqlValue::Boolean(value) => value.to_sql(required, out),
            SqlValue::Integer(value) => write_integer(value, required, out),
            SqlValue::Real(value) => value.to_sql(required, out),
            SqlValue::Text(value) => value.to_sql(required, out),
            SqlValue::Time(value) => write_time(value, required, out),
        }
    }

    fn accepts(_: &Type) -> bool {
        // to_sql() refuses values that do not fit, since it knows the value.
        true
    }

    to_sql_checked!();
}

/// A parameter that is sent later.
pub(super) enum OwnedValue {
    Text(String),
    Other(TypedValue<'static>),
}

impl OwnedValue {
    pub(super) fn new(value: &SqlValue<'_>) -> Self {
        Self::Other(TypedValue(match *value {
            SqlValue::Text(text) => return Self::Text(text.to_owned()),
            SqlValue::Null => SqlValue::Null,
            SqlValue::Boolean(value) => SqlValue::Boolean(value),
            SqlValue::Integer(value) => SqlValue::Integer(value),
            SqlValue::Real(value) => SqlValue::Real(value),
            SqlValue::Time(value) => SqlValue::Time(value),
        }))
    }
}

impl fmt::Debug for OwnedValue {
    /// Hides the value, as [`TypedValue`] does.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("_")
    }
}

impl ToSql for OwnedValue {
    fn to_sql(&self, required: &Type, out: &mut BytesMut) -> Result<IsNull, ConversionError> {
        match self {
            Self::Text(text) => TypedValue(SqlValue::Text(text)).to_sql(required, out),
            Self::Other(value) => value.to_sql(required, out),
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

/// A column of type `timestamp without time zone`, read as UTC.
struct PgTimestamp(Timestamp);

impl<'a> FromSql<'a> for PgTimestamp {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, ConversionError> {
        let since_2000 = i64::from_sql(&Type::INT8, raw)?;
        Ok(Self(Timestamp(since_2000.div_euclid(1000).saturating_add(EPOCH_MS))))
    }

    fn accepts(found: &Type) -> bool {
        *found == Type::TIMESTAMP
    }
}

/// A row of a result.
pub(super) struct PgRow(pub(super) tokio_postgres::Row);

impl PgRow {
    fn get<'a, T: FromSql<'a>>(&'a self, column: usize) -> Result<Option<T>, StoreError> {
        self.0.try_get(column).map_err(|error| to_corrupt_error(&error))
    }
}

impl SqlRow for PgRow {
    fn boolean(&self, column: usize) -> Result<Option<bool>, StoreError> {
        self.get(column)
    }

    fn integer(&self, column: usize) -> Result<Option<i64>, StoreError> {
        match self.0.columns().get(column).map(|column| column.type_().clone()) {
            Some(Type::INT4) => Ok(self.get::<i32>(column)?.map(i64::from)),
            Some(Type::INT2) => Ok(self.get::<i16>(column)?.map(i64::from)),
            _ => self.get(column),
        }
    }

    fn real(&self, column: usize) -> Result<Option<f64>, StoreError> {
        self.get(column)
    }

    fn text(&self, column: usize) -> Result<Option<String>, StoreError> {
        self.get(column)
    }

    fn time(&self, column: usize) -> Result<Option<Timestamp>, StoreError> {
        Ok(self.get::<PgTimestamp>(column)?.map(|PgTimestamp(time)| time))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_not_logged() {
        let shown = format!("{:?}", [TypedValue(SqlValue::Text("hidden"))]);
        assert_eq!(shown, "[_]");
    }
}
