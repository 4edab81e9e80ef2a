//! Converts errors of PostgreSQL. The texts contain neither passwords nor values.

use std::error::Error as _;

use app::ports::StoreError;
use tokio_postgres::Error;
use tokio_postgres::error::SqlState;

use super::pooler;

pub(super) fn to_store_error(error: &Error) -> StoreError {
    let Some(db_error) = error.as_db_error() else {
        // The error names the operation, its source the reason.
        let cause = error.source().map_or_else(String::new, |cause| format!(": {cause}"));
        return StoreError::Unavailable(format!("PostgreSQL: {error}{cause}"));
    };
    let code = db_error.code();
    // The message names tables and users. Values are in the detail, which is left out.
    let text = format!("PostgreSQL: {} ({})", db_error.message(), code.code());
    match code {
        &SqlState::DATA_CORRUPTED | &SqlState::INDEX_CORRUPTED => StoreError::Corrupt(text),
        &SqlState::INVALID_CATALOG_NAME => StoreError::Unavailable(format!(
            "{text}: create the database first, for example by createdb"
        )),
        // A connection of this program has its session to itself, so another one took it.
        &SqlState::INVALID_SQL_STATEMENT_NAME | &SqlState::DUPLICATE_PSTATEMENT => {
            StoreError::Unavailable(format!("{text}: {}: {}", pooler::FOUND, pooler::ADVICE))
        }
        _ => StoreError::Unavailable(text),
    }
}

/// Converts an error about the type of a column.
pub(super) fn to_corrupt_error(error: &Error) -> StoreError {
    let cause = error.source().map_or_else(String::new, |cause| format!(": {cause}"));
    StoreError::Corrupt(format!("PostgreSQL: {error}{cause}"))
}
