//! The thread that writes. It runs all waiting operations in one transaction, so that a burst of creates
//! needs few synchronisations of the disk; of what nobody waits for only a few, so that calls do not wait for a whole cycle of
//! polls. If one of them fails, the transaction is repeated with each
//! operation in a savepoint of its own, so that the others succeed.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use app::ports::StoreError;
use tokio::sync::{mpsc, oneshot};

use super::connection::SqlConnection;
use super::meetings::count_joins;
use super::write_operation::{NoOperation, PendingOperation};
use super::write_queue::{JobQueue, MAX_QUEUED, NextJob, WriteJob, WriteMode};
use crate::pending_joins::{JoinCounts, PendingJoins};

/// The connection of the writing thread.
pub(crate) trait WriteConnection: Send + 'static {
    /// The maximum number of operations in one transaction.
    const MAX_BATCH: usize;
    /// The time without transactions after which [`Self::tidy_up`] is called; `None`: never.
    const IDLE_TIME: Option<Duration> = None;
    /// Whether the end of the thread is awaited when the store is closed.
    const IS_AWAITED: bool = false;

    /// Begins a transaction that excludes all other writers, also those of other processes.
    fn begin(&mut self) -> Result<(), StoreError>;

    /// The connection, in the transaction that has begun.
    fn connection(&mut self) -> Result<&mut dyn SqlConnection, StoreError>;

    /// Commits the transaction. After an error it may have been committed or not.
    fn commit(&mut self) -> Result<(), StoreError>;

    /// Undoes the transaction. After an error none can begin for now.
    fn roll_back(&mut self) -> Result<(), StoreError>;

    /// Records that a transaction has ended, before callers get their results.
    /// `invalidates_join_cache` tells whether it changed more than counts of joins.
    fn report_change(&self, invalidates_join_cache: bool);

    /// Does what is left to do after transactions, once none have come for a while, or when the
    /// store is closed.
    fn tidy_up(&mut self, _is_last: bool) {}
}

/// A handle of the writing thread, which ends when the handle is dropped.
pub(super) struct WriteThread {
    // Declared before the thread: it ends when the queue is closed.
    queue: mpsc::Sender<WriteJob>,
    timeout: Option<Duration>,
    _end: AwaitedEnd,
}

/// Waits for the end of a thread when it is dropped; for nothing without a thread.
struct AwaitedEnd(Option<thread::JoinHandle<()>>);

impl Drop for AwaitedEnd {
    fn drop(&mut self) {
        if let Some(thread) = self.0.take() {
            let _ = thread.join();
        }
    }
}

impl WriteThread {
    pub(super) fn start<C: WriteConnection>(
        connection: C,
        pending_joins: Arc<PendingJoins>,
        name: &str,
        timeout: Option<Duration>,
    ) -> Result<Self, StoreError> {
        let (queue, receiver) = mpsc::channel(MAX_QUEUED);
        let thread = thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || run_jobs(connection, receiver, &pending_joins))
            .map_err(|error| StoreError::Unavailable(error.to_string()))?;
        Ok(Self { queue, timeout, _end: AwaitedEnd(C::IS_AWAITED.then_some(thread)) })
    }

    /// Runs an operation in the next transaction; returns when that is committed.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        operation: impl FnMut(&mut dyn SqlConnection) -> Result<T, StoreError> + Send + 'static,
        mode: WriteMode,
    ) -> Result<T, StoreError> {
        let result = self.submit(operation, mode);
        let Some(timeout) = self.timeout else {
            return result.await;
        };
        let timed_out = |_| {
            let ms = timeout.as_millis();
            StoreError::Unavailable(format!("not written within {ms} ms"))
        };
        tokio::time::timeout(timeout, result).await.map_err(timed_out)?
    }

    async fn submit<T: Send + 'static>(
        &self,
        operation: impl FnMut(&mut dyn SqlConnection) -> Result<T, StoreError> + Send + 'static,
        mode: WriteMode,
    ) -> Result<T, StoreError> {
        let (caller, receiver) = oneshot::channel();
        let operation = Box::new(PendingOperation::new(operation, caller));
        let job = WriteJob { operation, mode };
        self.queue.send(job).await.map_err(|_| thread_ended_error())?;
        receiver.await.map_err(|_| thread_ended_error())?
    }

    /// Returns a handle that can ask for a transaction and does not keep the thread alive.
    pub(super) fn wake_up_handle(&self) -> WakeUp {
        WakeUp(self.queue.downgrade())
    }
}

fn thread_ended_error() -> StoreError {
    StoreError::Unavailable("the writing thread has ended".to_owned())
}

/// Asks for a transaction; see [`WriteThread::wake_up_handle`].
pub(super) struct WakeUp(mpsc::WeakSender<WriteJob>);

impl WakeUp {
    /// Asks for a transaction, which will also write the counted joins.
    pub(super) fn send(self) {
        if let Some(queue) = self.0.upgrade() {
            let operation = Box::new(NoOperation);
            // If the queue is full, a transaction follows anyway.
            let _ = queue.try_send(WriteJob { operation, mode: WriteMode::JoinsStay });
        }
    }
}

/// Aborts the process if the writing thread panics: a service that can read but never write again
/// is worse than one that is restarted.
struct AbortOnPanic;

impl Drop for AbortOnPanic {
    fn drop(&mut self) {
        if thread::panicking() {
            std::process::abort();
        }
    }
}

fn run_jobs<C: WriteConnection>(
    mut connection: C,
    queue: mpsc::Receiver<WriteJob>,
    pending_joins: &PendingJoins,
) {
    let _abort_on_panic = AbortOnPanic;
    let mut queue = JobQueue::new(queue, C::IDLE_TIME);
    let mut must_tidy_up = false;
    loop {
        match queue.wait(must_tidy_up) {
            NextJob::Ready => {}
            NextJob::Idle => {
                connection.tidy_up(false);
                must_tidy_up = false;
                continue;
            }
            NextJob::End => break,
        }
        let batch = queue.take_batch(C::MAX_BATCH);
        run_batch(&mut connection, batch, pending_joins);
        must_tidy_up = true;
    }
    if must_tidy_up {
        connection.tidy_up(true);
    }
}

fn run_batch(
    writer: &mut impl WriteConnection,
    mut batch: Vec<WriteJob>,
    pending_joins: &PendingJoins,
) {
    if let Err(error) = writer.begin() {
        return finish(batch, &Err(error));
    }
    let counts = pending_joins.take();
    let invalidates_join_cache = batch.iter().any(|job| job.mode.invalidates_join_cache());
    let written = write_batch(writer, &mut batch, &counts);
    let committed = written.and_then(|()| writer.commit());
    writer.report_change(invalidates_join_cache);
    pending_joins.finish_write();
    finish(batch, &committed);
}

/// Runs the operations in the transaction that has begun. If one fails, in another one, in which the others succeed.
fn write_batch(
    writer: &mut impl WriteConnection,
    batch: &mut [WriteJob],
    counts: &JoinCounts,
) -> Result<(), StoreError> {
    let connection = writer.connection()?;
    let are_joins_counted = counts.is_empty() || count_joins(connection, counts).is_ok();
    let is_written = are_joins_counted
        && batch.iter_mut().all(|job| job.operation.run(connection))
        && connection.flush().is_ok();
    if is_written {
        return Ok(());
    }
    writer.roll_back()?;
    writer.begin()?;
    let connection = writer.connection()?;
    if let Err(error) =
        connection.run_in_savepoint(&mut |connection| count_joins(connection, counts))
    {
        tracing::warn!(%error, "joins not counted until the next poll");
    }
    for job in batch {
        job.operation.run_in_savepoint(connection);
    }
    Ok(())
}

fn finish(batch: Vec<WriteJob>, transaction: &Result<(), StoreError>) {
    for job in batch {
        job.operation.finish(transaction.clone());
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::mpsc::{Receiver, channel};

    use futures_util::FutureExt as _;

    use super::*;
    use crate::sql::connection::{SqlRow, SqlValue};

    /// A connection without a database, whose transactions begin when the test says so.
    struct WaitingConnection(Receiver<()>);

    impl WriteConnection for WaitingConnection {
        const MAX_BATCH: usize = 1;

        fn begin(&mut self) -> Result<(), StoreError> {
            let _ = self.0.recv();
            Ok(())
        }

        fn connection(&mut self) -> Result<&mut dyn SqlConnection, StoreError> {
            Ok(self)
        }

        fn roll_back(&mut self) -> Result<(), StoreError> {
            Ok(())
        }

        fn commit(&mut self) -> Result<(), StoreError> {
            Ok(())
        }

        fn report_change(&self, _: bool) {}
    }

    impl SqlConnection for WaitingConnection {
        fn execute(&mut self, _: &str, _: &[SqlValue<'_>]) -> Result<u64, StoreError> {
            Ok(0)
        }

        fn visit(
            &mut self,
            _: &str,
            _: &[SqlValue<'_>],
            _: &mut dyn FnMut(&dyn SqlRow) -> Result<(), StoreError>,
        ) -> Result<(), StoreError> {
            Ok(())
        }

        fn begin_reading(&mut self) -> Result<(), StoreError> {
            Ok(())
        }

        fn end_reading(&mut self) -> Result<(), StoreError> {
            Ok(())
        }

        fn set_savepoint(&mut self) -> Result<(), StoreError> {
            Ok(())
        }

        fn release_savepoint(&mut self) -> Result<(), StoreError> {
            Ok(())
        }

        fn roll_back_to_savepoint(&mut self) -> Result<(), StoreError> {
            Ok(())
        }
    }

    /// Its caller may have told a client that the operation failed.
    #[tokio::test]
    async fn an_operation_whose_caller_has_given_up_is_not_run() {
        let (permissions, receiver) = channel();
        let joins = Arc::new(PendingJoins::default());
        let writer = WriteThread::start(WaitingConnection(receiver), joins, "test", None).unwrap();
        let was_run = Arc::new(AtomicBool::new(false));
        let note = was_run.clone();
        let given_up = writer.run(
            move |_| {
                note.store(true, Ordering::SeqCst);
                Ok(())
            },
            WriteMode::Call,
        );
        // It is queued, and dropped before its transaction begins.
        assert!(given_up.now_or_never().is_none());
        for _ in 0..2 {
            permissions.send(()).unwrap();
        }
        assert_eq!(writer.run(|_| Ok(5), WriteMode::Call).await, Ok(5), "the next one runs");
        assert!(!was_run.load(Ordering::SeqCst));
    }

    /// Operations of other callers wait in the queue until one of them fails.
    #[tokio::test]
    async fn a_failed_operation_is_undone_and_the_others_of_its_batch_are_not() {
        let directory = tempfile::tempdir().unwrap();
        let store =
            crate::sqlite::SqliteStore::open(&directory.path().join("store.sqlite3")).unwrap();
        let (permissions, receiver) = channel::<()>();
        let first = store.writer.run(
            move |_| {
                let _ = receiver.recv();
                Ok(())
            },
            WriteMode::Call,
        );
        let insert = |job: &'static str, fails: bool| {
            let mut runs = 0;
            store.writer.run(
                move |connection| {
                    const INSERT: &str =
                        "INSERT INTO periodic_jobs (job, run_number, started_at) VALUES (?1, ?2, 0)";
                    runs += 1;
                    connection.execute(INSERT, crate::sql::connection::values![job, runs])?;
                    let failure = || StoreError::Corrupt("odd".to_owned());
                    if fails { Err(failure()) } else { Ok(runs) }
                },
                WriteMode::Call,
            )
        };
        let release = async move { drop(permissions) };
        let (_, before, failed, after, ()) = tokio::join!(
            first,
            insert("before", false),
            insert("failed", true),
            insert("after", false),
            release
        );
        assert_eq!((before, after), (Ok(2), Ok(1)), "the second run of the first one counts");
        assert!(matches!(failed, Err(StoreError::Corrupt(_))));
        let read = |connection: &mut dyn SqlConnection| {
            let all = "SELECT job FROM periodic_jobs WHERE started_at = 0 ORDER BY job";
            connection.query(all, &[], |row| row.get::<String>(0))
        };
        use crate::sql::Database as _;
        assert_eq!(store.database.read(read).await.unwrap(), ["after", "before"]);
    }
}
