//! The life of the server process: its roles, start, signals and stop.

use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::task::TaskTracker;

use crate::background;
use crate::config::Config;
use crate::http::listen::{ConnectionLimits, Listener, serve};
use crate::http::{HttpState, UploadService};
use crate::wiring::WiredApp;

/// The exit code of a process that a second signal ends.
const INTERRUPTED_EXIT_CODE: i32 = 130;

/// Which parts of the work a process does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Roles {
    /// Answers HTTP requests.
    pub api: bool,
    /// Polls servers.
    pub poller: bool,
    /// Imports recordings.
    pub importer: bool,
}

impl Roles {
    /// Parses a list like `api,poller,importer`.
    ///
    /// # Errors
    /// When a part of the list is not a role, or the list is empty.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut roles = Self { api: false, poller: false, importer: false };
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            match part {
                "api" => roles.api = true,
                "poller" => roles.poller = true,
                "importer" => roles.importer = true,
                unknown => return Err(format!("{unknown} is not api, poller or importer")),
            }
        }
        let any = roles.api || roles.poller || roles.importer;
        if any { Ok(roles) } else { Err("at least one role is required".to_owned()) }
    }
}

/// Runs until SIGTERM or SIGINT.
///
/// # Errors
/// When the process cannot listen or wait for signals.
pub async fn run(config: &Config, wired: &WiredApp, roles: Roles) -> Result<(), String> {
    // First, since a process that cannot listen must not have started anything else.
    let listener = match roles.api {
        true => Some(Listener::open(config.bind.as_ref(), config.port).await?),
        false => None,
    };
    let (stopper, mut stop) = watch::channel(false);
    let signals = listen_for_signals(stopper)?;
    let jobs = background::start_jobs(config, wired, roles, &stop);
    if let Some(listener) = listener {
        let (url, data_dir) = (listener.url(), wired.data_dir.display());
        tracing::info!(url, %data_dir, version = env!("CARGO_PKG_VERSION"), "listening");
        serve_until(config, wired, listener, stop).await;
    } else {
        tracing::info!(version = env!("CARGO_PKG_VERSION"), "started without listening");
        let _ = stop.wait_for(|stop| *stop).await;
    }
    // Each job finishes what it must finish, such as the import of an archive.
    for job in jobs {
        let _ = job.await;
    }
    signals.abort();
    tracing::info!("stopped");
    Ok(())
}

/// Serves requests until `stop` becomes true.
pub async fn serve_until(
    config: &Config,
    wired: &WiredApp,
    listener: Listener,
    stop: watch::Receiver<bool>,
) {
    let app = wired.app.clone();
    let uploads = wired.uploads.clone();
    let state = Arc::new(HttpState {
        upload_service: UploadService::new(
            uploads,
            config.recording_upload_max_bytes.0,
            usize::try_from(config.recording_uploads_per_server.0).unwrap_or(usize::MAX),
        ),
        app,
        playback: wired.playback.clone(),
        url_host: config.url_host.as_ref().map(|host| host.host().to_owned()),
        max_body_bytes: config.max_body_bytes.0,
        request_timeout: Duration::from_millis(config.request_timeout.ms()),
        background: TaskTracker::new(),
    });
    let limits = ConnectionLimits {
        max_connections: usize::try_from(config.max_connections.0).unwrap_or(usize::MAX),
        idle_timeout: Duration::from_millis(config.idle_timeout.ms()),
        shutdown_timeout: Duration::from_millis(config.shutdown_timeout.ms()),
    };
    serve(listener, state, limits, stop).await;
}

/// Sends true to `stopper` on SIGTERM or SIGINT. A second signal ends the process immediately.
///
/// # Errors
/// When the process cannot wait for signals.
pub fn listen_for_signals(stopper: watch::Sender<bool>) -> Result<JoinHandle<()>, String> {
    let open = |kind| signal(kind).map_err(|error| format!("cannot wait for signals: {error}"));
    let mut terminate = open(SignalKind::terminate())?;
    let mut interrupt = open(SignalKind::interrupt())?;
    Ok(tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopping: waiting for open requests");
        stopper.send_replace(true);
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        std::process::exit(INTERRUPTED_EXIT_CODE);
    }))
}
