//! The life of the server process: its roles, start, signals and stop.

pub mod metrics;
pub mod tls;

use std::sync::Arc;
use std::time::Duration;

use app::App;
use app::audit;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::task::TaskTracker;

use self::tls::TlsParts;
use crate::checks::ServingChecks;
use crate::config::values::{PublicHost, Secret};
use crate::config::{Config, Sources};
use crate::http::listen::{ConnectionLimits, CurrentState, Listener, ServedSocket, serve};
use crate::http::{
    Administration, Audience, ConnectionRules, Connections, HealthChecks, HostRules, HttpState,
    HttpsRules, ManagementRules, ProxyRules, ShownSetting, UploadService,
};
use crate::reload::Reloader;
use crate::service_manager;
use crate::telemetry::LogFlusher;
use crate::wiring::WiredApp;

/// The exit code of a process that a second signal ends.
const INTERRUPTED_EXIT_CODE: i32 = 130;

/// How long the last records of the audit may take to be written when the process stops.
const LAST_WRITE_TIME: Duration = Duration::from_secs(2);
/// Largest number of requests of administrators that are answered at the same time.
const MANAGEMENT_REQUESTS: usize = 64;

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

/// What [`run`] needs besides the application.
pub struct Service<'a> {
    /// The settings.
    pub config: &'a Config,
    /// Where they were read from.
    pub sources: &'a Sources,
    /// The work that this process does.
    pub roles: Roles,
    /// Signals that ask for a reload.
    pub hangups: Signal,
    /// The log.
    pub log: &'a LogFlusher,
}

/// Runs until SIGTERM or SIGINT. SIGHUP reloads the settings.
///
/// # Errors
/// When the process cannot listen or wait for signals.
pub async fn run(service: Service<'_>, wired: &WiredApp) -> Result<(), String> {
    let Service { config, sources, roles, hangups, log } = service;
    // First, since a process that cannot listen must not have started anything else.
    let listener = match roles.api {
        true => Some(Listener::open(config.bind.as_ref(), config.port).await?),
        false => None,
    };
    let management_listener = open_management_listener(config, roles).await?;
    let metrics_listener = metrics::open_listener(config).await?;
    let tls = if roles.api { TlsParts::open(config, wired).await? } else { None };
    let (stopper, mut stop) = watch::channel(false);
    let signals = listen_for_signals(stopper)?;
    let mut first_state = build_http_state(config, wired, None);
    first_state.administration.settings = describe_settings(sources);
    first_state.administration.checks = Some(Arc::new(ServingChecks::new(config, sources, wired)));
    let (state, current) = watch::channel(Arc::new(first_state));
    let reloader = Reloader {
        hangups,
        sources: sources.clone(),
        config: config.clone(),
        wired: wired.clone(),
        roles,
        log,
        state,
    };
    let (state_store, recording_store) = wired.stores.describe_within(&wired.data_dir);
    let version = env!("CARGO_PKG_VERSION");
    let settings = sources.describe();
    let tls_jobs = tls.as_ref().map(|tls| tls.start_jobs(config, wired, &stop));
    let serving = async {
        if let Some(listener) = listener {
            let url = listener.url();
            tracing::info!(url, state_store, recording_store, settings, version, "listening");
            tell_others(management_listener.as_ref(), tls.as_ref());
            let listeners = Listeners { public: listener, tls, management: management_listener };
            serve_until(config, current.clone(), listeners, stop.clone()).await;
        } else {
            tracing::info!(
                state_store,
                recording_store,
                settings,
                version,
                "started without listening"
            );
            let _ = stop.clone().wait_for(|stop| *stop).await;
        }
    };
    let metrics = metrics::serve_listener(config, &current, metrics_listener, stop.clone());
    let watchdog = service_manager::report_ready();
    tokio::join!(serving, metrics, reloader.run(stop.clone()));
    let _ = stop.wait_for(|stop| *stop).await;
    for job in tls_jobs.into_iter().flatten() {
        let _ = job.await;
    }
    signals.abort();
    write_last_changes(&wired.app).await;
    // Until now: a stop that takes long is no reason to be killed.
    watchdog.inspect(JoinHandle::abort);
    tracing::info!("stopped");
    Ok(())
}

/// Says in the log which sockets there are besides that of the front-ends.
fn tell_others(management: Option<&Listener>, tls: Option<&TlsParts>) {
    if let Some(management) = management {
        tracing::info!(url = management.url(), "management API listening");
    }
    if let Some(tls) = tls {
        tracing::info!(url = tls.url(), "HTTPS listening");
    }
}

/// Writes what the audit has queued.
async fn write_last_changes(app: &App) {
    let writing = audit::write_queue(app);
    if !matches!(timeout(LAST_WRITE_TIME, writing).await, Ok(Ok(_))) {
        let (records, lost) = app.audit_queue.count();
        tracing::warn!(records, lost, "changes not recorded in the audit");
    }
}

/// Opens the socket of the management API, if it has one of its own.
async fn open_management_listener(
    config: &Config,
    roles: Roles,
) -> Result<Option<Listener>, String> {
    match &config.management_bind {
        Some(bind) if roles.api && config.management_api_enabled => {
            Listener::open(Some(bind), config.port).await.map(Some)
        }
        _ => Ok(None),
    }
}

/// The open sockets.
pub struct Listeners {
    /// Without TLS.
    pub public: Listener,
    /// With TLS, if there is a certificate.
    pub tls: Option<TlsParts>,
    /// Of administrators, if they have one of their own.
    pub management: Option<Listener>,
}

/// Serves requests, also those of administrators if they have a socket of their own, until `stop` becomes true.
pub async fn serve_until(
    config: &Config,
    state: CurrentState,
    listeners: Listeners,
    stop: watch::Receiver<bool>,
) {
    let Listeners { public, tls, management } = listeners;
    let limits = build_connection_limits(config);
    // Both ports serve the same clients.
    let connections = Connections::new(limits.rules);
    let serve_public = |listener, tls| {
        let connections = connections.clone();
        let socket = ServedSocket { listener, audience: Audience::Public, tls, connections };
        serve(socket, state.clone(), limits, stop.clone())
    };
    let plain = serve_public(public, None);
    let secure = async {
        if let Some(tls) = tls {
            serve_public(tls.listener, Some(tls.server)).await;
        }
    };
    let public = async {
        tokio::join!(plain, secure);
    };
    let Some(listener) = management else { return public.await };
    // Administrators and health checks are served whatever happens on the other socket.
    let rules = ConnectionRules {
        max_requests: MANAGEMENT_REQUESTS,
        max_per_address: MANAGEMENT_REQUESTS,
        ..limits.rules
    };
    let limits = ConnectionLimits { rules, ..limits };
    let connections = Connections::new(limits.rules);
    let socket = ServedSocket { listener, audience: Audience::Management, tls: None, connections };
    let management = serve(socket, state.clone(), limits, stop.clone());
    tokio::join!(public, management);
}

/// Builds what answers requests. What the former one counts goes on, after a reload.
pub fn build_http_state(
    config: &Config,
    wired: &WiredApp,
    former: Option<&Arc<HttpState>>,
) -> HttpState {
    let playback = config.playback_host.as_ref();
    let https_port = config.url_host.as_ref().and_then(PublicHost::port).unwrap_or(443);
    let new_uploads = || {
        let per_server = usize::try_from(config.recording_uploads_per_server.0);
        Arc::new(UploadService::new(
            wired.uploads.clone(),
            config.recording_upload_max_bytes.0,
            per_server.unwrap_or(usize::MAX),
        ))
    };
    let mut management = build_management_rules(config, wired);
    if let Some(former) = former {
        management.used_tokens = former.management.used_tokens.clone();
    }
    HttpState {
        upload_service: former.map_or_else(new_uploads, |former| former.upload_service.clone()),
        app: wired.app.clone(),
        playback: wired.playback.clone(),
        hosts: HostRules {
            url_host: config.url_host.as_ref().map(|host| host.host().to_owned()),
            playback: playback.map(|host| (host.host().to_owned(), host.authority())),
            multitenancy: config.multitenancy_enabled,
        },
        https: HttpsRules {
            redirect_port: (config.https_redirect && config.has_tls()).then_some(https_port),
            strict_transport: HttpsRules::strict_transport(config.hsts_max_age.0),
        },
        challenges: config.acme.then(|| wired.challenge_answers.clone()),
        proxies: ProxyRules::new(config.trusted_proxies.clone()),
        management,
        console: former.map_or_else(Arc::default, |former| former.console.clone()),
        administration: Administration {
            importer: wired.importer.clone(),
            checks: None,
            meeting_curves: wired.meeting_curves.clone(),
            poll_interval_ms: i64::try_from(config.poll_interval.ms()).unwrap_or(i64::MAX),
            settings: Arc::default(),
        },
        versioned_changes: former
            .map_or_else(Arc::default, |former| former.versioned_changes.clone()),
        health_checks: HealthChecks::default(),
        metrics: metrics::build_service(config, wired),
        health: wired.health.clone(),
        max_body_bytes: config.max_body_bytes.0,
        request_timeout: Duration::from_millis(config.request_timeout.ms()),
        background: former.map_or_else(TaskTracker::new, |former| former.background.clone()),
    }
}

/// The settings in effect, as administrators see them: secrets hidden.
pub fn describe_settings(sources: &Sources) -> Arc<Vec<ShownSetting>> {
    let settings = Config::read(sources).map(|(_, settings)| settings).unwrap_or_default();
    let shown = settings.into_iter().map(|setting| ShownSetting {
        name: setting.setting.name.to_owned(),
        value: setting.value,
        origin: setting.origin.to_string(),
        warning: setting.warning,
    });
    Arc::new(shown.collect())
}

fn build_management_rules(config: &Config, wired: &WiredApp) -> ManagementRules {
    let secrets = |setting: &Option<Secret>| -> Vec<String> {
        setting.iter().map(|Secret(secret)| secret.clone()).collect()
    };
    let (own, reveal) =
        (secrets(&config.management_secret), secrets(&config.management_reveal_secret));
    ManagementRules {
        has_console: config.console_enabled,
        has_public_console: config.console_enabled && config.management_bind.is_none(),
        is_public: config.management_api_enabled && config.management_bind.is_none(),
        shows_secrets: own.is_empty() && reveal.is_empty(),
        secrets: if own.is_empty() { wired.app.policy.secrets.clone() } else { own },
        reveal_secrets: reveal,
        requires_tokens: config.management_require_tokens,
        used_tokens: Arc::default(),
    }
}

fn build_connection_limits(config: &Config) -> ConnectionLimits {
    let number = |count: u32| usize::try_from(count).unwrap_or(usize::MAX);
    let max_requests = number(config.max_connections.0);
    let max_per_address = match config.max_connections_per_address.0 {
        // At least one.
        0 => max_requests - max_requests / 4,
        count => number(count),
    };
    ConnectionLimits {
        rules: ConnectionRules {
            max_requests,
            max_per_address,
            max_unproven_bytes: config.max_unproven_bytes.0,
            max_buffered_bytes: config.max_buffered_bytes.0,
        },
        idle_timeout: Duration::from_millis(config.idle_timeout.ms()),
        shutdown_timeout: Duration::from_millis(config.shutdown_timeout.ms()),
    }
}

/// Begins to collect signals that ask for a reload; from then on they do not end the process.
///
/// # Errors
/// When the process cannot wait for signals.
pub fn collect_hangups() -> Result<Signal, String> {
    signal(SignalKind::hangup()).map_err(|error| format!("cannot wait for signals: {error}"))
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
        service_manager::report_stopping();
        stopper.send_replace(true);
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        std::process::exit(INTERRUPTED_EXIT_CODE);
    }))
}
