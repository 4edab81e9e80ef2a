//! The thread that writes: one transaction for everything that waits.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use app::ports::StoreError;
use tokio::sync::{mpsc, oneshot};

use super::meetings::count_joins;
use super::session::Session;
use crate::joins::Joins;

/// Operations that may wait; more of them wait outside.
const QUEUE_MAX: usize = 1024;
/// What the writing thread owns: a connection, or the way to one.
pub(crate) trait Link: Send + 'static {
    /// Operations of one transaction.
    const BATCH_MAX: usize;

    /// Begins a transaction that no other writer, in whatever process, can come in between.
    fn begin(&mut self) -> Result<&mut dyn Session, StoreError>;

    /// Commits it. After an error it may have been committed or not.
    fn commit(&mut self) -> Result<(), StoreError>;

    /// A transaction has ended, and callers are about to learn of it. `seen` says that it changed
    /// more than counts of joins.
    fn changed(&self, seen: bool);
}

/// Tells the caller what became of its operation, once the transaction has ended.
type Finish = Box<dyn FnOnce(Result<(), StoreError>) + Send>;
/// Runs within the transaction, or learns that there is none.
type Operation = Box<dyn FnOnce(Result<&mut dyn Session, StoreError>) -> Finish + Send>;

struct Job {
    operation: Operation,
    /// Whether it changes more than counts of joins.
    changes: bool,
}

/// A handle on the writing thread, which ends when the handle is dropped.
pub(super) struct Writer {
    queue: mpsc::Sender<Job>,
    patience: Option<Duration>,
}

impl Writer {
    pub(super) fn start(
        link: impl Link,
        joins: Arc<Joins>,
        name: &str,
        patience: Option<Duration>,
    ) -> Result<Self, StoreError> {
        let (queue, receiver) = mpsc::channel(QUEUE_MAX);
        thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || work(link, receiver, &joins))
            .map_err(|error| StoreError::Unavailable(error.to_string()))?;
        Ok(Self { queue, patience })
    }

    /// Runs an operation in the next transaction; returns when that is on disk.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        operation: impl FnOnce(&mut dyn Session) -> Result<T, StoreError> + Send + 'static,
        changes: bool,
    ) -> Result<T, StoreError> {
        let outcome = self.queue_up(operation, changes);
        let Some(patience) = self.patience else {
            return outcome.await;
        };
        let late = |_| {
            let ms = patience.as_millis();
            StoreError::Unavailable(format!("not written within {ms} ms"))
        };
        tokio::time::timeout(patience, outcome).await.map_err(late)?
    }

    async fn queue_up<T: Send + 'static>(
        &self,
        operation: impl FnOnce(&mut dyn Session) -> Result<T, StoreError> + Send + 'static,
        changes: bool,
    ) -> Result<T, StoreError> {
        let (sender, receiver) = oneshot::channel();
        let operation: Operation = Box::new(move |session| {
            // Who gave up before it began must not find it done.
            let result = match session {
                Ok(_) if sender.is_closed() => Err(gone("the caller")),
                Ok(session) => session.apart(operation),
                Err(error) => Err(error),
            };
            Box::new(move |committed| {
                // A caller that has gone away does not want to know.
                let _ = sender.send(committed.and(result));
            })
        });
        let job = Job { operation, changes };
        self.queue.send(job).await.map_err(|_| gone("the writing thread"))?;
        receiver.await.map_err(|_| gone("the writing thread"))?
    }

    /// A handle to nudge it with, which does not keep the thread alive.
    pub(super) fn nudge(&self) -> Nudge {
        Nudge(self.queue.downgrade())
    }
}

fn gone(who: &str) -> StoreError {
    StoreError::Unavailable(format!("{who} has gone"))
}

/// See [`Writer::nudge`].
pub(super) struct Nudge(mpsc::WeakSender<Job>);

impl Nudge {
    /// Asks for a transaction soon, for the sake of what waits elsewhere.
    pub(super) fn now(self) {
        if let Some(queue) = self.0.upgrade() {
            let operation: Operation = Box::new(|_| Box::new(|_| ()));
            // If the queue is full there will be a transaction anyway.
            let _ = queue.try_send(Job { operation, changes: false });
        }
    }
}

/// A service that reads and can never write again is worse than one that is started anew.
struct EndWithTheThread;

impl Drop for EndWithTheThread {
    fn drop(&mut self) {
        if thread::panicking() {
            std::process::abort();
        }
    }
}

fn work<L: Link>(mut link: L, mut queue: mpsc::Receiver<Job>, joins: &Joins) {
    let _end = EndWithTheThread;
    while let Some(first) = queue.blocking_recv() {
        let mut batch = vec![first];
        while batch.len() < L::BATCH_MAX
            && let Ok(next) = queue.try_recv()
        {
            batch.push(next);
        }
        run_batch(&mut link, batch, joins);
    }
}

fn run_batch(link: &mut impl Link, batch: Vec<Job>, joins: &Joins) {
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
        && let Err(error) = session.apart(|session| count_joins(session, &counted))
    {
        tracing::warn!(%error, "joins not counted; the next poll corrects the load");
    }
    let changes = batch.iter().any(|job| job.changes);
    let finishes: Vec<Finish> =
        batch.into_iter().map(|job| (job.operation)(Ok(&mut *session))).collect();
    let committed = link.commit();
    link.changed(changes);
    joins.written();
    for finish in finishes {
        finish(committed.clone());
    }
}
