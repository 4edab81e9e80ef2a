//! Sessions: meetings that have ended, from which the forecast learns.

use async_trait::async_trait;
use domain::{MeetingSession, Timestamp};

use super::store_error::StoreError;

/// Stores sessions. Every method is atomic, and fails only if the store fails.
#[async_trait]
pub trait SessionHistory: Send + Sync {
    /// Stores a session. A meeting has one session for each time of creation; a later record of
    /// that session replaces it.
    async fn record_session(&self, session: &MeetingSession) -> Result<(), StoreError>;

    /// Lists the sessions of meetings that were created at `since` or later, the newest first,
    /// `max` at most.
    async fn list_sessions(
        &self,
        since: Timestamp,
        max: usize,
    ) -> Result<Vec<MeetingSession>, StoreError>;

    /// Deletes the sessions of meetings that were created before `before`, and the oldest ones if
    /// more than `max` are left.
    async fn forget_sessions(&self, before: Timestamp, max: usize) -> Result<(), StoreError>;
}
