//! The error of all stores.

/// Why a store failed. The text is for administrators; it contains no secrets.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The store cannot be reached, is full, or is too slow. The same call may succeed later.
    #[error("store unavailable: {0}")]
    Unavailable(String),
    /// The database still belongs to another program, and this process may only read it.
    #[error("the database is not adopted yet")]
    NotAdopted,
    /// The schema has a version that this program does not know. The store is left unchanged.
    #[error("store incompatible: {0}")]
    Incompatible(String),
    /// The store holds data that cannot be read.
    #[error("store corrupt: {0}")]
    Corrupt(String),
    /// The store is empty and had servers before.
    #[error("store lost: {0}")]
    Lost(String),
}
