//! The log: to the standard error output, from a thread of its own, so that no request ever waits
//! for a terminal or a pipe. What does not fit into its queue is dropped.

use std::io;

use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::EnvFilter;

use crate::config::values::{LogFormat, LogLevel};

/// Lines that may wait.
const LINES_MAX: usize = 65_536;

/// Starts the log. What waits is written when the guard is dropped.
pub fn start(level: LogLevel, format: LogFormat, rust_log: Option<&str>) -> WorkerGuard {
    let (writer, guard) = NonBlockingBuilder::default()
        .buffered_lines_limit(LINES_MAX)
        .lossy(true)
        .finish(io::stderr());
    let default = match level {
        LogLevel::Debug => "debug,hyper=info,hyper_util=info,rustls=info",
        LogLevel::Info => "info",
        LogLevel::Warn => "warn",
        LogLevel::Error => "error",
    };
    let filter = rust_log.and_then(|directives| EnvFilter::try_new(directives).ok());
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter.unwrap_or_else(|| EnvFilter::new(default)))
        .with_writer(writer);
    let terminal = io::IsTerminal::is_terminal(&io::stderr());
    // A second start, as tests may do, keeps the first log.
    let _ = match format {
        LogFormat::Text => builder.with_ansi(terminal).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).with_current_span(false).try_init(),
    };
    guard
}
