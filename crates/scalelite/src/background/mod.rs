//! What the process does besides answering requests: one file for each job, and in `runner` the
//! loop that all of them share.

mod audit_writing;
mod callback_delivery;
mod callback_pruning;
mod certificate_expiry;
mod certificate_files;
mod certificate_renewal;
mod directory_watch;
mod drains;
mod end_checks;
mod file_moves;
mod forecasting;
mod health_watch;
mod heartbeats;
mod import_scan;
mod meeting_curves;
mod notifications;
mod offline_reminder;
mod poll_cycles;
mod rechecks;
mod retention;
mod runner;
mod sampling;
mod scheduled_backups;
mod store_adoption;
mod store_care;

use std::time::Duration;

use app::App;
use app::callbacks::CallbackRetention;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use self::audit_writing::{AuditPruning, AuditWriting};
use self::callback_delivery::CallbackDelivery;
use self::callback_pruning::CallbackPruning;
pub use self::certificate_expiry::CertificateExpiry;
pub use self::certificate_files::CertificateFilesJob;
pub use self::certificate_renewal::CertificateRenewal;
use self::directory_watch::DirectoryWatch;
use self::drains::Drains;
use self::end_checks::EndChecks;
use self::file_moves::FileMoves;
use self::forecasting::Forecasting;
use self::heartbeats::Heartbeats;
use self::import_scan::ImportScan;
use self::meeting_curves::MeetingObservation;
use self::offline_reminder::OfflineReminder;
use self::poll_cycles::PollCycles;
use self::rechecks::FailedServerRechecks;
use self::retention::RecordingRetention;
pub use self::runner::JobRunner;
use self::sampling::Sampling;
use self::scheduled_backups::ScheduledBackups;
use self::store_adoption::StoreAdoption;
use self::store_care::StoreCare;
use crate::config::Config;
use crate::config::values::Count;
use crate::lifecycle::Roles;
use crate::metrics::watch_loop_lag;
use crate::wiring::{WiredApp, health};

/// Starts the jobs of these roles. Each ends soon after `stop` becomes true.
pub fn start_jobs(
    config: &Config,
    wired: &WiredApp,
    roles: Roles,
    stop: &watch::Receiver<bool>,
) -> Vec<JoinHandle<()>> {
    let app = &wired.app;
    let runner = JobRunner::new(app, stop.clone());
    let probes = health::build_probes(config, wired, roles);
    let mut tasks = health_watch::start(probes, &wired.health, stop);
    tasks.push(start_audit(app, stop));
    if roles.poller {
        let keep_ms = i64::from(config.audit_keep_days.0).saturating_mul(86_400_000);
        tasks.push(runner.start(AuditPruning { app: app.clone(), keep_ms }));
    }
    tasks.extend(notifications::start(wired, roles.poller, &runner));
    if config.metrics_bind.is_some() || config.metrics_token.is_some() {
        tasks.push(watch_loop_lag(&wired.request_meters, stop));
    }
    if wired.recordings.is_some() {
        tasks.push(runner.start(StoreAdoption { app: app.clone() }));
        tasks.push(runner.start(DirectoryWatch::new(wired.recording_dirs.clone())));
    }
    if let Some(store) = wired.embedded.clone() {
        tasks.push(runner.start(StoreCare::new(store)));
    }
    if let (true, Some(backups), Some(dir)) = (roles.poller, &wired.backups, &config.backup_dir) {
        tasks.push(runner.start(ScheduledBackups {
            backups: backups.clone().scheduled(),
            dir: dir.clone(),
            interval: Duration::from_millis(config.backup_interval.ms()),
            keep: usize::try_from(config.backup_keep.0).unwrap_or(usize::MAX),
            clock: app.clock.clone(),
        }));
    }
    if roles.poller {
        let interval = Duration::from_millis(config.poll_interval.ms());
        tasks.extend(start_polling(app, interval, stop));
        tasks.push(runner.start(OfflineReminder { app: app.clone() }));
        tasks.push(runner.start(Drains { app: app.clone() }));
        tasks.push(start_sampling(app, stop));
    }
    let heartbeat_interval = Duration::from_secs(config.heartbeat_interval.0.into());
    if !heartbeat_interval.is_zero() {
        tasks.push(runner.start(Heartbeats { app: app.clone(), interval: heartbeat_interval }));
    }
    if roles.api {
        tasks.push(start_forecasting(app, stop));
        let curves = wired.meeting_curves.clone();
        tasks.push(runner.start(MeetingObservation { app: app.clone(), curves }));
    }
    if let Some(importer) = wired.importer.clone().filter(|_| roles.importer) {
        tasks.push(runner.start(ImportScan::new(config, app.clone(), importer, stop.clone())));
    }
    if wired.recordings.is_some() && roles.poller {
        tasks.push(runner.start(FileMoves { app: app.clone() }));
        tasks.push(runner.start(EndChecks { app: app.clone() }));
        tasks.push(runner.start(CallbackDelivery { app: app.clone() }));
        let rule = callback_retention(config);
        tasks.push(runner.start(CallbackPruning { app: app.clone(), rule }));
        if app.policy.recordings.retention.is_some() {
            tasks.push(runner.start(RecordingRetention { app: app.clone() }));
        }
    }
    tasks
}

/// How long messages and addresses of callbacks are kept.
fn callback_retention(config: &Config) -> CallbackRetention {
    let days = |Count(days): Count| (days > 0).then(|| i64::from(days) * 86_400_000);
    CallbackRetention {
        message_ms: days(config.callback_retention_days),
        address_ms: days(config.callback_address_retention_days),
    }
}

/// Starts the samples of the pool.
pub fn start_sampling(app: &App, stop: &watch::Receiver<bool>) -> JoinHandle<()> {
    JobRunner::new(app, stop.clone()).start(Sampling { app: app.clone() })
}

/// Starts the polls of all servers and, in between, those of servers that failed. Of all replicas
/// one polls in every interval.
pub fn start_polling(
    app: &App,
    interval: Duration,
    stop: &watch::Receiver<bool>,
) -> [JoinHandle<()>; 2] {
    let runner = JobRunner::new(app, stop.clone());
    // Two jobs, since a server that delays a whole cycle must not keep others from coming back.
    [
        runner.start(PollCycles { app: app.clone(), interval }),
        runner.start(FailedServerRechecks::new(app.clone(), interval)),
    ]
}

/// Starts the job that writes the queued records of the audit.
pub fn start_audit(app: &App, stop: &watch::Receiver<bool>) -> JoinHandle<()> {
    JobRunner::new(app, stop.clone()).start(AuditWriting { app: app.clone() })
}

/// Starts the job that keeps the load forecast of this process up to date.
pub fn start_forecasting(app: &App, stop: &watch::Receiver<bool>) -> JoinHandle<()> {
    JobRunner::new(app, stop.clone()).start(Forecasting { app: app.clone() })
}
