//! Watches the directories of recordings: logs when one is missing or not mounted and when it is back, and remembers
//! those that are there.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use app::ports::RecordingDirs;

use super::runner::{JobResult, NextRun, PeriodicJob, Schedule};

/// Time between two looks.
const INTERVAL: Duration = Duration::from_secs(5);

pub(super) struct DirectoryWatch {
    dirs: Arc<dyn RecordingDirs>,
    /// The faults that the log has told, with their reasons, by settings.
    told: BTreeMap<&'static str, String>,
}

impl DirectoryWatch {
    pub(super) fn new(dirs: Arc<dyn RecordingDirs>) -> Self {
        Self { dirs, told: BTreeMap::new() }
    }
}

impl PeriodicJob for DirectoryWatch {
    fn schedule(&self) -> Schedule {
        Schedule {
            name: "directory_watch",
            failure: "directories of recordings not remembered",
            interval: INTERVAL,
            initial_delay: Duration::ZERO,
            retry_delay: Duration::from_secs(600),
            // Each machine has mounts of its own.
            shared: false,
            interruptible: true,
        }
    }

    async fn run(&mut self, _run_number: u64) -> JobResult {
        let faults = self.dirs.find_directory_faults().await;
        let is_gone = |setting: &str| faults.iter().all(|fault| fault.setting != setting);
        self.told.retain(|setting, _| {
            let is_gone = is_gone(setting);
            if is_gone {
                tracing::info!(setting, "directory of recordings can be used again");
            }
            !is_gone
        });
        for fault in faults {
            let (setting, path, reason) = (fault.setting, fault.path, fault.reason);
            if self.told.get(setting) != Some(&reason) {
                let advice = fault.advice;
                tracing::error!(
                    setting,
                    path,
                    reason,
                    advice,
                    "directory of recordings cannot be used"
                );
                self.told.insert(setting, reason);
            }
        }
        self.dirs.remember_directories().await?;
        Ok(NextRun::Scheduled)
    }
}
