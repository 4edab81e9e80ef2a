//! Leftovers that cannot be removed, such as another user's files: each is named once in the log, and
//! does not stop what the directory is used for. Links that are not followed are named once, too.

use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};

/// Maximum number of paths that are remembered. Further ones are not logged.
const MAX_PATHS: usize = 1000;

/// Logs that a leftover could not be removed, unless that was logged before.
pub(crate) fn warn_once(path: &Path, error: &io::Error) {
    if is_new(path) {
        let path = path.display();
        tracing::warn!(%path, %error, "leftover not removed: delete it by hand");
    }
}

/// Logs that a link is not followed, unless that was logged before.
pub(crate) fn warn_link_once(path: &Path, reason: &io::Error) {
    if is_new(path) {
        let path = path.display();
        tracing::warn!(%path, %reason, "link in the directories of recordings not followed");
    }
}

/// Whether a path is named in the log for the first time.
fn is_new(path: &Path) -> bool {
    static LOGGED: OnceLock<Mutex<HashSet<PathBuf>>> = OnceLock::new();
    let logged = LOGGED.get_or_init(Mutex::default);
    let mut logged = logged.lock().unwrap_or_else(PoisonError::into_inner);
    logged.len() < MAX_PATHS && logged.insert(path.to_owned())
}
