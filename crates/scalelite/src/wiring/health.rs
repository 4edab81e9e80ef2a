//! Builds the probes of what a process needs: its stores, its directories, and a poller somewhere.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use adapters::directory_probe::DirectoryProbe;
use app::health::{
    BlockedWorkProbe, MigrationsProbe, PollerProbe, RecordingStoreProbe, StateStoreProbe,
};
use app::ports::{HealthProbe, PartHealth, RecordingDirs};
use async_trait::async_trait;

use super::WiredApp;
use crate::config::Config;
use crate::config::settings::SETTINGS;
use crate::lifecycle::Roles;

/// With less free space the data directory cannot be used: the embedded store may stop at any time.
const MIN_DATA_BYTES: u64 = 20 << 20;
/// With less free space it is time to look at the data directory.
const WARN_DATA_BYTES: u64 = 500 << 20;

/// Builds the probes of a process with these roles.
pub fn build_probes(config: &Config, wired: &WiredApp, roles: Roles) -> Vec<Arc<dyn HealthProbe>> {
    let app = &wired.app;
    let mut probes: Vec<Arc<dyn HealthProbe>> = vec![Arc::new(StateStoreProbe(app.clone()))];
    if let Some(recordings) = app.recording_store.clone() {
        probes.push(Arc::new(RecordingStoreProbe(recordings)));
    }
    probes.push(Arc::new(MigrationsProbe::new(app.clone())));
    probes.push(Arc::new(BlockedWorkProbe));
    let interval = Duration::from_millis(config.poll_interval.ms());
    probes.push(Arc::new(PollerProbe::new(app.clone(), interval)));
    add_directories(config, wired, roles, &mut probes);
    probes
}

fn add_directories(
    config: &Config,
    wired: &WiredApp,
    roles: Roles,
    probes: &mut Vec<Arc<dyn HealthProbe>>,
) {
    if wired.uses_data_dir {
        probes.push(Arc::new(DirectoryProbe {
            board: wired.health.clone(),
            name: "data-directory",
            path: wired.data_dir.clone(),
            min_free: MIN_DATA_BYTES,
            warn_free: WARN_DATA_BYTES,
        }));
    }
    if wired.recordings.is_none() || config.recording_disabled {
        return;
    }
    let mut dirs = Vec::new();
    if roles.importer {
        dirs.push(("spool", "RECORDING_SPOOL_DIR", &config.recording_spool_dir));
        dirs.push(("work-directory", "RECORDING_WORK_DIR", &config.recording_work_dir));
    }
    if !config.s3_recording {
        let published = &config.recording_publish_dir;
        dirs.push(("published-recordings", "RECORDING_PUBLISH_DIR", published));
        let unpublished = &config.recording_unpublish_dir;
        dirs.push(("unpublished-recordings", "RECORDING_UNPUBLISH_DIR", unpublished));
    }
    // Archives wait for space, and everything else goes on: no reason to send nobody here any more.
    let (min_free, warn_free) = (0, config.recording_min_free.0);
    for (name, setting, path) in dirs {
        let path = path.clone();
        let dirs = wired.recording_dirs.clone();
        let board = wired.health.clone();
        let directory = DirectoryProbe { board, name, path, min_free, warn_free };
        probes.push(Arc::new(RecordingDirProbe { setting, directory, dirs }));
    }
}

/// A directory of recordings. Whether one that is missing is missed is a rule of its own: the default directories of a machine that has
/// never had recordings are not.
struct RecordingDirProbe {
    setting: &'static str,
    directory: DirectoryProbe,
    dirs: Arc<dyn RecordingDirs>,
}

impl RecordingDirProbe {
    /// Whether the directory is the one that the setting has by default.
    fn is_default(&self) -> bool {
        let setting = SETTINGS.iter().find(|setting| setting.name == self.setting);
        setting.is_some_and(|setting| Path::new(setting.default) == self.directory.path)
    }
}

#[async_trait]
impl HealthProbe for RecordingDirProbe {
    fn name(&self) -> &'static str {
        self.directory.name
    }

    async fn probe(&self) -> PartHealth {
        let faults = self.dirs.find_directory_faults().await;
        if let Some(fault) = faults.into_iter().find(|fault| fault.setting == self.setting) {
            return PartHealth::Failed(format!("{}: {}", fault.path, fault.reason));
        }
        match self.directory.probe().await {
            PartHealth::Failed(_) if self.is_default() && self.directory.is_missing().await => {
                PartHealth::Ok
            }
            health => health,
        }
    }
}
