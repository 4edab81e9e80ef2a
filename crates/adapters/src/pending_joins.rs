//! Joins on their way to the store: a join is answered from what is known, and its count is written
//! a moment later together with others. What a crash loses here, the next poll counts anyway.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use domain::{MeetingKey, Timestamp};

/// How long joins gather before they are written.
pub(crate) const WRITE_DELAY: Duration = Duration::from_millis(100);

/// Joins of one meeting since they were last written, and the time of the last of them.
pub(crate) type JoinCounts = HashMap<MeetingKey, (u32, Timestamp)>;

/// All joins that no read can see yet; at most one entry a meeting.
#[derive(Default)]
pub(crate) struct PendingJoins(Mutex<PendingJoinState>);

#[derive(Default)]
struct PendingJoinState {
    counts: JoinCounts,
    /// Whether some were taken and are not written yet.
    is_being_written: bool,
}

impl PendingJoins {
    fn lock(&self) -> MutexGuard<'_, PendingJoinState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts one; true if it is the first since they were last written.
    pub(crate) fn add(&self, key: &MeetingKey, now: Timestamp) -> bool {
        let mut state = self.lock();
        let counted = &mut state.counts;
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
    pub(crate) fn is_flushed(&self) -> bool {
        let state = self.lock();
        state.counts.is_empty() && !state.is_being_written
    }

    /// Takes what was counted, to write it.
    pub(crate) fn take(&self) -> JoinCounts {
        let mut state = self.lock();
        state.is_being_written = !state.counts.is_empty();
        std::mem::take(&mut state.counts)
    }

    /// It was written, or is lost.
    pub(crate) fn finish_write(&self) {
        self.lock().is_being_written = false;
    }
}
