//! Recordings: directories and database put together.

use std::sync::Arc;

use adapters::blobs::directories::DirectoryBlobs;
use adapters::spool::{SpoolDir, UploadDir};
use app::App;
use app::ports::{Blobs, Uploads};
use app::recordings::import::{ImportRules, Importer};

use crate::config::Config;

/// Files of recordings.
pub(super) fn blobs(config: &Config) -> Arc<dyn Blobs> {
    let published = config.recording_publish_dir.clone();
    Arc::new(DirectoryBlobs::new(published, config.recording_unpublish_dir.clone()))
}

/// What imports recordings, if there is a database and nobody has switched them off.
pub(super) fn importer(config: &Config, app: &App) -> Option<Importer> {
    let records = app.records.clone().filter(|_| !config.recording_disabled)?;
    let aside = config.recording_quarantine_dir.clone();
    let spool = SpoolDir::new(
        config.recording_spool_dir.clone(),
        config.recording_work_dir.clone(),
        aside.unwrap_or_else(|| config.recording_work_dir.join("quarantine")),
    );
    Some(Importer {
        records,
        blobs: app.blobs.clone(),
        spool: Arc::new(spool),
        clock: app.clock.clone(),
        entropy: app.entropy.clone(),
        rules: ImportRules {
            unpublished: config.recording_import_unpublished,
            protected: config.protected_recordings_enabled,
        },
    })
}

/// Uploads into the spool.
pub(super) fn uploads(config: &Config) -> Arc<dyn Uploads> {
    Arc::new(UploadDir::new(config.recording_spool_dir.clone()))
}
