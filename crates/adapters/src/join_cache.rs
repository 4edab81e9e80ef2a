//! A cache of the meetings that joins have found. An entry is valid while the revision of the data
//! is the same, and for a second at most, since writes of other processes may not change our
//! revision.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use app::ports::{MeetingOnServer, StoreError};
use domain::MeetingKey;
use tokio::time::Instant;

/// A number that changes with every write: while it is the same, cached data is valid.
pub(crate) type Revision = u64;

/// The maximum age of an entry.
const MAX_AGE: Duration = Duration::from_secs(1);
/// The maximum number of entries. When it is reached, all are dropped.
const MAX_MEETINGS: usize = 10_000;

/// A cached meeting, with the revision and the time from before it was read.
struct CachedJoins {
    meeting: MeetingOnServer,
    revision: Revision,
    read_at: Instant,
}

/// Meetings that joins have found since the last change.
#[derive(Default)]
pub(crate) struct JoinCache(Mutex<HashMap<MeetingKey, CachedJoins>>);

impl JoinCache {
    /// Returns the cached meeting, or else finds and caches it. `revision` is the current one.
    pub(crate) async fn get_or_find(
        &self,
        key: &MeetingKey,
        revision: Revision,
        find: impl Future<Output = Result<Option<MeetingOnServer>, StoreError>> + Send,
    ) -> Result<Option<MeetingOnServer>, StoreError> {
        let read_at = Instant::now();
        if let Some(meeting) = self.get(key, revision) {
            return Ok(Some(meeting));
        }
        let found = find.await?;
        if let Some(meeting) = found.clone() {
            self.put(key, CachedJoins { meeting, revision, read_at });
        }
        Ok(found)
    }

    fn get(&self, key: &MeetingKey, revision: Revision) -> Option<MeetingOnServer> {
        let meetings = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let cached = meetings.get(key)?;
        let is_valid = cached.revision == revision && cached.read_at.elapsed() < MAX_AGE;
        is_valid.then(|| cached.meeting.clone())
    }

    fn put(&self, key: &MeetingKey, cached: CachedJoins) {
        let mut meetings = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if meetings.len() >= MAX_MEETINGS {
            meetings.clear();
        }
        meetings.insert(key.clone(), cached);
    }
}
