//! Threads for work that blocks. Each kind of work has a group of its own, so that a file system or a
//! name server that hangs delays nothing else. Together the groups have fewer threads than the runtime
//! permits (512).

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{Instant, timeout_at};

/// Reads files of recordings for visitors.
pub static RECORDING_READS: ThreadGroup = ThreadGroup::new("recording reads", 128, 30);
/// Moves, removes and lists files of recordings.
pub static RECORDING_CHANGES: ThreadGroup = ThreadGroup::new("recording changes", 16, 120);
/// Scans the spool and unpacks archives.
pub static IMPORTS: ThreadGroup = ThreadGroup::new("imports", 16, 120);
/// Stores what servers upload.
pub static UPLOADS: ThreadGroup = ThreadGroup::new("uploads", 64, 60);
/// Looks up the names of servers.
pub static SERVER_NAMES: ThreadGroup = ThreadGroup::new("server names", 64, 15);
/// Looks up the names of callback addresses, which front-ends choose.
pub static CALLBACK_NAMES: ThreadGroup = ThreadGroup::new("callback names", 16, 10);
/// Checks the embedded store.
pub static STORE_CHECKS: ThreadGroup = ThreadGroup::new("store checks", 2, 600);
/// Reads the files of the certificate.
pub static CERTIFICATE_FILES: ThreadGroup = ThreadGroup::new("certificate files", 2, 30);
/// Looks at directories for health checks: one thread for each directory at most.
pub static HEALTH_CHECKS: ThreadGroup = ThreadGroup::new("health checks", 16, 30);
/// Writes backups.
pub static BACKUPS: ThreadGroup = ThreadGroup::new("backups", 1, 600);
/// Compresses and encrypts.
pub static COMPUTING: ThreadGroup = ThreadGroup::new("computing", 32, 30);

/// All groups.
static GROUPS: [&ThreadGroup; 11] = [
    &RECORDING_READS,
    &RECORDING_CHANGES,
    &IMPORTS,
    &UPLOADS,
    &SERVER_NAMES,
    &CALLBACK_NAMES,
    &STORE_CHECKS,
    &CERTIFICATE_FILES,
    &HEALTH_CHECKS,
    &BACKUPS,
    &COMPUTING,
];

/// Why work has no result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BlockingError {
    /// No thread became free in time.
    #[error("{0}: all threads are busy")]
    Busy(&'static str),
    /// The work has not ended in time. It may still end.
    #[error("{0}: no result within {1} s")]
    TimedOut(&'static str, u64),
    /// The work has panicked, or the process is stopping.
    #[error("{0}: the work was aborted")]
    Aborted(&'static str),
}

/// The threads for one kind of work. A thread that hangs stays taken.
#[derive(Debug)]
pub struct ThreadGroup {
    name: &'static str,
    threads: usize,
    deadline_s: u64,
    free_threads: Semaphore,
    /// Threads whose work is not done although its caller has given up.
    hanging: AtomicUsize,
}

/// The state of one piece of work, which its thread and its caller share.
const RUNNING: u8 = 0;
const HANGING: u8 = 1;
const ENDED: u8 = 2;

/// A thread that is taken. When it is dropped, the thread is free again.
struct TakenThread {
    group: &'static ThreadGroup,
    state: Arc<AtomicU8>,
    _permit: SemaphorePermit<'static>,
}

impl Drop for TakenThread {
    fn drop(&mut self) {
        if self.state.swap(ENDED, Ordering::SeqCst) == HANGING {
            self.group.hanging.fetch_sub(1, Ordering::SeqCst);
        }
    }
}

impl ThreadGroup {
    /// A group whose callers wait for at most so many seconds.
    const fn new(name: &'static str, threads: usize, deadline_s: u64) -> Self {
        let free_threads = Semaphore::const_new(threads);
        Self { name, threads, deadline_s, free_threads, hanging: AtomicUsize::new(0) }
    }

    /// Runs work whose result is of no use after the deadline, such as a read. The work itself
    /// cannot be aborted and goes on.
    ///
    /// # Errors
    /// When no thread is free, or the work has not ended, until the deadline.
    pub async fn run_within<T: Send + 'static>(
        &'static self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, BlockingError> {
        let deadline = Instant::now() + Duration::from_secs(self.deadline_s);
        let (working, state) = self.start(deadline, work).await?;
        match timeout_at(deadline, working).await {
            Ok(result) => result.map_err(|_| BlockingError::Aborted(self.name)),
            Err(_) => {
                self.count_hanging(&state);
                Err(BlockingError::TimedOut(self.name, self.deadline_s))
            }
        }
    }

    /// Runs work that must be awaited however long it takes, such as a move: its caller could not
    /// know what has become of it.
    ///
    /// # Errors
    /// When no thread becomes free until the deadline.
    pub async fn run<T: Send + 'static>(
        &'static self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, BlockingError> {
        let deadline = Instant::now() + Duration::from_secs(self.deadline_s);
        let (working, _) = self.start(deadline, work).await?;
        working.await.map_err(|_| BlockingError::Aborted(self.name))
    }

    /// Begins work as soon as a thread is free; returns it with the state that its thread shares.
    async fn start<T: Send + 'static>(
        &'static self,
        deadline: Instant,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<(JoinHandle<T>, Arc<AtomicU8>), BlockingError> {
        let thread = self.take_thread(deadline).await?;
        let state = Arc::clone(&thread.state);
        let working = spawn_blocking(move || {
            let _thread = thread;
            work()
        });
        Ok((working, state))
    }

    async fn take_thread(&'static self, deadline: Instant) -> Result<TakenThread, BlockingError> {
        let busy = BlockingError::Busy(self.name);
        // What waits for threads that all hang would only add to the waiting.
        let all_hang = self.hanging.load(Ordering::SeqCst) >= self.threads;
        if all_hang && self.free_threads.available_permits() == 0 {
            return Err(busy);
        }
        let permit = timeout_at(deadline, self.free_threads.acquire()).await;
        let permit = permit.map_err(|_| busy)?.map_err(|_| busy)?;
        Ok(TakenThread { group: self, state: Arc::new(AtomicU8::new(RUNNING)), _permit: permit })
    }

    /// Notes that the work is not done although its caller has given up.
    fn count_hanging(&self, state: &AtomicU8) {
        // Counted before the state says so: the thread may end at any moment.
        self.hanging.fetch_add(1, Ordering::SeqCst);
        let changed = state.compare_exchange(RUNNING, HANGING, Ordering::SeqCst, Ordering::SeqCst);
        if changed.is_err() {
            self.hanging.fetch_sub(1, Ordering::SeqCst);
        }
    }
}

/// Describes the kinds of work that hang, for health checks. Empty if none does.
#[must_use]
pub fn describe_hanging_work() -> Vec<String> {
    let describe = |group: &&'static ThreadGroup| {
        let hanging = group.hanging.load(Ordering::SeqCst);
        (hanging > 0)
            .then(|| format!("{}: {hanging} of {} threads hang", group.name, group.threads))
    };
    GROUPS.iter().filter_map(describe).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    static SMALL: ThreadGroup = ThreadGroup::new("small", 2, 20);
    static OTHER: ThreadGroup = ThreadGroup::new("other", 2, 20);

    #[tokio::test(start_paused = true)]
    async fn work_that_hangs_takes_only_the_threads_of_its_group() {
        let (end, ended) = channel::<()>();
        let ended = Arc::new(std::sync::Mutex::new(ended));
        let hang = || {
            let ended = Arc::clone(&ended);
            move || ended.lock().unwrap().recv().is_ok()
        };
        let hanging = [hang(), hang()].map(|work| tokio::spawn(SMALL.run_within(work)));
        while SMALL.free_threads.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        tokio::time::advance(Duration::from_secs(21)).await;
        for work in hanging {
            assert_eq!(work.await.unwrap(), Err(BlockingError::TimedOut("small", 20)));
        }
        assert_eq!(SMALL.hanging.load(Ordering::SeqCst), 2);
        // Nobody waits for threads that all hang.
        let before = Instant::now();
        assert_eq!(SMALL.run_within(|| 1).await, Err(BlockingError::Busy("small")));
        assert_eq!(SMALL.run(|| 1).await, Err(BlockingError::Busy("small")));
        assert_eq!(Instant::now(), before);
        assert_eq!(OTHER.run_within(|| 2).await, Ok(2));
        for _ in 0..2 {
            end.send(()).unwrap();
        }
        while SMALL.hanging.load(Ordering::SeqCst) > 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(SMALL.run_within(|| 3).await, Ok(3));
    }

    #[test]
    fn the_groups_leave_threads_to_the_runtime() {
        assert!(GROUPS.iter().map(|group| group.threads).sum::<usize>() < 512);
    }
}
