//! The mark of a store.

use app::ports::StoreError;

use super::connection::{SqlConnection, values};

pub(super) fn find(session: &mut dyn SqlConnection) -> Result<Option<String>, StoreError> {
    session.query_first("SELECT id FROM store_id", &[], |row| row.get(0))
}

/// The mark that is there, or that one from now on.
pub(super) fn claim(session: &mut dyn SqlConnection, mark: &str) -> Result<String, StoreError> {
    const INSERT: &str =
        "INSERT INTO store_id (one, id) VALUES (1, ?1) ON CONFLICT (one) DO NOTHING";
    session.execute(INSERT, values![mark])?;
    find(session)?.ok_or_else(|| StoreError::Corrupt("a mark does not stay".to_owned()))
}
