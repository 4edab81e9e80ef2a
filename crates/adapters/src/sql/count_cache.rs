//! A cache of the totals of searches in recordings. Counting takes time in proportion to the number
//! of recordings, and a user who pages through a result asks for its total with every page.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use domain::recording::catalog::{RecordingFilter, TenantScope};
use tokio::time::Instant;

/// The time for which changes of other processes may go unnoticed.
const MAX_AGE: Duration = Duration::from_secs(1);
/// The number of searches whose totals are cached.
const MAX_CACHED: usize = 64;

struct CachedCount {
    filter: RecordingFilter,
    scope: TenantScope,
    /// The number of our own changes before the total was counted.
    changes: u64,
    counted_at: Instant,
    count: i64,
}

/// Totals of searches, none older than [`MAX_AGE`] or than the last change of this process.
#[derive(Default)]
pub(super) struct CountCache {
    changes: AtomicU64,
    entries: Mutex<Vec<CachedCount>>,
}

impl CountCache {
    fn lock(&self) -> MutexGuard<'_, Vec<CachedCount>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records that this process has changed recordings.
    pub(super) fn record_change(&self) {
        self.changes.fetch_add(1, Ordering::Release);
    }

    /// Returns the number of our own changes, to be read before counting.
    pub(super) fn changes(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }

    /// Returns the total of a search, if it is cached.
    pub(super) fn find(&self, filter: &RecordingFilter, scope: &TenantScope) -> Option<i64> {
        let changes = self.changes();
        let mut entries = self.lock();
        entries.retain(|entry| entry.changes == changes && entry.counted_at.elapsed() < MAX_AGE);
        let found = entries.iter().find(|entry| entry.filter == *filter && entry.scope == *scope);
        found.map(|entry| entry.count)
    }

    /// Caches a total that was counted after [`Self::changes`] returned `changes`.
    pub(super) fn put(
        &self,
        filter: &RecordingFilter,
        scope: &TenantScope,
        changes: u64,
        count: i64,
    ) {
        let mut entries = self.lock();
        if entries.len() < MAX_CACHED {
            let (filter, scope) = (filter.clone(), scope.clone());
            entries.push(CachedCount { filter, scope, changes, counted_at: Instant::now(), count });
        }
    }
}
