//! The mark of a store.

use app::ports::StoreError;

use super::session::{Session, values};

pub(super) fn find(session: &mut dyn Session) -> Result<Option<String>, StoreError> {
    session.first("SELECT mark FROM mark", &[], |row| row.get(0))
}

/// The mark that is there, or that one from now on.
pub(super) fn put(session: &mut dyn Session, mark: &str) -> Result<String, StoreError> {
    const PUT: &str = "INSERT INTO mark (one, mark) VALUES (1, ?1) ON CONFLICT (one) DO NOTHING";
    session.execute(PUT, values![mark])?;
    find(session)?.ok_or_else(|| StoreError::Corrupt("a mark does not stay".to_owned()))
}
