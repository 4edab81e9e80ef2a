//! The thread that writes: one transaction for everything that waits.

use std::sync::Arc;
use std::thread;

use app::ports::StoreError;
use rusqlite::{Connection, TransactionBehavior};
use tokio::sync::{mpsc, oneshot};

use super::beacon::Beacon;
use super::failure;
use super::joins::Joins;

/// Operations that may wait; more of them wait outside.
const QUEUE_MAX: usize = 1024;
/// Operations of one transaction.
const BATCH_MAX: usize = 256;

/// Tells the caller what became of its operation, once the transaction has ended.
type Finish = Box<dyn FnOnce(Result<(), StoreError>) + Send>;
/// Runs within the transaction, or learns that there is none.
type Job = Box<dyn FnOnce(Result<&Connection, StoreError>) -> Finish + Send>;

/// A handle on the writing thread, which ends when the handle is dropped.
pub(super) struct Writer(mpsc::Sender<Job>);

impl Writer {
    pub(super) fn start(
        connection: Connection,
        joins: Arc<Joins>,
        beacon: Arc<Beacon>,
    ) -> Result<Self, StoreError> {
        let (sender, receiver) = mpsc::channel(QUEUE_MAX);
        thread::Builder::new()
            .name("sqlite-writer".to_owned())
            .spawn(move || work(connection, receiver, &joins, &beacon))
            .map_err(|error| StoreError::Unavailable(error.to_string()))?;
        Ok(Self(sender))
    }

    /// Runs an operation in the next transaction; returns when that is on disk.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        operation: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (sender, receiver) = oneshot::channel();
        let job: Job = Box::new(move |connection| {
            let result = connection.and_then(|connection| apart(connection, operation));
            Box::new(move |committed| {
                // A caller that has gone away does not want to know.
                let _ = sender.send(committed.and(result));
            })
        });
        let gone = || StoreError::Unavailable("the writing thread has ended".to_owned());
        self.0.send(job).await.map_err(|_| gone())?;
        receiver.await.map_err(|_| gone())?
    }

    /// Asks for a transaction soon, for the sake of what waits elsewhere.
    pub(super) fn nudge(&self) {
        // If the queue is full there will be a transaction anyway.
        let _ = self.0.try_send(Box::new(|_| Box::new(|_| ())));
    }

    /// A handle that does not keep the thread alive.
    pub(super) fn downgrade(&self) -> WeakWriter {
        WeakWriter(self.0.downgrade())
    }
}

/// See [`Writer::downgrade`].
pub(super) struct WeakWriter(mpsc::WeakSender<Job>);

impl WeakWriter {
    pub(super) fn nudge(&self) {
        if let Some(sender) = self.0.upgrade() {
            Writer(sender).nudge();
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

fn work(
    mut connection: Connection,
    mut queue: mpsc::Receiver<Job>,
    joins: &Joins,
    beacon: &Beacon,
) {
    let _end = EndWithTheThread;
    while let Some(first) = queue.blocking_recv() {
        let mut batch = vec![first];
        while batch.len() < BATCH_MAX
            && let Ok(next) = queue.try_recv()
        {
            batch.push(next);
        }
        run_batch(&mut connection, batch, joins, beacon);
    }
}

fn run_batch(connection: &mut Connection, batch: Vec<Job>, joins: &Joins, beacon: &Beacon) {
    let transaction = match connection.transaction_with_behavior(TransactionBehavior::Immediate) {
        Ok(transaction) => transaction,
        Err(error) => {
            let error = failure(error);
            for job in batch {
                job(Err(error.clone()))(Err(error.clone()));
            }
            return;
        }
    };
    let counted = joins.take();
    let applied =
        apart(&transaction, |connection| super::statements::count_joins(connection, &counted));
    if let Err(error) = applied {
        tracing::warn!(%error, "joins not counted; the next poll corrects the load");
    }
    let finishes: Vec<Finish> = batch.into_iter().map(|job| job(Ok(&transaction))).collect();
    let committed = transaction.commit().map_err(failure);
    beacon.change();
    joins.written();
    for finish in finishes {
        finish(committed.clone());
    }
}

/// One operation of a transaction: if it fails, it alone is undone.
fn apart<T>(
    connection: &Connection,
    operation: impl FnOnce(&Connection) -> rusqlite::Result<T>,
) -> Result<T, StoreError> {
    let run = || -> rusqlite::Result<T> {
        connection.prepare_cached("SAVEPOINT operation")?.execute([])?;
        let result = operation(connection);
        if result.is_err() {
            connection.prepare_cached("ROLLBACK TO operation")?.execute([])?;
        }
        connection.prepare_cached("RELEASE operation")?.execute([])?;
        result
    };
    run().map_err(failure)
}
