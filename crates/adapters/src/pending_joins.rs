//! Counted joins that are not written to the store yet. A join is answered without a write; its
//! count is written a moment later, together with others. Counts that a crash loses are corrected
//! by the next poll.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use domain::{MeetingKey, Timestamp};

/// The time for which joins are collected before they are written.
pub(crate) const WRITE_DELAY: Duration = Duration::from_millis(100);

/// For each meeting, the number of joins since the last write and the time of the last join.
pub(crate) type JoinCounts = HashMap<MeetingKey, (u32, Timestamp)>;

/// All joins that reads of the store cannot see yet, with one entry for each meeting.
#[derive(Default)]
pub(crate) struct PendingJoins(Mutex<PendingJoinState>);

#[derive(Default)]
struct PendingJoinState {
    counts: JoinCounts,
    /// Whether counts were taken and are not written yet.
    is_being_written: bool,
}

impl PendingJoins {
    fn lock(&self) -> MutexGuard<'_, PendingJoinState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a join; returns whether it is the first one since counts were last taken.
    pub(crate) fn add(&self, key: &MeetingKey, now: Timestamp) -> bool {
        let mut state = self.lock();
        let counts = &mut state.counts;
        let is_first = counts.is_empty();
        match counts.get_mut(key) {
            Some(entry) => *entry = (entry.0.saturating_add(1), now),
            None => {
                counts.insert(key.clone(), (1, now));
            }
        }
        is_first
    }

    /// Whether reads of the store see every join.
    pub(crate) fn is_flushed(&self) -> bool {
        let state = self.lock();
        state.counts.is_empty() && !state.is_being_written
    }

    /// Takes the counts, to write them.
    pub(crate) fn take(&self) -> JoinCounts {
        let mut state = self.lock();
        state.is_being_written = !state.counts.is_empty();
        std::mem::take(&mut state.counts)
    }

    /// Records that the taken counts were written, or are lost.
    pub(crate) fn finish_write(&self) {
        self.lock().is_being_written = false;
    }
}
