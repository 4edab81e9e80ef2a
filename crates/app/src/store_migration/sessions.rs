//! Copies sessions: many small entries, of which several are written at the same time.

use std::collections::BTreeMap;

use domain::{MeetingKey, MeetingSession, Timestamp};
use futures_util::stream::{self, StreamExt as _};

use super::copier::{CopyAction, StoreCopier, to_u64};
use super::counts::{MigratedKind, MigrationCounts};
use crate::ports::{StateStore, StoreError};
use crate::sessions::stored::MAX_SESSIONS;

/// Maximum number of sessions that are written at the same time.
const MAX_PARALLEL_WRITES: usize = 64;

type SessionMap = BTreeMap<(Timestamp, MeetingKey), MeetingSession>;

async fn read_sessions(store: &dyn StateStore) -> Result<SessionMap, StoreError> {
    let sessions = store.list_sessions(Timestamp(0), MAX_SESSIONS).await?;
    let by_key = |session: MeetingSession| ((session.created_at, session.key.clone()), session);
    Ok(sessions.into_iter().map(by_key).collect())
}

impl StoreCopier<'_> {
    pub(super) async fn copy_sessions(&mut self) -> Result<MigrationCounts, StoreError> {
        let mut counts = MigrationCounts::new(MigratedKind::Sessions);
        let sessions = read_sessions(self.source.state.as_ref()).await?;
        let existing = read_sessions(self.target.state.as_ref()).await?;
        let total = to_u64(sessions.len());
        let mut to_write = Vec::new();
        for (key, session) in &sessions {
            let action = CopyAction::compare(session, existing.get(key));
            if self.count_entry(&mut counts, action, total) {
                to_write.push((key, session));
            }
        }
        if to_write.is_empty() {
            return Ok(counts);
        }
        let target = &self.target.state;
        let writes = to_write.iter().map(|(_, session)| target.record_session(session));
        let mut writes = stream::iter(writes).buffer_unordered(MAX_PARALLEL_WRITES);
        while let Some(result) = writes.next().await {
            result?;
        }
        let written = read_sessions(self.target.state.as_ref()).await?;
        for (key, session) in &to_write {
            let is_equal = written.get(*key) == Some(*session);
            counts.count_verified(is_equal, || session.key.id.clone());
        }
        Ok(counts)
    }
}
