//! Joins on their way to the store: a join is answered from what is known, and its count is written
//! a moment later together with others. What a crash loses here, the next poll counts anyway.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use domain::{MeetingKey, Timestamp};

/// How long joins gather before they are written.
pub(crate) const GATHER: Duration = Duration::from_millis(100);

/// Joins of one meeting since they were last written, and the time of the last of them.
pub(crate) type Counted = HashMap<MeetingKey, (u32, Timestamp)>;

/// All joins that no read can see yet; at most one entry a meeting.
#[derive(Default)]
pub(crate) struct Joins(Mutex<State>);

#[derive(Default)]
struct State {
    counted: Counted,
    /// Whether some were taken and are not written yet.
    being_written: bool,
}

impl Joins {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts one; true if it is the first since they were last written.
    pub(crate) fn add(&self, key: &MeetingKey, now: Timestamp) -> bool {
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
    pub(crate) fn settled(&self) -> bool {
        let state = self.lock();
        state.counted.is_empty() && !state.being_written
    }

    /// Takes what was counted, to write it.
    pub(crate) fn take(&self) -> Counted {
        let mut state = self.lock();
        state.being_written = !state.counted.is_empty();
        std::mem::take(&mut state.counted)
    }

    /// It was written, or is lost.
    pub(crate) fn written(&self) {
        self.lock().being_written = false;
    }
}
