//! Care for a store that is a file of this machine: whether it is damaged, and whether it is still
//! the one that had servers.

use async_trait::async_trait;

use super::store_error::StoreError;

/// Looks after the file of the embedded store.
#[async_trait]
pub trait EmbeddedStore: Send + Sync {
    /// Checks the whole file for damage, and remembers the result for health checks.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] if it is damaged; otherwise when it cannot be read.
    async fn check_integrity(&self) -> Result<(), StoreError>;

    /// Whether an error suggests that the file is damaged, and no check has followed.
    fn is_suspect(&self) -> bool;

    /// Leaves a mark inside and beside the data directory if the store has servers, so that an empty
    /// store in its place is noticed.
    ///
    /// # Errors
    /// When the store cannot be read, or no mark can be written.
    async fn update_mark(&self) -> Result<(), StoreError>;

    /// Checks that the store is not an empty one in place of one that had servers. If that is
    /// accepted, the marks are removed.
    ///
    /// # Errors
    /// [`StoreError::Lost`] if it is; otherwise when it cannot be read.
    async fn check_not_lost(&self, accept_empty: bool) -> Result<(), StoreError>;
}
