//! Imports the archives in the spool directory: scans it in intervals, and sooner if the kernel
//! reports a new file.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use app::App;
use app::recordings::import::{Importer, ScanResult, note_kept};
use app::state::{FailureLog, FailureNote};
use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use super::runner::{JobResult, NextRun, PeriodicJob, Schedule};
use crate::config::Config;

/// Wait if an archive may still be growing, or could not be imported yet.
const INCOMPLETE_DELAY: Duration = Duration::from_millis(1_050);
/// Wait after a failure.
const RETRY_DELAY: Duration = Duration::from_secs(5);
/// Time between two scans without RECORDING_IMPORT_POLL, for files that the kernel did not report.
const FALLBACK_INTERVAL: Duration = Duration::from_secs(600);

pub(super) struct ImportScan {
    app: App,
    importer: Importer,
    spool_dir: PathBuf,
    interval: Duration,
    stop: watch::Receiver<bool>,
    /// Notified when a file arrives.
    arrival: Arc<Notify>,
    watcher: Option<RecommendedWatcher>,
    /// Why archives cannot be imported, as the last scan found; empty if they can.
    suspended_because: String,
    failures: FailureLog,
}

impl ImportScan {
    pub(super) fn new(
        config: &Config,
        app: App,
        importer: Importer,
        stop: watch::Receiver<bool>,
    ) -> Self {
        let interval = Duration::from_millis(config.recording_import_poll_interval.ms());
        let interval = if config.recording_import_poll { interval } else { FALLBACK_INTERVAL };
        Self {
            app,
            importer,
            spool_dir: config.recording_spool_dir.clone(),
            interval,
            stop,
            arrival: Arc::default(),
            watcher: None,
            suspended_because: String::new(),
            failures: FailureLog::default(),
        }
    }

    /// Logs why imports are suspended when the reason changes and once an hour, not in every scan.
    fn log_change(&mut self, reason: String) {
        let has_changed = reason != self.suspended_because;
        let now = Instant::now();
        if reason.is_empty() {
            if let Some(past) = self.failures.note_success(now) {
                tracing::info!(lasted_s = past.lasted.as_secs(), "recording imports resumed");
            }
        } else {
            match self.failures.note_failure(now) {
                FailureNote::Silent if !has_changed => {}
                FailureNote::Reminder(past) if !has_changed => {
                    let lasted_s = past.lasted.as_secs();
                    tracing::error!(reason, lasted_s, "recording imports still suspended");
                }
                _ => tracing::error!(reason, "recording imports suspended"),
            }
        }
        self.suspended_because = reason;
    }
}

impl PeriodicJob for ImportScan {
    fn schedule(&self) -> Schedule {
        Schedule {
            name: "imports",
            failure: "spool scan failed",
            interval: self.interval,
            initial_delay: Duration::ZERO,
            retry_delay: RETRY_DELAY,
            // All replicas import: each archive is claimed by one of them.
            shared: false,
            // The import of an archive that was begun is finished.
            interruptible: false,
        }
    }

    async fn run(&mut self, _run_number: u64) -> JobResult {
        if self.watcher.is_none() {
            self.watcher = watch_spool(&self.spool_dir, &self.arrival);
        }
        let stop = &self.stop;
        let scanned = self.importer.scan(|| *stop.borrow()).await;
        if let Ok(result) = &scanned {
            note_kept(&self.app, &result.kept);
        }
        let (delay, reason) = match scanned {
            Ok(ScanResult { full_reason: Some(reason), .. }) => (RETRY_DELAY, reason),
            Ok(result) if result.has_incomplete || result.has_waiting => {
                (INCOMPLETE_DELAY, String::new())
            }
            Ok(_) => (self.interval, String::new()),
            Err(error) => (RETRY_DELAY, error.to_string()),
        };
        self.log_change(reason);
        Ok(NextRun::After(delay.min(self.interval)))
    }

    async fn wake_up(&mut self) {
        self.arrival.notified().await;
    }
}

/// Has the kernel report new files in the spool. `None` if that is impossible, as it is while the
/// directory is missing. Network file systems report nothing of what other machines write.
fn watch_spool(spool_dir: &Path, arrival: &Arc<Notify>) -> Option<RecommendedWatcher> {
    let arrival = Arc::clone(arrival);
    let on_event = move |event: notify::Result<notify::Event>| {
        if event.is_ok_and(|event| is_arrival(&event)) {
            arrival.notify_one();
        }
    };
    let mut watcher = notify::recommended_watcher(on_event).ok()?;
    watcher.watch(spool_dir, RecursiveMode::NonRecursive).ok()?;
    Some(watcher)
}

/// Whether an event reports a new file. Names that begin with a dot are unfinished uploads and the
/// importer's own files.
fn is_arrival(event: &notify::Event) -> bool {
    let is_new = matches!(
        event.kind,
        notify::EventKind::Create(_)
            | notify::EventKind::Modify(notify::event::ModifyKind::Name(_))
    );
    let is_hidden =
        |path: &Path| path.file_name().is_none_or(|name| name.as_encoded_bytes().starts_with(b"."));
    is_new && event.paths.iter().any(|path| !is_hidden(path))
}
