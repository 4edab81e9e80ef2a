//! Joins on their way to the disk: a join is answered from a read alone, and its count goes into
//! the next transaction. What a crash loses here, the next poll counts anyway.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use domain::{MeetingKey, Timestamp};

/// Joins of one meeting since the last transaction, and the time of the last of them.
pub(super) type Counted = HashMap<MeetingKey, (u32, Timestamp)>;

/// All joins that no read can see yet; at most one entry a meeting.
#[derive(Default)]
pub(super) struct Joins(Mutex<State>);

#[derive(Default)]
struct State {
    counted: Counted,
    /// Whether some were taken and their transaction has not ended.
    being_written: bool,
}

impl Joins {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts one; true if it is the first since the last transaction.
    pub(super) fn add(&self, key: &MeetingKey, now: Timestamp) -> bool {
        let mut state = self.lock();
        let counted = &mut state.counted;
        let first = counted.is_empty();
        match counted.get_mut(key) {
            Some(entry) => *entry = (entry.0.saturating_add(1), now),
            None => {
                counted.insert(key.clone(), (1, now));
            }
        }
        first
    }

    /// Whether reads see every join.
    pub(super) fn settled(&self) -> bool {
        let state = self.lock();
        state.counted.is_empty() && !state.being_written
    }

    /// Takes what was counted into a transaction.
    pub(super) fn take(&self) -> Counted {
        let mut state = self.lock();
        state.being_written = !state.counted.is_empty();
        std::mem::take(&mut state.counted)
    }

    /// The transaction has ended.
    pub(super) fn written(&self) {
        self.lock().being_written = false;
    }
}
