//! The life of the server process: start, signals, poll cycles, end.

use std::sync::Arc;
use std::time::Duration;

use app::poll::Rechecks;
use app::ports::{JobClaim, Recordings, StoreError};
use app::{App, forecaster, poll, server_backup};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::task::TaskTracker;

use crate::caretaker::look_after;
use crate::config::Config;
use crate::http::listen::{ConnectionLimits, Listener, serve};
use crate::http::{HttpState, UploadService};
use crate::importing::{Looks, import_forever};
use crate::wiring::WiredApp;

/// How much later than it is due a poll cycle may be asked for, so that not all replicas ask at
/// once.
pub const MAX_JITTER: Duration = Duration::from_millis(100);
/// When to try again whether the store of recordings is ready.
const ADOPT_RETRY_DELAY: Duration = Duration::from_secs(5);
/// How often what placement foresees is brought up to date.
const FORECAST_INTERVAL: Duration = Duration::from_secs(10);
/// When to ask again after the store failed.
const RETRY_DELAY: Duration = Duration::from_secs(1);
/// Every so many cycles the versions of all servers are read.
const VERSION_POLL_CYCLES: u64 = 10;
/// So many times in an interval servers that failed are asked again.
const RECHECKS_PER_INTERVAL: u32 = 12;
/// The names of the works of which replicas take turns.
const POLL_JOB: &str = "polls";
const RECHECK_JOB: &str = "rechecks";

/// What a process does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Roles {
    /// Answers HTTP.
    pub api: bool,
    /// Polls servers.
    pub poller: bool,
    /// Imports recordings.
    pub importer: bool,
}

impl Roles {
    /// Reads `api,poller,importer`.
    ///
    /// # Errors
    /// Names the part that is no role.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut roles = Self { api: false, poller: false, importer: false };
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            match part {
                "api" => roles.api = true,
                "poller" => roles.poller = true,
                "importer" => roles.importer = true,
                other => return Err(format!("{other} is not api, poller or importer")),
            }
        }
        let any = roles.api || roles.poller || roles.importer;
        if any { Ok(roles) } else { Err("a role is needed".to_owned()) }
    }
}

/// Runs until SIGTERM or SIGINT.
///
/// # Errors
/// When it cannot listen.
pub async fn run(config: &Config, wired: &WiredApp, roles: Roles) -> Result<(), String> {
    // Before anything is begun: who cannot listen has nothing to stop.
    let listener = match roles.api {
        true => Some(Listener::open(config.bind.as_ref(), config.port).await?),
        false => None,
    };
    let (stopper, stop) = watch::channel(false);
    let signals = listen_for_signals(stopper)?;
    let works = start_background_jobs(config, wired, roles, &stop);
    let adopting =
        wired.recordings.clone().map(|recordings| tokio::spawn(adopt_recording_store(recordings)));
    if let Some(listener) = listener {
        let (url, data_dir) = (listener.url(), wired.data_dir.display());
        tracing::info!(url, %data_dir, version = env!("CARGO_PKG_VERSION"), "listening");
        serve_until(config, wired, listener, stop).await;
    } else {
        let mut stop = stop;
        let _ = stop.wait_for(|stop| *stop).await;
    }
    // What has begun is finished: polls, and the import at hand.
    for work in works {
        let _ = work.await;
    }
    if let Some(adopting) = adopting {
        adopting.abort();
    }
    signals.abort();
    tracing::info!("stopped");
    Ok(())
}

/// Begins what goes on beside the requests, until told to stop.
fn start_background_jobs(
    config: &Config,
    wired: &WiredApp,
    roles: Roles,
    stop: &watch::Receiver<bool>,
) -> Vec<JoinHandle<()>> {
    let app = || wired.app.clone();
    let mut works = Vec::new();
    if roles.poller {
        let interval = Duration::from_millis(config.poll_interval.ms());
        works.push(tokio::spawn(run_polling(app(), interval, stop.clone())));
    }
    if roles.api {
        works.push(tokio::spawn(run_forecasting(app(), stop.clone())));
    }
    if let Some(importer) = wired.importer.clone().filter(|_| roles.importer) {
        let looks = Looks::of(config);
        works.push(tokio::spawn(import_forever(importer, looks, stop.clone())));
    }
    if wired.recordings.is_some() && roles.poller {
        works.push(tokio::spawn(look_after(app(), stop.clone())));
    }
    works
}

/// Uses the store of recordings once, so that its schema is brought up to date when the process
/// starts and not at the first recording.
async fn adopt_recording_store(recordings: Arc<dyn Recordings>) {
    while let Err(error) = recordings.check_recording_store().await {
        tracing::warn!(%error, "the store of recordings is not ready");
        tokio::time::sleep(ADOPT_RETRY_DELAY).await;
    }
}

/// Serves on a listener until told to stop.
pub async fn serve_until(
    config: &Config,
    wired: &WiredApp,
    listener: Listener,
    stop: watch::Receiver<bool>,
) {
    let app = wired.app.clone();
    let uploads = wired.uploads.clone();
    let gate = Arc::new(HttpState {
        upload_service: UploadService::new(uploads, config.recording_upload_max_bytes.0),
        app,
        playback: wired.playback.clone(),
        url_host: config.url_host.clone(),
        max_body_bytes: config.max_body_bytes.0,
        request_timeout: Duration::from_millis(config.request_timeout.ms()),
        background: TaskTracker::new(),
    });
    let limits = ConnectionLimits {
        max_connections: usize::try_from(config.max_connections.0).unwrap_or(usize::MAX),
        idle_timeout: Duration::from_millis(config.idle_timeout.ms()),
        shutdown_timeout: Duration::from_millis(config.shutdown_timeout.ms()),
    };
    serve(listener, gate, limits, stop).await;
}

/// Tells the watch when SIGTERM or SIGINT comes; a second one ends the process at once.
///
/// # Errors
/// When signals cannot be waited for.
pub fn listen_for_signals(stopper: watch::Sender<bool>) -> Result<JoinHandle<()>, String> {
    let open = |kind| signal(kind).map_err(|error| format!("cannot wait for signals: {error}"));
    let mut terminate = open(SignalKind::terminate())?;
    let mut interrupt = open(SignalKind::interrupt())?;
    Ok(tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopping: requests in flight may finish");
        stopper.send_replace(true);
        // Whoever asks twice means now.
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        std::process::exit(130);
    }))
}

/// Polls all servers whenever it is this process's turn, and those that failed more often, until
/// told to stop: of all replicas one polls in every interval.
pub async fn run_polling(app: App, interval: Duration, stop: watch::Receiver<bool>) {
    // Side by side: a server that keeps a whole cycle waiting must not keep others from coming back.
    let rechecks = run_rechecks(app.clone(), interval / RECHECKS_PER_INTERVAL, stop.clone());
    tokio::join!(run_poll_cycles(app, interval, stop), rechecks);
}

async fn run_poll_cycles(app: App, interval: Duration, mut stop: watch::Receiver<bool>) {
    loop {
        let wait = tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => return,
            wait = poll_if_due(&app, interval) => wait,
        };
        let jitter = MAX_JITTER.mul_f64(app.entropy.generate_fraction());
        tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => return,
            () = tokio::time::sleep(wait.min(interval) + jitter) => {}
        }
    }
}

/// Asks the servers that failed once more, whenever it is our turn; none is asked twice at a time.
async fn run_rechecks(app: App, step: Duration, mut stop: watch::Receiver<bool>) {
    let rechecks = Rechecks::default();
    loop {
        let jitter = MAX_JITTER.mul_f64(app.entropy.generate_fraction());
        tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => return,
            () = tokio::time::sleep(step + jitter) => {}
        }
        let rechecked = match claim_job_run(&app, RECHECK_JOB, step).await {
            Ok(JobClaim::Claimed(_)) => rechecks.start_due(&app).await,
            Ok(JobClaim::NotBefore(_)) => Ok(()),
            Err(error) => Err(error),
        };
        if let Err(error) = rechecked {
            tracing::error!(%error, "servers that failed were not asked again");
        }
    }
}

/// Polls if it is our turn; returns how long to wait until it may be again.
async fn poll_if_due(app: &App, interval: Duration) -> Duration {
    let polled = match claim_job_run(app, POLL_JOB, interval).await {
        Ok(JobClaim::NotBefore(due)) => {
            let wait_ms = due.ms_since(app.clock.now());
            return Duration::from_millis(u64::try_from(wait_ms).unwrap_or(0));
        }
        Ok(JobClaim::Claimed(cycle)) => {
            let versions = cycle % VERSION_POLL_CYCLES == 1;
            poll::poll_all_servers(app, versions, Some(cycle)).await
        }
        Err(error) => Err(error),
    };
    match polled {
        Ok(found) => {
            let (answered, failed) = (found.answered, found.failed);
            tracing::debug!(answered, failed, forgotten = found.forgotten, "polled");
            Duration::ZERO
        }
        Err(error) => {
            tracing::error!(%error, "poll cycle failed");
            RETRY_DELAY
        }
    }
}

/// Looks after the store, and asks whether it is our turn.
async fn claim_job_run(app: &App, work: &str, interval: Duration) -> Result<JobClaim, StoreError> {
    // Whatever the work: a server that was added is remembered long before the next poll of all.
    server_backup::save_or_restore(app).await?;
    app.periodic_jobs.claim_run(work, app.clock.now(), to_ms(interval)).await
}

/// In ms.
pub fn to_ms(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// Keeps what placement foresees up to date, until told to stop.
pub async fn run_forecasting(app: App, mut stop: watch::Receiver<bool>) {
    loop {
        if let Err(error) = forecaster::refresh(&app).await {
            tracing::warn!(%error, "placement foresees nothing new");
        }
        tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => return,
            () = tokio::time::sleep(FORECAST_INTERVAL) => {}
        }
    }
}
