//! The threads that read: as many as the pool has connections besides the writer's, so that neither
//! the number of connections nor that of waiting threads depends on the number of callers.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use app::ports::StoreError;
use tokio::sync::{mpsc, oneshot};

use super::connector::Connector;
use super::thread_connection::ThreadConnection;
use crate::sql::connection::SqlConnection;

/// Queries that may wait; more of them wait outside.
const MAX_QUEUED: usize = 1024;

type ReadJob = Box<dyn FnOnce(&mut ThreadConnection) + Send>;

/// A handle on the reading threads, which end when it is dropped.
pub(super) struct ReadThreads {
    queue: mpsc::Sender<ReadJob>,
    timeout: Duration,
}

impl ReadThreads {
    pub(super) fn start(
        door: &Arc<Connector>,
        threads: usize,
        patience: Duration,
    ) -> Result<Self, StoreError> {
        let (queue, receiver) = mpsc::channel(MAX_QUEUED);
        let receiver = Arc::new(Mutex::new(receiver));
        for _ in 0..threads {
            let (seat, receiver) = (ThreadConnection::new(door.clone()), receiver.clone());
            thread::Builder::new()
                .name("postgres-reader".to_owned())
                .spawn(move || run_jobs(seat, &receiver))
                .map_err(|error| StoreError::Unavailable(error.to_string()))?;
        }
        Ok(Self { queue, timeout: patience })
    }

    /// Runs a query on one of the threads.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        query: impl Fn(&mut dyn SqlConnection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let gone = || StoreError::Unavailable("the reading threads have ended".to_owned());
        let (sender, receiver) = oneshot::channel();
        let job: ReadJob = Box::new(move |seat| {
            // Nobody waits for the answers to those who gave up.
            if !sender.is_closed() {
                let _ = sender.send(seat.run(|session| query(session)));
            }
        });
        let answer = async {
            self.queue.send(job).await.map_err(|_| gone())?;
            receiver.await.map_err(|_| gone())?
        };
        let ms = self.timeout.as_millis();
        let late = |_| StoreError::Unavailable(format!("PostgreSQL: not read within {ms} ms"));
        tokio::time::timeout(self.timeout, answer).await.map_err(late)?
    }
}

fn run_jobs(mut seat: ThreadConnection, queue: &Mutex<mpsc::Receiver<ReadJob>>) {
    loop {
        // Whoever holds the lock is the one that waits for a query.
        let job = queue.lock().unwrap_or_else(PoisonError::into_inner).blocking_recv();
        match job {
            Some(job) => job(&mut seat),
            None => return,
        }
    }
}
