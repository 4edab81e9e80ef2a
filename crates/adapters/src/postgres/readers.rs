//! The threads that read. There is one for each connection besides the writer's, so that the
//! numbers of connections and threads do not depend on the number of callers.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use app::ports::StoreError;
use tokio::sync::{mpsc, oneshot};

use super::connector::Connector;
use super::thread_connection::ThreadConnection;
use crate::sql::connection::SqlConnection;

/// The number of queries in the queue; callers of more queries wait until one is taken.
const MAX_QUEUED: usize = 1024;

type ReadJob = Box<dyn FnOnce(&mut ThreadConnection) + Send>;

/// A handle of the reading threads, which end when the handle is dropped.
pub(super) struct ReadThreads {
    queue: mpsc::Sender<ReadJob>,
    timeout: Duration,
}

impl ReadThreads {
    pub(super) fn start(
        connector: &Arc<Connector>,
        count: usize,
        timeout: Duration,
    ) -> Result<Self, StoreError> {
        let (queue, receiver) = mpsc::channel(MAX_QUEUED);
        let receiver = Arc::new(Mutex::new(receiver));
        for _ in 0..count {
            let connection = ThreadConnection::new(connector.clone());
            let receiver = receiver.clone();
            thread::Builder::new()
                .name("postgres-reader".to_owned())
                .spawn(move || run_jobs(connection, &receiver))
                .map_err(|error| StoreError::Unavailable(error.to_string()))?;
        }
        Ok(Self { queue, timeout })
    }

    /// Runs a query on one of the threads.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        query: impl Fn(&mut dyn SqlConnection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let ended_error = || StoreError::Unavailable("the reading threads have ended".to_owned());
        let (sender, receiver) = oneshot::channel();
        let job: ReadJob = Box::new(move |connection| {
            // A query whose caller has given up is not run.
            if !sender.is_closed() {
                let _ = sender.send(connection.run(|connection| query(connection)));
            }
        });
        let result = async {
            self.queue.send(job).await.map_err(|_| ended_error())?;
            receiver.await.map_err(|_| ended_error())?
        };
        let ms = self.timeout.as_millis();
        let timed_out = |_| StoreError::Unavailable(format!("PostgreSQL: not read within {ms} ms"));
        tokio::time::timeout(self.timeout, result).await.map_err(timed_out)?
    }
}

fn run_jobs(mut connection: ThreadConnection, queue: &Mutex<mpsc::Receiver<ReadJob>>) {
    loop {
        // The thread that holds the lock waits for the next query.
        let job = queue.lock().unwrap_or_else(PoisonError::into_inner).blocking_recv();
        match job {
            Some(job) => job(&mut connection),
            None => return,
        }
    }
}
