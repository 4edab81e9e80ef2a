//! Sessions on the move: many small things of which none may be changed, written some at a time.

use std::collections::BTreeMap;

use domain::{MeetingKey, MeetingSession, Timestamp};
use futures_util::stream::{self, StreamExt as _};

use super::{CopyAction, MigratedKind, MigrationCounts, StoreCopier, count_verified};
use crate::ports::{StateStore, StoreError};
use crate::sessions::MAX_SESSIONS;

/// How many are being written at the same time.
const MAX_PARALLEL_WRITES: usize = 64;

type SessionMap = BTreeMap<(Timestamp, MeetingKey), MeetingSession>;

async fn read_sessions(hot: &dyn StateStore) -> Result<SessionMap, StoreError> {
    let list = hot.list_sessions(Timestamp(0), MAX_SESSIONS).await?;
    Ok(list.into_iter().map(|one| ((one.created_at, one.key.clone()), one)).collect())
}

impl StoreCopier<'_> {
    pub(super) async fn copy_sessions(&mut self) -> Result<MigrationCounts, StoreError> {
        let mut tally = MigrationCounts::new(MigratedKind::Sessions);
        let (old, there) = (
            read_sessions(self.source.state.as_ref()).await?,
            read_sessions(self.target.state.as_ref()).await?,
        );
        let total = u64::try_from(old.len()).unwrap_or(u64::MAX);
        let mut needed = Vec::new();
        for (name, one) in &old {
            if self.count_item(&mut tally, CopyAction::compare(one, there.get(name)), total) {
                needed.push((name, one));
            }
        }
        if needed.is_empty() {
            return Ok(tally);
        }
        let writes = needed.iter().map(|(_, one)| self.target.state.record_session(one));
        let mut writes = stream::iter(writes).buffer_unordered(MAX_PARALLEL_WRITES);
        while let Some(written) = writes.next().await {
            written?;
        }
        let read = read_sessions(self.target.state.as_ref()).await?;
        for (name, one) in &needed {
            count_verified(&mut tally, read.get(*name) == Some(*one), || one.key.id.clone());
        }
        Ok(tally)
    }
}
