//! Recordings: directories and database put together.

use std::sync::Arc;

use adapters::blobs::directories::DirectoryBlobs;
use app::ports::Blobs;

use crate::config::Config;

/// Files of recordings.
pub(super) fn blobs(config: &Config) -> Arc<dyn Blobs> {
    let published = config.recording_publish_dir.clone();
    Arc::new(DirectoryBlobs::new(published, config.recording_unpublish_dir.clone()))
}
