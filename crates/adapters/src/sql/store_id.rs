//! Statements about the id of a store, which shows whether the store has lost its data.

use app::ports::StoreError;

use super::connection::{SqlConnection, values};

pub(super) fn find(connection: &mut dyn SqlConnection) -> Result<Option<String>, StoreError> {
    connection.query_first("SELECT id FROM store_id", &[], |row| row.get(0))
}

/// Gives the store this id if it has none; returns the id that it has.
pub(super) fn claim(
    connection: &mut dyn SqlConnection,
    new_id: &str,
) -> Result<String, StoreError> {
    const INSERT: &str =
        "INSERT INTO store_id (one, id) VALUES (1, ?1) ON CONFLICT (one) DO NOTHING";
    connection.execute(INSERT, values![new_id])?;
    find(connection)?.ok_or_else(|| StoreError::Corrupt("the store id was not stored".to_owned()))
}
