//! Builds the probes of what a process needs: its stores, its directories, and a poller somewhere.

use std::sync::Arc;
use std::time::Duration;

use adapters::directory_probe::DirectoryProbe;
use app::health::{
    BlockedWorkProbe, MigrationsProbe, PollerProbe, RecordingStoreProbe, StateStoreProbe,
};
use app::ports::HealthProbe;

use super::WiredApp;
use crate::config::Config;
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
    probes.extend(
        directory_probes(config, wired, roles).into_iter().map(|probe| Arc::new(probe) as _),
    );
    probes
}

fn directory_probes(config: &Config, wired: &WiredApp, roles: Roles) -> Vec<DirectoryProbe> {
    let mut probes = Vec::new();
    if wired.uses_data_dir {
        probes.push(DirectoryProbe {
            name: "data-directory",
            path: wired.data_dir.clone(),
            min_free: MIN_DATA_BYTES,
            warn_free: WARN_DATA_BYTES,
        });
    }
    if wired.recordings.is_none() || config.recording_disabled {
        return probes;
    }
    let mut dirs = Vec::new();
    if roles.importer {
        dirs.push(("spool", &config.recording_spool_dir));
        dirs.push(("work-directory", &config.recording_work_dir));
    }
    if !config.s3_recording {
        dirs.push(("published-recordings", &config.recording_publish_dir));
        dirs.push(("unpublished-recordings", &config.recording_unpublish_dir));
    }
    // Archives wait for space, and everything else goes on: no reason to send nobody here any more.
    let warn_free = config.recording_min_free.0;
    probes.extend(dirs.into_iter().map(|(name, dir)| DirectoryProbe {
        name,
        path: dir.clone(),
        min_free: 0,
        warn_free,
    }));
    probes
}
