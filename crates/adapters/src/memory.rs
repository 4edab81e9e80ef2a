//! Meetings remembered between joins: as long as the sign under which something was read stands,
//! and for a second at most, since other processes' writes may not change our sign.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use app::ports::{Located, StoreError};
use domain::MeetingKey;
use tokio::time::Instant;

/// What changes with every write: as long as it stands, what was read stands.
pub(crate) type Sign = u64;

/// How long anything is remembered at most.
const REMEMBER_MAX: Duration = Duration::from_secs(1);
/// Meetings remembered at most; then all are forgotten.
const MEETINGS_MAX: usize = 10_000;

struct Remembered {
    located: Located,
    sign: Sign,
    since: Instant,
}

/// What joins have found since the last change.
#[derive(Default)]
pub(crate) struct Memory(Mutex<HashMap<MeetingKey, Remembered>>);

impl Memory {
    /// What is remembered under that sign of now, else what is found, which is remembered then.
    pub(crate) async fn get_or_find(
        &self,
        key: &MeetingKey,
        sign: Sign,
        find: impl Future<Output = Result<Option<Located>, StoreError>> + Send,
    ) -> Result<Option<Located>, StoreError> {
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
    fn get(&self, key: &MeetingKey, sign: Sign) -> Option<Located> {
        let meetings = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let remembered = meetings.get(key)?;
        let stands = remembered.sign == sign && remembered.since.elapsed() < REMEMBER_MAX;
        stands.then(|| remembered.located.clone())
    }

    /// Remembers what was found after that sign was seen, at that time.
    fn put(&self, key: &MeetingKey, located: &Located, sign: Sign, since: Instant) {
        let mut meetings = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if meetings.len() >= MEETINGS_MAX {
            meetings.clear();
        }
        let located = located.clone();
        meetings.insert(key.clone(), Remembered { located, sign, since });
    }
}
