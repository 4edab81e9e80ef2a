//! How many recordings searches find, remembered for a moment: to count takes as long as there are recordings, and
//! whoever turns pages asks again and again.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use domain::recording::catalog::{RecordingFilter, TenantScope};
use tokio::time::Instant;

/// How long what others change may go unseen.
const MAX_AGE: Duration = Duration::from_secs(1);
/// Searches that are remembered.
const MAX_CACHED: usize = 64;

struct CachedCount {
    filter: RecordingFilter,
    scope: TenantScope,
    /// Our own changes that were there when it was counted.
    changes: u64,
    counted_at: Instant,
    count: i64,
}

/// Totals of searches, none older than a second or than our own last change.
#[derive(Default)]
pub(super) struct CountCache {
    changes: AtomicU64,
    entries: Mutex<Vec<CachedCount>>,
}

impl CountCache {
    fn lock(&self) -> MutexGuard<'_, Vec<CachedCount>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// We have changed something.
    pub(super) fn record_change(&self) {
        self.changes.fetch_add(1, Ordering::Release);
    }

    /// Our changes so far, to be read before counting.
    pub(super) fn changes(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }

    /// The total of a search, if it is remembered.
    pub(super) fn find(&self, filter: &RecordingFilter, scope: &TenantScope) -> Option<i64> {
        let changes = self.changes();
        let mut kept = self.lock();
        kept.retain(|one| one.changes == changes && one.counted_at.elapsed() < MAX_AGE);
        let found = kept.iter().find(|one| one.filter == *filter && one.scope == *scope);
        found.map(|one| one.count)
    }

    /// Remembers what was counted after so many changes.
    pub(super) fn put(
        &self,
        filter: &RecordingFilter,
        scope: &TenantScope,
        changes: u64,
        count: i64,
    ) {
        let mut kept = self.lock();
        if kept.len() < MAX_CACHED {
            let (filter, scope) = (filter.clone(), scope.clone());
            kept.push(CachedCount { filter, scope, changes, counted_at: Instant::now(), count });
        }
    }
}
