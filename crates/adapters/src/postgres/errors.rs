//! What failures of PostgreSQL are called. The texts hold neither passwords nor values.

use std::error::Error as _;

use app::ports::StoreError;
use tokio_postgres::Error;
use tokio_postgres::error::SqlState;

pub(super) fn to_store_error(error: &Error) -> StoreError {
    let Some(told) = error.as_db_error() else {
        // The library says what it did, its cause why that failed.
        let cause = error.source().map_or_else(String::new, |cause| format!(": {cause}"));
        return StoreError::Unavailable(format!("PostgreSQL: {error}{cause}"));
    };
    let code = told.code();
    // Messages name tables and users; values stand in details, which we leave out.
    let text = format!("PostgreSQL: {} ({})", told.message(), code.code());
    match code {
        &SqlState::DATA_CORRUPTED | &SqlState::INDEX_CORRUPTED => StoreError::Corrupt(text),
        &SqlState::INVALID_CATALOG_NAME => StoreError::Unavailable(format!(
            "{text}: create the database first, for example by createdb"
        )),
        _ => StoreError::Unavailable(text),
    }
}

/// What a column holds is not what we expect there.
pub(super) fn to_corrupt_error(error: &Error) -> StoreError {
    let cause = error.source().map_or_else(String::new, |cause| format!(": {cause}"));
    StoreError::Corrupt(format!("PostgreSQL: {error}{cause}"))
}
