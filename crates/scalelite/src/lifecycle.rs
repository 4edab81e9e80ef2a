//! The life of the server process: start, signals, poll cycles, end.

use std::sync::Arc;
use std::time::Duration;

use app::poll::Rechecks;
use app::ports::{Recordings, StoreError, Turn};
use app::{App, keeper, planner, poll};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::task::TaskTracker;

use crate::caretaker::look_after;
use crate::config::Config;
use crate::http::listen::{Limits, Listener, serve};
use crate::http::{Gate, Placeholder, Uploading};
use crate::importing::{Looks, import_forever};
use crate::wiring::Wired;

/// How much later than it is due a poll cycle may be asked for, so that not all replicas ask at
/// once.
pub const JITTER_MAX: Duration = Duration::from_millis(100);
/// When to try again whether the store of recordings is ready.
const ADOPT_AGAIN: Duration = Duration::from_secs(5);
/// How often what placement foresees is brought up to date.
const FORESEE_EVERY: Duration = Duration::from_secs(10);
/// When to ask again after the store failed.
const TRY_AGAIN: Duration = Duration::from_secs(1);
/// Every so many cycles the versions of all servers are read.
const CYCLES_PER_VERSION: u64 = 10;
/// So many times in an interval servers that failed are asked again.
const RECHECKS: u32 = 12;
/// The names of the works of which replicas take turns.
const POLLS: &str = "polls";
const RECHECK: &str = "rechecks";

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
pub async fn run(config: &Config, wired: &Wired, roles: Roles) -> Result<(), String> {
    // Before anything is begun: who cannot listen has nothing to stop.
    let listener = match roles.api {
        true => Some(Listener::open(config.bind.as_ref(), config.port).await?),
        false => None,
    };
    let (stopper, stop) = watch::channel(false);
    let signals = signals(stopper)?;
    let works = works(config, wired, roles, &stop);
    let adopting = wired.recordings.clone().map(|recordings| tokio::spawn(adopt(recordings)));
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
fn works(
    config: &Config,
    wired: &Wired,
    roles: Roles,
    stop: &watch::Receiver<bool>,
) -> Vec<JoinHandle<()>> {
    let app = || wired.app.clone();
    let mut works = Vec::new();
    if roles.poller {
        let interval = Duration::from_millis(config.poll_interval.ms());
        works.push(tokio::spawn(poll_forever(app(), interval, stop.clone())));
    }
    if roles.api {
        works.push(tokio::spawn(foresee_forever(app(), stop.clone())));
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
async fn adopt(recordings: Arc<dyn Recordings>) {
    while let Err(error) = recordings.check_recordings().await {
        tracing::warn!(%error, "the store of recordings is not ready");
        tokio::time::sleep(ADOPT_AGAIN).await;
    }
}

/// Serves on a listener until told to stop.
pub async fn serve_until(
    config: &Config,
    wired: &Wired,
    listener: Listener,
    stop: watch::Receiver<bool>,
) {
    let app = wired.app.clone();
    let uploads = wired.uploads.clone();
    let gate = Arc::new(Gate {
        long_target: Placeholder::new(app.entropy.as_ref()),
        uploading: Uploading::new(uploads, config.recording_upload_max_bytes.0),
        app,
        theatre: wired.theatre.clone(),
        url_host: config.url_host.clone(),
        body_bytes_max: config.max_body_bytes.0,
        request_timeout: Duration::from_millis(config.request_timeout.ms()),
        background: TaskTracker::new(),
    });
    let limits = Limits {
        connections: usize::try_from(config.max_connections.0).unwrap_or(usize::MAX),
        idle: Duration::from_millis(config.idle_timeout.ms()),
        finish: Duration::from_millis(config.shutdown_timeout.ms()),
    };
    serve(listener, gate, limits, stop).await;
}

/// Tells the watch when SIGTERM or SIGINT comes; a second one ends the process at once.
///
/// # Errors
/// When signals cannot be waited for.
pub fn signals(stopper: watch::Sender<bool>) -> Result<JoinHandle<()>, String> {
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
pub async fn poll_forever(app: App, interval: Duration, stop: watch::Receiver<bool>) {
    // Side by side: a server that keeps a whole cycle waiting must not keep others from coming back.
    let rechecks = recheck_forever(app.clone(), interval / RECHECKS, stop.clone());
    tokio::join!(cycles_forever(app, interval, stop), rechecks);
}

async fn cycles_forever(app: App, interval: Duration, mut stop: watch::Receiver<bool>) {
    loop {
        let wait = tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => return,
            wait = poll_in_turn(&app, interval) => wait,
        };
        let jitter = JITTER_MAX.mul_f64(app.entropy.fraction());
        tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => return,
            () = tokio::time::sleep(wait.min(interval) + jitter) => {}
        }
    }
}

/// Asks the servers that failed once more, whenever it is our turn; none is asked twice at a time.
async fn recheck_forever(app: App, step: Duration, mut stop: watch::Receiver<bool>) {
    let rechecks = Rechecks::default();
    loop {
        let jitter = JITTER_MAX.mul_f64(app.entropy.fraction());
        tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => return,
            () = tokio::time::sleep(step + jitter) => {}
        }
        let rechecked = match in_turn(&app, RECHECK, step).await {
            Ok(Turn::Yours(_)) => rechecks.begin(&app).await,
            Ok(Turn::NotBefore(_)) => Ok(()),
            Err(error) => Err(error),
        };
        if let Err(error) = rechecked {
            tracing::error!(%error, "servers that failed were not asked again");
        }
    }
}

/// Polls if it is our turn; returns how long to wait until it may be again.
async fn poll_in_turn(app: &App, interval: Duration) -> Duration {
    let polled = match in_turn(app, POLLS, interval).await {
        Ok(Turn::NotBefore(due)) => {
            let wait_ms = due.ms_since(app.clock.now());
            return Duration::from_millis(u64::try_from(wait_ms).unwrap_or(0));
        }
        Ok(Turn::Yours(cycle)) => {
            let versions = cycle % CYCLES_PER_VERSION == 1;
            poll::all(app, versions, Some(cycle)).await
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
            TRY_AGAIN
        }
    }
}

/// Looks after the store, and asks whether it is our turn.
async fn in_turn(app: &App, work: &str, interval: Duration) -> Result<Turn, StoreError> {
    // Whatever the work: a server that was added is remembered long before the next poll of all.
    keeper::keep(app).await?;
    app.turns.turn(work, app.clock.now(), ms(interval)).await
}

/// In ms.
pub fn ms(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// Keeps what placement foresees up to date, until told to stop.
pub async fn foresee_forever(app: App, mut stop: watch::Receiver<bool>) {
    loop {
        if let Err(error) = planner::refresh(&app).await {
            tracing::warn!(%error, "placement foresees nothing new");
        }
        tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => return,
            () = tokio::time::sleep(FORESEE_EVERY) => {}
        }
    }
}
