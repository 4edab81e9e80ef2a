//! Meetings remembered between joins: as long as the sign under which something was read stands,
//! and for a second at most, since other processes' writes may not change our sign.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use app::ports::{MeetingOnServer, StoreError};
use domain::MeetingKey;
use tokio::time::Instant;

/// What changes with every write: as long as it stands, what was read stands.
pub(crate) type Revision = u64;

/// How long anything is remembered at most.
const MAX_AGE: Duration = Duration::from_secs(1);
/// Meetings remembered at most; then all are forgotten.
const MAX_MEETINGS: usize = 10_000;

struct CachedJoins {
    meeting: MeetingOnServer,
    revision: Revision,
    read_at: Instant,
}

/// What joins have found since the last change.
#[derive(Default)]
pub(crate) struct JoinCache(Mutex<HashMap<MeetingKey, CachedJoins>>);

impl JoinCache {
    /// What is remembered under that sign of now, else what is found, which is remembered then.
    pub(crate) async fn get_or_find(
        &self,
        key: &MeetingKey,
        sign: Revision,
        find: impl Future<Output = Result<Option<MeetingOnServer>, StoreError>> + Send,
    ) -> Result<Option<MeetingOnServer>, StoreError> {
        let since = Instant::now();
        if let Some(located) = self.get(key, sign) {
            return Ok(Some(located));
        }
        let found = find.await?;
        if let Some(found) = &found {
            self.put(key, found, sign, since);
        }
        Ok(found)
    }

    /// What was found under that sign, if that is not too long ago.
    fn get(&self, key: &MeetingKey, sign: Revision) -> Option<MeetingOnServer> {
        let meetings = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let remembered = meetings.get(key)?;
        let stands = remembered.revision == sign && remembered.read_at.elapsed() < MAX_AGE;
        stands.then(|| remembered.meeting.clone())
    }

    /// Remembers what was found after that sign was seen, at that time.
    fn put(&self, key: &MeetingKey, located: &MeetingOnServer, sign: Revision, since: Instant) {
        let mut meetings = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if meetings.len() >= MAX_MEETINGS {
            meetings.clear();
        }
        let located = located.clone();
        meetings
            .insert(key.clone(), CachedJoins { meeting: located, revision: sign, read_at: since });
    }
}
