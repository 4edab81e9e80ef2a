//! The thread that writes: one transaction for everything that waits.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use app::ports::StoreError;
use tokio::sync::{mpsc, oneshot};

use super::connection::SqlConnection;
use super::meetings::count_joins;
use crate::pending_joins::PendingJoins;

/// Operations that may wait; more of them wait outside.
const MAX_QUEUED: usize = 1024;
/// What the writing thread owns: a connection, or the way to one.
pub(crate) trait WriteConnection: Send + 'static {
    /// Operations of one transaction.
    const MAX_BATCH: usize;

    /// Begins a transaction that no other writer, in whatever process, can come in between.
    fn begin(&mut self) -> Result<&mut dyn SqlConnection, StoreError>;

    /// Commits it. After an error it may have been committed or not.
    fn commit(&mut self) -> Result<(), StoreError>;

    /// A transaction has ended, and callers are about to learn of it. `seen` says that it changed
    /// more than counts of joins.
    fn report_change(&self, seen: bool);
}

/// Tells the caller what became of its operation, once the transaction has ended.
type ResultSender = Box<dyn FnOnce(Result<(), StoreError>) + Send>;
/// Runs within the transaction, or learns that there is none.
type WriteOperation =
    Box<dyn FnOnce(Result<&mut dyn SqlConnection, StoreError>) -> ResultSender + Send>;

struct WriteJob {
    operation: WriteOperation,
    /// Whether it changes more than counts of joins.
    invalidates_join_cache: bool,
}

/// A handle on the writing thread, which ends when the handle is dropped.
pub(super) struct WriteThread {
    queue: mpsc::Sender<WriteJob>,
    timeout: Option<Duration>,
}

impl WriteThread {
    pub(super) fn start(
        link: impl WriteConnection,
        joins: Arc<PendingJoins>,
        name: &str,
        patience: Option<Duration>,
    ) -> Result<Self, StoreError> {
        let (queue, receiver) = mpsc::channel(MAX_QUEUED);
        thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || run_jobs(link, receiver, &joins))
            .map_err(|error| StoreError::Unavailable(error.to_string()))?;
        Ok(Self { queue, timeout: patience })
    }

    /// Runs an operation in the next transaction; returns when that is on disk.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        operation: impl FnOnce(&mut dyn SqlConnection) -> Result<T, StoreError> + Send + 'static,
        changes: bool,
    ) -> Result<T, StoreError> {
        let outcome = self.submit(operation, changes);
        let Some(patience) = self.timeout else {
            return outcome.await;
        };
        let late = |_| {
            let ms = patience.as_millis();
            StoreError::Unavailable(format!("not written within {ms} ms"))
        };
        tokio::time::timeout(patience, outcome).await.map_err(late)?
    }

    async fn submit<T: Send + 'static>(
        &self,
        operation: impl FnOnce(&mut dyn SqlConnection) -> Result<T, StoreError> + Send + 'static,
        changes: bool,
    ) -> Result<T, StoreError> {
        let (sender, receiver) = oneshot::channel();
        let operation: WriteOperation = Box::new(move |session| {
            // Who gave up before it began must not find it done.
            let result = match session {
                Ok(_) if sender.is_closed() => Err(gone_error("the caller")),
                Ok(session) => session.run_in_savepoint(operation),
                Err(error) => Err(error),
            };
            Box::new(move |committed| {
                // A caller that has gone away does not want to know.
                let _ = sender.send(committed.and(result));
            })
        });
        let job = WriteJob { operation, invalidates_join_cache: changes };
        self.queue.send(job).await.map_err(|_| gone_error("the writing thread"))?;
        receiver.await.map_err(|_| gone_error("the writing thread"))?
    }

    /// A handle to nudge it with, which does not keep the thread alive.
    pub(super) fn wake_up_handle(&self) -> WakeUp {
        WakeUp(self.queue.downgrade())
    }
}

fn gone_error(who: &str) -> StoreError {
    StoreError::Unavailable(format!("{who} has gone"))
}

/// See [`WriteThread::wake_up_handle`].
pub(super) struct WakeUp(mpsc::WeakSender<WriteJob>);

impl WakeUp {
    /// Asks for a transaction soon, for the sake of what waits elsewhere.
    pub(super) fn send(self) {
        if let Some(queue) = self.0.upgrade() {
            let operation: WriteOperation = Box::new(|_| Box::new(|_| ()));
            // If the queue is full there will be a transaction anyway.
            let _ = queue.try_send(WriteJob { operation, invalidates_join_cache: false });
        }
    }
}

/// A service that reads and can never write again is worse than one that is started anew.
struct AbortOnPanic;

impl Drop for AbortOnPanic {
    fn drop(&mut self) {
        if thread::panicking() {
            std::process::abort();
        }
    }
}

fn run_jobs<L: WriteConnection>(
    mut link: L,
    mut queue: mpsc::Receiver<WriteJob>,
    joins: &PendingJoins,
) {
    let _end = AbortOnPanic;
    while let Some(first) = queue.blocking_recv() {
        let mut batch = vec![first];
        while batch.len() < L::MAX_BATCH
            && let Ok(next) = queue.try_recv()
        {
            batch.push(next);
        }
        run_batch(&mut link, batch, joins);
    }
}

fn run_batch(link: &mut impl WriteConnection, batch: Vec<WriteJob>, joins: &PendingJoins) {
    let session = match link.begin() {
        Ok(session) => session,
        Err(error) => {
            for job in batch {
                (job.operation)(Err(error.clone()))(Err(error.clone()));
            }
            return;
        }
    };
    let counted = joins.take();
    if !counted.is_empty()
        && let Err(error) = session.run_in_savepoint(|session| count_joins(session, &counted))
    {
        tracing::warn!(%error, "joins not counted; the next poll corrects the load");
    }
    let changes = batch.iter().any(|job| job.invalidates_join_cache);
    let finishes: Vec<ResultSender> =
        batch.into_iter().map(|job| (job.operation)(Ok(&mut *session))).collect();
    let committed = link.commit();
    link.report_change(changes);
    joins.finish_write();
    for finish in finishes {
        finish(committed.clone());
    }
}
