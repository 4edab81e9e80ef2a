//! What is kept of meetings that have ended, so that placement can foresee their next time.

use async_trait::async_trait;
use domain::{MeetingSession, Timestamp};

use super::store_error::StoreError;

/// Sessions of meetings.
#[async_trait]
pub trait SessionHistory: Send + Sync {
    /// Keeps a session. One meeting has one session of a time of creation: the later record of it
    /// counts.
    async fn record_session(&self, session: &MeetingSession) -> Result<(), StoreError>;

    /// The newest sessions that began at that time or later, at most so many; the newest first.
    async fn list_sessions(
        &self,
        since: Timestamp,
        max: usize,
    ) -> Result<Vec<MeetingSession>, StoreError>;

    /// Forgets the sessions that began before that time, and the oldest beyond so many.
    async fn forget_sessions(&self, before: Timestamp, max: usize) -> Result<(), StoreError>;
}
