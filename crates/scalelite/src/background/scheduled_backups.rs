//! Makes backups in intervals (BACKUP_DIR), and deletes the oldest of those that it has made itself.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use app::backup_schedule::{choose_expired, is_backup_name, name_backup};
use app::blocking::BACKUPS;
use app::ports::Clock;

use super::runner::{JobResult, NextRun, PeriodicJob, Schedule};
use crate::wiring::backup::{Backups, describe_backup};

/// Wait after a failure.
const RETRY_DELAY: Duration = Duration::from_secs(600);

pub(super) struct ScheduledBackups {
    pub(super) backups: Backups,
    pub(super) dir: PathBuf,
    pub(super) interval: Duration,
    pub(super) keep: usize,
    pub(super) clock: Arc<dyn Clock>,
}

impl PeriodicJob for ScheduledBackups {
    fn schedule(&self) -> Schedule {
        Schedule {
            name: "backup",
            failure: "scheduled backup failed",
            interval: self.interval,
            initial_delay: Duration::ZERO,
            retry_delay: RETRY_DELAY.min(self.interval),
            // One backup of a shared store is enough.
            shared: true,
            interruptible: false,
        }
    }

    async fn run(&mut self, _run_number: u64) -> JobResult {
        let name = name_backup(self.clock.now());
        let file = self.dir.join(&name);
        // A mount point without its mount would take the backup, and hide it later.
        let (backups, dir) = (self.backups.clone(), self.dir.clone());
        let problem = BACKUPS.run(move || backups.find_directory_problem(&dir)).await?;
        let failure = match problem {
            Some(problem) => Some(problem),
            None => self.backups.write(&file).await.err().map(|error| error.to_string()),
        };
        if let Some(error) = failure {
            tracing::error!(error, file = %file.display(), "scheduled backup failed");
            // The claim of this run is kept: the next attempt is this replica's as well.
            return Ok(NextRun::After(RETRY_DELAY.min(self.interval)));
        }
        tracing::info!(file = %file.display(), "backup written");
        let (dir, keep) = (self.dir.clone(), self.keep);
        BACKUPS.run(move || delete_expired(&dir, &name, keep)).await??;
        Ok(NextRun::Scheduled)
    }
}

/// Deletes backups of the schedule beyond the last ones.
fn delete_expired(dir: &Path, newest: &str, keep: usize) -> std::io::Result<()> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        // Names that begin with a dot are what a kill has left of a backup.
        let own = name.strip_prefix('.').and_then(|name| name.split_once(".partial"));
        if own.is_some_and(|(name, _)| is_backup_name(name) && name != newest) {
            let _ = std::fs::remove_file(entry.path());
        }
        // A file that somebody has given such a name is theirs.
        let is_ours = || describe_backup(&entry.path()).is_some_and(|info| info.is_scheduled);
        if is_backup_name(&name) && entry.file_type()?.is_file() && is_ours() {
            names.push(name);
        }
    }
    for name in choose_expired(names, newest, keep) {
        std::fs::remove_file(dir.join(&name))?;
        tracing::info!(file = name, "old backup deleted");
    }
    Ok(())
}
