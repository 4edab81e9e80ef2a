//! The commands, one file for each. A command calls a use case with its arguments and prints the
//! result; commands that the original has as rake tasks print the same texts.

mod actor;
pub mod apply;
pub mod audit;
pub mod backup;
pub mod balancer;
pub mod callbacks;
pub mod check;
pub mod config;
pub mod demo;
pub mod doctor;
pub mod drains;
pub mod generate;
pub mod imports;
pub mod meetings;
pub mod migrate_check;
pub mod migrate_store;
pub mod notify;
pub mod placement;
pub mod poll;
pub mod rake;
pub mod readiness;
pub mod recordings;
pub mod secret;
pub mod serve;
pub mod servers;
pub mod sign;
pub mod status;
pub mod storage;
pub mod tenants;
pub mod tokens;
pub mod trash;

use std::io::BufRead as _;

use app::App;
use app::api::ApiError;
use app::audit::write_queue;
use app::origin::{self, WorkOrigin};
use app::ports::StoreError;
use app::recordings::import::Importer;

use self::balancer::Balancer;
use crate::config::sources::SettingOrigin;
use crate::config::{Config, Sources, read_store_settings};
use crate::output;
use crate::telemetry;
use crate::wiring::data_dir::Creation;
use crate::wiring::{self, WiringError};

/// Why a command failed: a line for the standard error output; empty if the command has already
/// printed the reason.
#[derive(Debug, PartialEq, Eq)]
pub struct CommandFailure(pub String);

impl From<StoreError> for CommandFailure {
    fn from(error: StoreError) -> Self {
        Self(format!("ERROR: {error}"))
    }
}

impl From<WiringError> for CommandFailure {
    fn from(error: WiringError) -> Self {
        Self(format!("ERROR: {error}"))
    }
}

impl From<ApiError> for CommandFailure {
    fn from(error: ApiError) -> Self {
        match error {
            ApiError::Unanswered(_, cause) => Self(format!("ERROR: {cause}")),
            error => Self(format!("ERROR: {}", error.message())),
        }
    }
}

/// The environment of a command that works on the pool.
pub struct CommandContext {
    /// The application.
    pub app: App,
    /// URL of the balancer with this configuration.
    pub url: String,
    /// Whether the secret was generated, since none is configured.
    pub secret_is_generated: bool,
    /// The importer of recordings; `None` without a database or with RECORDING_DISABLED.
    pub importer: Option<Importer>,
    /// The settings.
    pub config: Config,
    /// Where the settings were read from, as the end of a sentence.
    pub settings_place: String,
}

/// Connects the application to its stores and runs a command. Nothing is logged unless a log level is
/// set, but what a command changes is told to the log of the system.
pub fn run_once(
    config: &Config,
    sources: &Sources,
    creation: Creation,
    command: impl AsyncFnOnce(&Balancer) -> Result<(), CommandFailure>,
) -> Result<(), CommandFailure> {
    // The level in the environment file is the server's.
    let level = sources.find(&["RAILS_LOG_LEVEL", "LOG_LEVEL"], false).ok().flatten();
    let is_set = level.is_some_and(|(_, origin)| !matches!(origin, SettingOrigin::EnvFile(_)));
    let rust_log = sources.variable("RUST_LOG").or(if is_set { None } else { Some("off") });
    let socket = config.command_log.as_deref();
    let _log = telemetry::start_command(config.log_level, config.log_format, rust_log, socket);
    run_without_log(config, sources, creation, command)
}

/// Like [`run_once`], but logs nothing: the process starts its log later.
pub fn run_without_log(
    config: &Config,
    sources: &Sources,
    creation: Creation,
    command: impl AsyncFnOnce(&Balancer) -> Result<(), CommandFailure>,
) -> Result<(), CommandFailure> {
    let stores = read_store_settings(config, sources).map_err(CommandFailure)?;
    let wired = wiring::wire(config, &stores, creation).map_err(|error| match error {
        WiringError::NoStoreFound(_) => {
            CommandFailure(format!("ERROR: {error}. Settings were read {}", sources.describe()))
        }
        error => error.into(),
    })?;
    let app = wired.app.clone();
    let balancer = Balancer::Here(Box::new(CommandContext {
        app: wired.app,
        url: listening_url(config),
        secret_is_generated: wired.secret_is_generated,
        importer: wired.importer,
        config: config.clone(),
        settings_place: sources.describe(),
    }));
    let origin = WorkOrigin { request_id: None, actor: actor::find_actor(sources) };
    build_runtime(false)?.block_on(origin::run_from(origin, async {
        let result = command(&balancer).await;
        if let Err(error) = write_queue(&app).await {
            output::print_note(format!("WARNING: not recorded in the audit: {error}"));
        }
        result
    }))
}

/// The error of a command about recordings, where there are none.
fn no_recordings(context: &CommandContext) -> CommandFailure {
    let reason = match context.config.db_disabled {
        true => "(DB_DISABLED)".to_owned(),
        false => format!(
            "here: neither DATABASE_URL nor a store in the data directory; settings were read {}",
            context.settings_place
        ),
    };
    CommandFailure(format!("ERROR: there is no database of recordings {reason}"))
}

/// Starts the log of a process that serves requests.
pub fn start_serving_log(config: &Config, sources: &Sources) -> telemetry::LogFlusher {
    telemetry::start(config.log_level, config.log_format, sources.variable("RUST_LOG"))
}

/// Builds a runtime with a thread for each core, or only with the current thread.
pub fn build_runtime(all_cores: bool) -> Result<tokio::runtime::Runtime, CommandFailure> {
    let mut builder = if all_cores {
        tokio::runtime::Builder::new_multi_thread()
    } else {
        tokio::runtime::Builder::new_current_thread()
    };
    builder.enable_all().build().map_err(|error| CommandFailure(format!("ERROR: {error}")))
}

/// The URL under which a balancer with this configuration is reached.
fn listening_url(config: &Config) -> String {
    use crate::config::values::BindAddress;
    if let Some(host) = &config.url_host {
        return format!("https://{}", host.authority());
    }
    let (host, port) = match &config.bind {
        // The address of the web server in front of the socket is not known here.
        Some(BindAddress::Unix(_)) => return "http://localhost".to_owned(),
        Some(BindAddress::Tcp(host, port)) => (host.as_deref(), port.unwrap_or(config.port)),
        None => (None, config.port),
    };
    match host {
        None | Some("0.0.0.0" | "::") => format!("http://localhost:{port}"),
        Some(ipv6) if ipv6.contains(':') => format!("http://[{ipv6}]:{port}"),
        Some(host) => format!("http://{host}:{port}"),
    }
}

/// Reads a line from the standard input; true if it is `yes`.
pub fn read_confirmation() -> bool {
    let mut line = String::new();
    let result = std::io::stdin().lock().read_line(&mut line);
    result.is_ok() && line.trim() == "yes"
}

/// Prints that nothing was done because the confirmation was not given.
pub fn print_declined() {
    output::print_line("Nothing was done.");
}
