//! What the upload handler needs: the store of unfinished archives and its limits.

use std::sync::Arc;

use app::ports::Uploads;
use tokio::sync::Semaphore;

/// Largest number of simultaneous uploads; further clients are told to retry.
const MAX_CONCURRENT_UPLOADS: usize = 16;

/// Uploads of recordings.
pub struct UploadService {
    pub(super) uploads: Arc<dyn Uploads>,
    /// Longest archive, in bytes.
    pub(super) max_bytes: u64,
    /// One permit for each upload in progress.
    pub(super) slots: Semaphore,
}

impl UploadService {
    /// Accepts archives of up to `max_bytes` bytes.
    pub fn new(uploads: Arc<dyn Uploads>, max_bytes: u64) -> Self {
        Self { uploads, max_bytes, slots: Semaphore::new(MAX_CONCURRENT_UPLOADS) }
    }
}
