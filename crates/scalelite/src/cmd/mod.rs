//! Commands: each turns arguments into a use case and its result into text, in the original's words
//! where the original has them.

pub mod callbacks;
pub mod config;
pub mod demo;
pub mod doctor;
pub mod imports;
pub mod meetings;
pub mod migrate_store;
pub mod placement;
pub mod poll;
pub mod rake;
pub mod recordings;
pub mod secret;
pub mod serve;
pub mod servers;
pub mod sign;
pub mod status;
pub mod tenants;

use std::io::BufRead as _;

use app::App;
use app::api::ApiError;
use app::ports::StoreError;
use app::recordings::import::Importer;

use crate::config::{Config, Sources, read_store_settings};
use crate::output;
use crate::telemetry;
use crate::wiring::{self, WiringError};

/// Why a command failed: a line for the administrator. Empty if everything was said already.
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
            other => Self(format!("ERROR: {}", other.message())),
        }
    }
}

/// What a command that runs once has at hand.
pub struct CommandContext {
    /// The application.
    pub app: App,
    /// Where the balancer would listen with this configuration.
    pub url: String,
    /// Whether the secret is one that we made.
    pub secret_is_generated: bool,
    /// Imports of recordings, unless there are none.
    pub importer: Option<Importer>,
}

/// Wires the application for one command and runs it. The log is silent unless it is asked for.
pub fn run_once(
    config: &Config,
    sources: &Sources,
    work: impl AsyncFnOnce(&CommandContext) -> Result<(), CommandFailure>,
) -> Result<(), CommandFailure> {
    let level = sources.find(&["RAILS_LOG_LEVEL", "LOG_LEVEL"], false);
    let asked = level.is_ok_and(|level| level.is_some());
    let rust_log = sources.variable("RUST_LOG").or(if asked { None } else { Some("off") });
    let _log = telemetry::start(config.log_level, config.log_format, rust_log);
    let stores = read_store_settings(config, sources).map_err(CommandFailure)?;
    let wired = wiring::wire(config, &stores)?;
    let session = CommandContext {
        app: wired.app,
        url: listening_url(config),
        secret_is_generated: wired.secret_is_generated,
        importer: wired.importer,
    };
    build_runtime(false)?.block_on(work(&session))
}

/// Starts the log of a process that serves.
pub fn start_serving_log(config: &Config, sources: &Sources) -> telemetry::LogFlusher {
    telemetry::start(config.log_level, config.log_format, sources.variable("RUST_LOG"))
}

/// A runtime on all cores, or on this thread alone.
pub fn build_runtime(all_cores: bool) -> Result<tokio::runtime::Runtime, CommandFailure> {
    let mut builder = if all_cores {
        tokio::runtime::Builder::new_multi_thread()
    } else {
        tokio::runtime::Builder::new_current_thread()
    };
    builder.enable_all().build().map_err(|error| CommandFailure(format!("ERROR: {error}")))
}

/// The address that people type for what this configuration listens on.
fn listening_url(config: &Config) -> String {
    use crate::config::values::BindAddress;
    if let Some(host) = &config.url_host {
        return format!("https://{host}");
    }
    let (host, port) = match &config.bind {
        // What is in front of the socket is not for us to know.
        Some(BindAddress::Unix(_)) => return "http://localhost".to_owned(),
        Some(BindAddress::Tcp(host, port)) => (host.as_deref(), port.unwrap_or(config.port)),
        None => (None, config.port),
    };
    match host {
        None | Some("0.0.0.0" | "::") => format!("http://localhost:{port}"),
        Some(v6) if v6.contains(':') => format!("http://[{v6}]:{port}"),
        Some(host) => format!("http://{host}:{port}"),
    }
}

/// A time for people, in UTC.
pub fn format_time(at: domain::Timestamp) -> String {
    let ms = u64::try_from(at.0).unwrap_or(0);
    let since = std::time::UNIX_EPOCH + std::time::Duration::from_millis(ms);
    humantime::format_rfc3339_seconds(since).to_string()
}

/// Asks for `yes` on the standard input.
pub fn read_confirmation() -> bool {
    let mut line = String::new();
    let read = std::io::stdin().lock().read_line(&mut line);
    read.is_ok() && line.trim() == "yes"
}

/// Tells a person who declined that this was heeded.
pub fn print_declined() {
    output::print_line("Nothing was done.");
}
