//! How many recordings searches find, remembered for a moment: to count takes as long as there are recordings, and
//! whoever turns pages asks again and again.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use domain::recording::library::{Filter, Scope};
use tokio::time::Instant;

/// How long what others change may go unseen.
const FRESH: Duration = Duration::from_secs(1);
/// Searches that are remembered.
const KEPT_MAX: usize = 64;

struct Total {
    filter: Filter,
    scope: Scope,
    /// Our own changes that were there when it was counted.
    changes: u64,
    counted_at: Instant,
    count: i64,
}

/// Totals of searches, none older than a second or than our own last change.
#[derive(Default)]
pub(super) struct Totals {
    changes: AtomicU64,
    kept: Mutex<Vec<Total>>,
}

impl Totals {
    fn kept(&self) -> MutexGuard<'_, Vec<Total>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// We have changed something.
    pub(super) fn forget(&self) {
        self.changes.fetch_add(1, Ordering::Release);
    }

    /// Our changes so far, to be read before counting.
    pub(super) fn changes(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }

    /// The total of a search, if it is remembered.
    pub(super) fn of(&self, filter: &Filter, scope: &Scope) -> Option<i64> {
        let changes = self.changes();
        let mut kept = self.kept();
        kept.retain(|one| one.changes == changes && one.counted_at.elapsed() < FRESH);
        let found = kept.iter().find(|one| one.filter == *filter && one.scope == *scope);
        found.map(|one| one.count)
    }

    /// Remembers what was counted after so many changes.
    pub(super) fn keep(&self, filter: &Filter, scope: &Scope, changes: u64, count: i64) {
        let mut kept = self.kept();
        if kept.len() < KEPT_MAX {
            let (filter, scope) = (filter.clone(), scope.clone());
            kept.push(Total { filter, scope, changes, counted_at: Instant::now(), count });
        }
    }
}
