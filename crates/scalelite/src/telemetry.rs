//! The log. Lines are collected in memory, and a thread writes them to the standard error output
//! several times a second. No request waits for a terminal or pipe, or wakes the thread for its line:
//! to do so for each line slowed joins down by a tenth.

mod system_log;

use std::io::{self, Write};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tracing::{Event, Level, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::{self, MakeWriter};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

use self::system_log::SystemLog;

use crate::config::values::{LogFormat, LogLevel};

/// The modules whose lines tell what administrators change.
const CHANGES: &str = "app::admin";
/// Most bytes that wait to be written. Lines beyond that are dropped, and the log says how many.
const MAX_PENDING_BYTES: usize = 8 << 20;
/// How long the end of the process waits until the last lines are written.
const MAX_FLUSH_TIME: Duration = Duration::from_secs(1);
/// How long lines are collected before they are written.
const GATHER_TIME: Duration = Duration::from_millis(50);

#[derive(Default)]
struct PendingLog {
    bytes: Vec<u8>,
    /// Lines dropped since the last write.
    dropped: u64,
    /// No more lines come.
    ended: bool,
    /// The thread has written everything and ended.
    flushed: bool,
}

#[derive(Default)]
struct SharedLog {
    pending: Mutex<PendingLog>,
    changed: Condvar,
}

impl SharedLog {
    fn lock(&self) -> MutexGuard<'_, PendingLog> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits while the condition holds, but not longer than `time`.
    fn wait_while<'a>(
        &self,
        pending: MutexGuard<'a, PendingLog>,
        time: Duration,
        mut condition: impl FnMut(&PendingLog) -> bool,
    ) -> MutexGuard<'a, PendingLog> {
        let result = self.changed.wait_timeout_while(pending, time, |pending| condition(pending));
        result.unwrap_or_else(PoisonError::into_inner).0
    }
}

/// The writer that log lines are formatted into.
#[derive(Clone)]
struct LogBuffer(Arc<SharedLog>);

impl Write for LogBuffer {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut pending = self.0.lock();
        if pending.bytes.len() + line.len() > MAX_PENDING_BYTES {
            pending.dropped += 1;
        } else {
            if pending.bytes.is_empty() {
                // Only the first line of a batch has to wake the thread.
                self.0.changed.notify_all();
            }
            pending.bytes.extend_from_slice(line);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for LogBuffer {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// Lines of the log that tell of errors, and of what needs attention, since the process was started.
static ERRORS: AtomicU64 = AtomicU64::new(0);
static WARNINGS: AtomicU64 = AtomicU64::new(0);

/// Counts lines of the log that are errors or warnings.
struct CountedLines;

impl<S: Subscriber> Layer<S> for CountedLines {
    fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
        match *event.metadata().level() {
            Level::ERROR => ERRORS.fetch_add(1, Ordering::Relaxed),
            Level::WARN => WARNINGS.fetch_add(1, Ordering::Relaxed),
            _ => 0,
        };
    }
}

/// Returns how many lines of a level were logged.
pub fn count_logged_lines() -> [(&'static str, u64); 2] {
    [("error", &ERRORS), ("warning", &WARNINGS)]
        .map(|(level, count)| (level, count.load(Ordering::Relaxed)))
}

/// Exchanges the filter of the log.
type SetFilter = Box<dyn Fn(EnvFilter) + Send + Sync>;

/// Owns the thread that writes the log. Dropping it waits until the last lines are written.
pub struct LogFlusher {
    shared: Arc<SharedLog>,
    set_filter: Option<SetFilter>,
}

impl LogFlusher {
    fn start(shared: Arc<SharedLog>, target: impl Write + Send + 'static) -> Self {
        let log = shared.clone();
        // If the thread cannot be started, the service runs without a log.
        let _ = std::thread::Builder::new().name("log".to_owned()).spawn(move || {
            write_until_end(&log, target);
            log.lock().flushed = true;
            log.changed.notify_all();
        });
        Self { shared, set_filter: None }
    }

    /// Sets the lowest level that is logged from now on. `rust_log` overrides it.
    pub fn set_level(&self, level: LogLevel, rust_log: Option<&str>) {
        if let Some(set_filter) = &self.set_filter {
            set_filter(build_filter(level, rust_log));
        }
    }
}

fn build_filter(level: LogLevel, rust_log: Option<&str>) -> EnvFilter {
    let default = match level {
        LogLevel::Debug => "debug,hyper=info,hyper_util=info,rustls=info,tokio_postgres=info",
        LogLevel::Info => "info",
        LogLevel::Warn => "warn",
        LogLevel::Error => "error",
    };
    let filter = rust_log.and_then(|directives| EnvFilter::try_new(directives).ok());
    filter.unwrap_or_else(|| EnvFilter::new(default))
}

impl Drop for LogFlusher {
    fn drop(&mut self) {
        let shared = &self.shared;
        shared.lock().ended = true;
        shared.changed.notify_all();
        // A pipe that nobody reads must not prevent the end of the process.
        drop(shared.wait_while(shared.lock(), MAX_FLUSH_TIME, |pending| !pending.flushed));
    }
}

fn write_until_end(shared: &SharedLog, mut target: impl Write) {
    const HOUR: Duration = Duration::from_secs(3600);
    loop {
        let is_idle = |pending: &PendingLog| pending.bytes.is_empty() && !pending.ended;
        let pending = shared.wait_while(shared.lock(), HOUR, is_idle);
        let mut pending = shared.wait_while(pending, GATHER_TIME, |pending| !pending.ended);
        let (bytes, dropped) = (std::mem::take(&mut pending.bytes), pending.dropped);
        let ended = pending.ended;
        pending.dropped = 0;
        drop(pending);
        // A closed output must not stop the service.
        let _ = target.write_all(&bytes);
        if dropped > 0 {
            let _ = writeln!(target, "{dropped} log lines dropped");
        }
        let _ = target.flush();
        if ended {
            return;
        }
    }
}

/// Starts the log of a process that serves. `rust_log` overrides `level`.
pub fn start(level: LogLevel, format: LogFormat, rust_log: Option<&str>) -> LogFlusher {
    let shared = Arc::new(SharedLog::default());
    let builder = tracing_subscriber::fmt()
        .with_env_filter(build_filter(level, rust_log))
        .with_writer(LogBuffer(shared.clone()));
    let terminal = io::IsTerminal::is_terminal(&io::stderr());
    // If a log was started before, as in tests, it remains.
    let set_filter: SetFilter = match format {
        LogFormat::Text => {
            let builder = builder.with_ansi(terminal).with_filter_reloading();
            let handle = builder.reload_handle();
            let _ = builder.finish().with(CountedLines).try_init();
            Box::new(move |filter| drop(handle.reload(filter)))
        }
        LogFormat::Json => {
            let builder = builder.json().flatten_event(true).with_current_span(false);
            let builder = builder.with_filter_reloading();
            let handle = builder.reload_handle();
            let _ = builder.finish().with(CountedLines).try_init();
            Box::new(move |filter| drop(handle.reload(filter)))
        }
    };
    let mut flusher = LogFlusher::start(shared, io::stderr());
    flusher.set_filter = Some(set_filter);
    flusher
}

/// Starts the log of a command, and also tells the log of the system, at that socket, what the command changes.
pub fn start_command(
    level: LogLevel,
    format: LogFormat,
    rust_log: Option<&str>,
    system_log: Option<&Path>,
) -> LogFlusher {
    let shared = Arc::new(SharedLog::default());
    let terminal = io::IsTerminal::is_terminal(&io::stderr());
    let lines = fmt::layer().with_writer(LogBuffer(shared.clone())).with_ansi(terminal);
    let lines = match format {
        LogFormat::Text => lines.boxed(),
        LogFormat::Json => lines.json().flatten_event(true).with_current_span(false).boxed(),
    };
    let changes = system_log.map(|socket| {
        let lines = fmt::layer().without_time().with_ansi(false).with_target(false);
        let lines = lines.with_level(false).with_writer(SystemLog::connect(socket));
        lines.with_filter(Targets::new().with_target(CHANGES, LevelFilter::INFO))
    });
    let lines = lines.with_filter(build_filter(level, rust_log));
    // If a log was started before, as in tests, it remains.
    let _ = tracing_subscriber::registry().with(lines).with(changes).try_init();
    LogFlusher::start(shared, io::stderr())
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    struct Target(mpsc::Sender<Vec<u8>>);

    impl Write for Target {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.0.send(bytes.to_vec());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lines_are_written_in_order_and_completely() {
        let (sender, receiver) = mpsc::channel();
        let shared = Arc::new(SharedLog::default());
        let flusher = LogFlusher::start(shared.clone(), Target(sender));
        let mut buffer = LogBuffer(shared);
        buffer.write_all(b"one\n").unwrap();
        assert_eq!(receiver.recv().unwrap(), b"one\n");
        buffer.write_all(b"two\n").unwrap();
        buffer.write_all(&vec![b'x'; MAX_PENDING_BYTES]).unwrap();
        drop(flusher);
        let rest: Vec<u8> = receiver.iter().flatten().collect();
        assert_eq!(rest, b"two\n1 log lines dropped\n");
    }
}
