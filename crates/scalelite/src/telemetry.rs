//! The log: lines gather in memory, and a thread writes them to the standard error output several
//! times a second, so that no request waits for a terminal or a pipe, or wakes anybody up. (Waking
//! a thread for each line cost a join a tenth of its speed.)

use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use crate::config::values::{LogFormat, LogLevel};

/// Bytes that may wait; what does not fit is dropped, and that is said.
const MAX_PENDING_BYTES: usize = 8 << 20;
/// How long the last lines may take at the end.
const MAX_FLUSH_TIME: Duration = Duration::from_secs(1);
/// How long lines gather.
const GATHER_TIME: Duration = Duration::from_millis(50);

#[derive(Default)]
struct PendingLog {
    bytes: Vec<u8>,
    dropped: u64,
    ended: bool,
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

    /// Waits while that holds, or for that long.
    fn wait_while<'a>(
        &self,
        waiting: MutexGuard<'a, PendingLog>,
        time: Duration,
        mut holds: impl FnMut(&PendingLog) -> bool,
    ) -> MutexGuard<'a, PendingLog> {
        let waited = self.changed.wait_timeout_while(waiting, time, |waiting| holds(waiting));
        waited.unwrap_or_else(PoisonError::into_inner).0
    }
}

/// Where lines are written to.
#[derive(Clone)]
struct LogBuffer(Arc<SharedLog>);

impl Write for LogBuffer {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut waiting = self.0.lock();
        if waiting.bytes.len() + line.len() > MAX_PENDING_BYTES {
            waiting.dropped += 1;
        } else {
            if waiting.bytes.is_empty() {
                // The first line of a batch; the others find the thread awake.
                self.0.changed.notify_all();
            }
            waiting.bytes.extend_from_slice(line);
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

/// Writes what waits; the last of it when it is dropped.
pub struct LogFlusher(Arc<SharedLog>);

impl LogFlusher {
    fn start(shared: Arc<SharedLog>, target: impl Write + Send + 'static) -> Self {
        let work = shared.clone();
        // Without a thread there is no log, but a service.
        let _ = std::thread::Builder::new().name("log".to_owned()).spawn(move || {
            write_out(&work, target);
            work.lock().flushed = true;
            work.changed.notify_all();
        });
        Self(shared)
    }
}

impl Drop for LogFlusher {
    fn drop(&mut self) {
        self.0.lock().ended = true;
        self.0.changed.notify_all();
        // Who does not read its log does not keep us from ending.
        drop(self.0.wait_while(self.0.lock(), MAX_FLUSH_TIME, |waiting| !waiting.flushed));
    }
}

fn write_out(shared: &SharedLog, mut target: impl Write) {
    const HOUR: Duration = Duration::from_secs(3600);
    loop {
        let idle = |waiting: &PendingLog| waiting.bytes.is_empty() && !waiting.ended;
        let waiting = shared.wait_while(shared.lock(), HOUR, idle);
        let mut waiting = shared.wait_while(waiting, GATHER_TIME, |waiting| !waiting.ended);
        let (bytes, dropped) = (std::mem::take(&mut waiting.bytes), waiting.dropped);
        let ended = waiting.ended;
        waiting.dropped = 0;
        drop(waiting);
        // A log that nobody reads any more must not stop the service.
        let _ = target.write_all(&bytes);
        if dropped > 0 {
            let _ = writeln!(target, "{dropped} lines dropped");
        }
        let _ = target.flush();
        if ended {
            return;
        }
    }
}

/// Starts the log. What waits is written when the flusher is dropped.
pub fn start(level: LogLevel, format: LogFormat, rust_log: Option<&str>) -> LogFlusher {
    let shared = Arc::new(SharedLog::default());
    let default = match level {
        LogLevel::Debug => "debug,hyper=info,hyper_util=info,rustls=info,tokio_postgres=info",
        LogLevel::Info => "info",
        LogLevel::Warn => "warn",
        LogLevel::Error => "error",
    };
    let filter = rust_log.and_then(|directives| EnvFilter::try_new(directives).ok());
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter.unwrap_or_else(|| EnvFilter::new(default)))
        .with_writer(LogBuffer(shared.clone()));
    let terminal = io::IsTerminal::is_terminal(&io::stderr());
    // A second start, as tests may do, keeps the first log.
    let _ = match format {
        LogFormat::Text => builder.with_ansi(terminal).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).with_current_span(false).try_init(),
    };
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
    fn lines_come_in_order_and_the_last_ones_at_the_end() {
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
        assert_eq!(rest, b"two\n1 lines dropped\n");
    }
}
