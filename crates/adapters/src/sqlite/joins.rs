//! Joins on their way to the disk: a join is answered from a read alone, and its count goes into
//! the next transaction. What a crash loses here, the next poll counts anyway.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use domain::{MeetingKey, Timestamp};

/// Joins of one meeting since the last transaction, and the time of the last of them.
pub(super) type Counted = HashMap<MeetingKey, (u32, Timestamp)>;

/// All joins since the last transaction; at most one entry a meeting.
#[derive(Default)]
pub(super) struct Joins(Mutex<Counted>);

impl Joins {
    fn lock(&self) -> MutexGuard<'_, Counted> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts one; true if it is the first since the last transaction.
    pub(super) fn add(&self, key: &MeetingKey, now: Timestamp) -> bool {
        let mut counted = self.lock();
        let first = counted.is_empty();
        match counted.get_mut(key) {
            Some(entry) => *entry = (entry.0.saturating_add(1), now),
            None => {
                counted.insert(key.clone(), (1, now));
            }
        }
        first
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    pub(super) fn take(&self) -> Counted {
        std::mem::take(&mut *self.lock())
    }
}
