//! The log: lines gather in memory, and a thread writes them to the standard error output several
//! times a second, so that no request waits for a terminal or a pipe, or wakes anybody up. (Waking
//! a thread for each line cost a join a tenth of its speed.)

use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use crate::config::values::{LogFormat, LogLevel};

/// Bytes that may wait; what does not fit is dropped, and that is said.
const WAITING_MAX: usize = 8 << 20;
/// How long lines gather.
const GATHER: Duration = Duration::from_millis(50);

#[derive(Default)]
struct Waiting {
    bytes: Vec<u8>,
    dropped: u64,
    ended: bool,
}

#[derive(Default)]
struct Shared {
    waiting: Mutex<Waiting>,
    end: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where lines are written to.
#[derive(Clone)]
struct Buffer(Arc<Shared>);

impl Write for Buffer {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut waiting = self.0.lock();
        if waiting.bytes.len() + line.len() > WAITING_MAX {
            waiting.dropped += 1;
        } else {
            waiting.bytes.extend_from_slice(line);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Buffer {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// Writes what waits; the last of it when it is dropped.
pub struct Flusher {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Flusher {
    fn start(shared: Arc<Shared>, mut target: impl Write + Send + 'static) -> Self {
        let work = shared.clone();
        let thread = std::thread::Builder::new().name("log".to_owned()).spawn(move || {
            loop {
                let waited = work.end.wait_timeout_while(work.lock(), GATHER, |w| !w.ended);
                let mut waiting = waited.unwrap_or_else(PoisonError::into_inner).0;
                let Waiting { mut bytes, dropped, ended } = std::mem::take(&mut *waiting);
                waiting.ended = ended;
                drop(waiting);
                if dropped > 0 {
                    bytes.extend_from_slice(format!("{dropped} lines dropped\n").as_bytes());
                }
                // A log that nobody reads any more must not stop the service.
                let _ = target.write_all(&bytes).and_then(|()| target.flush());
                if ended {
                    return;
                }
            }
        });
        Self { shared, thread: thread.ok() }
    }
}

impl Drop for Flusher {
    fn drop(&mut self) {
        self.shared.lock().ended = true;
        self.shared.end.notify_all();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Starts the log. What waits is written when the flusher is dropped.
pub fn start(level: LogLevel, format: LogFormat, rust_log: Option<&str>) -> Flusher {
    let shared = Arc::new(Shared::default());
    let default = match level {
        LogLevel::Debug => "debug,hyper=info,hyper_util=info,rustls=info",
        LogLevel::Info => "info",
        LogLevel::Warn => "warn",
        LogLevel::Error => "error",
    };
    let filter = rust_log.and_then(|directives| EnvFilter::try_new(directives).ok());
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter.unwrap_or_else(|| EnvFilter::new(default)))
        .with_writer(Buffer(shared.clone()));
    let terminal = io::IsTerminal::is_terminal(&io::stderr());
    // A second start, as tests may do, keeps the first log.
    let _ = match format {
        LogFormat::Text => builder.with_ansi(terminal).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).with_current_span(false).try_init(),
    };
    Flusher::start(shared, io::stderr())
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
        let shared = Arc::new(Shared::default());
        let flusher = Flusher::start(shared.clone(), Target(sender));
        let mut buffer = Buffer(shared);
        buffer.write_all(b"one\n").unwrap();
        assert_eq!(receiver.recv().unwrap(), b"one\n");
        buffer.write_all(b"two\n").unwrap();
        buffer.write_all(&vec![b'x'; WAITING_MAX]).unwrap();
        drop(flusher);
        let rest: Vec<u8> = receiver.iter().flatten().collect();
        assert_eq!(rest, b"two\n1 lines dropped\n");
    }
}
