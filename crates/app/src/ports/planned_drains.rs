//! Planned drains: servers that are taken out of service at a time, by whichever process is there.

use async_trait::async_trait;
use domain::Timestamp;
use domain::drain::PlannedDrain;

use super::store_error::StoreError;

/// What became of a drain to add.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DrainAddition {
    /// It was added.
    Added,
    /// The server has a drain that is not over: the one of this id.
    ServerHasOne(String),
    /// There are as many as there may be.
    TooMany,
}

/// Stores planned drains. Every method is atomic, and fails only if the store fails.
#[async_trait]
pub trait PlannedDrains: Send + Sync {
    /// Adds a drain, unless its server has one that is not over, or `max` are not over.
    async fn add_drain(
        &self,
        drain: &PlannedDrain,
        max: usize,
    ) -> Result<DrainAddition, StoreError>;

    /// Lists the drains that are not over, and if wanted those that are, by the time of their beginning and their ids.
    async fn list_drains(&self, includes_over: bool) -> Result<Vec<PlannedDrain>, StoreError>;

    /// Replaces a drain by what has become of it, if its revision is still the one before that of `drain`; returns whether it was. One that is over
    /// is never replaced.
    async fn replace_drain(&self, drain: &PlannedDrain) -> Result<bool, StoreError>;

    /// Forgets the drains that were over before `before`, and of the others that are over all but the last `max`.
    async fn forget_drains(&self, before: Timestamp, max: usize) -> Result<(), StoreError>;
}

/// Writes a drain as stores keep it.
#[must_use]
pub fn to_stored_drain(drain: &PlannedDrain) -> String {
    serde_json::to_string(drain).unwrap_or_default()
}

/// Reads what a store has kept.
///
/// # Errors
/// When it cannot be read.
pub fn from_stored_drain(stored: &str) -> Result<PlannedDrain, StoreError> {
    serde_json::from_str(stored)
        .map_err(|_| StoreError::Corrupt("a planned drain cannot be read".to_owned()))
}
