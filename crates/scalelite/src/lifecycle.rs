//! The life of the server process: start, signals, poll cycles, end.

use std::sync::Arc;
use std::time::Duration;

use app::ports::{Recordings, Turn};
use app::{App, poll};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio_util::task::TaskTracker;

use crate::config::Config;
use crate::http::listen::{Limits, Listener, serve};
use crate::http::{Gate, Placeholder};
use crate::wiring::Wired;

/// How much later than it is due a poll cycle may be asked for, so that not all replicas ask at
/// once.
const JITTER_MAX: Duration = Duration::from_millis(100);
/// When to try again whether the store of recordings is ready.
const ADOPT_AGAIN: Duration = Duration::from_secs(5);
/// When to ask again after the store failed.
const TRY_AGAIN: Duration = Duration::from_secs(1);
/// Every so many cycles the versions of all servers are read.
const CYCLES_PER_VERSION: u64 = 10;
/// The name of the work of which replicas take turns.
const POLLS: &str = "polls";

/// What a process does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Roles {
    /// Answers HTTP.
    pub api: bool,
    /// Polls servers.
    pub poller: bool,
}

impl Roles {
    /// Reads `api,poller`.
    ///
    /// # Errors
    /// Names the part that is no role.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut roles = Self { api: false, poller: false };
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            match part {
                "api" => roles.api = true,
                "poller" => roles.poller = true,
                other => return Err(format!("{other} is not api or poller")),
            }
        }
        if roles.api || roles.poller { Ok(roles) } else { Err("a role is needed".to_owned()) }
    }
}

/// Runs until SIGTERM or SIGINT.
///
/// # Errors
/// When it cannot listen.
pub async fn run(config: &Config, wired: &Wired, roles: Roles) -> Result<(), String> {
    let (stopper, stop) = watch::channel(false);
    let signals = signals(stopper)?;
    let poller = roles.poller.then(|| {
        tokio::spawn(poll_forever(
            wired.app.clone(),
            Duration::from_millis(config.poll_interval.ms()),
            stop.clone(),
        ))
    });
    let adopting = wired.recordings.clone().map(|recordings| tokio::spawn(adopt(recordings)));
    if roles.api {
        let listener = Listener::open(config.bind.as_ref(), config.port).await?;
        let (url, data_dir) = (listener.url(), wired.data_dir.display());
        tracing::info!(url, %data_dir, version = env!("CARGO_PKG_VERSION"), "listening");
        serve_until(config, wired.app.clone(), listener, stop).await;
    } else {
        let mut stop = stop;
        let _ = stop.wait_for(|stop| *stop).await;
    }
    if let Some(poller) = poller {
        let _ = poller.await;
    }
    if let Some(adopting) = adopting {
        adopting.abort();
    }
    signals.abort();
    tracing::info!("stopped");
    Ok(())
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
    app: App,
    listener: Listener,
    stop: watch::Receiver<bool>,
) {
    let gate = Arc::new(Gate {
        long_target: Placeholder::new(app.entropy.as_ref()),
        app,
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
pub fn signals(stopper: watch::Sender<bool>) -> Result<tokio::task::JoinHandle<()>, String> {
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

/// Polls all servers whenever it is this process's turn, until told to stop: of all replicas one
/// polls in every interval.
pub async fn poll_forever(app: App, interval: Duration, mut stop: watch::Receiver<bool>) {
    let interval_ms = i64::try_from(interval.as_millis()).unwrap_or(i64::MAX);
    loop {
        let wait = tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => return,
            wait = poll_in_turn(&app, interval_ms) => wait,
        };
        let jitter = JITTER_MAX.mul_f64(app.entropy.fraction());
        tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => return,
            () = tokio::time::sleep(wait.min(interval) + jitter) => {}
        }
    }
}

/// Polls if it is our turn; returns how long to wait until it may be again.
async fn poll_in_turn(app: &App, interval_ms: i64) -> Duration {
    let polled = match app.turns.turn(POLLS, app.clock.now(), interval_ms).await {
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
