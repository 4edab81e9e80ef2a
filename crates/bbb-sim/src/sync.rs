//! Locking that ignores poisoning: a test that panicked while it held a lock must not make other tests fail.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks `mutex`, even if an earlier holder panicked.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
