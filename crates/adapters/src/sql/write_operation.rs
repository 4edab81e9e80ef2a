//! An operation on its way through the writing thread: it is run in a transaction, perhaps twice, and its
//! caller gets the result when the transaction has ended.

use app::ports::StoreError;
use tokio::sync::oneshot;

use super::connection::SqlConnection;

/// An operation without its types.
pub(super) trait WriteOperation: Send {
    /// Runs the operation and keeps its result. Returns whether it succeeded, or has no caller any more.
    fn run(&mut self, connection: &mut dyn SqlConnection) -> bool;

    /// Like [`Self::run`]; if it fails, what it has written is undone.
    fn run_in_savepoint(&mut self, connection: &mut dyn SqlConnection);

    /// Sends the caller the result, or why there was no transaction or it was not committed.
    fn finish(self: Box<Self>, transaction: Result<(), StoreError>);
}

/// An operation and its caller.
pub(super) struct PendingOperation<F, T> {
    operation: F,
    result: Result<T, StoreError>,
    caller: oneshot::Sender<Result<T, StoreError>>,
}

impl<F, T> PendingOperation<F, T> {
    pub(super) fn new(operation: F, caller: oneshot::Sender<Result<T, StoreError>>) -> Self {
        let result = Err(StoreError::Unavailable("not written".to_owned()));
        Self { operation, result, caller }
    }

    /// An operation whose caller has given up before it began is not run: a client may have been told that it failed.
    fn is_given_up(&mut self) -> bool {
        let is_given_up = self.caller.is_closed();
        if is_given_up {
            self.result = Err(StoreError::Unavailable("the caller has given up".to_owned()));
        }
        is_given_up
    }
}

impl<F, T> WriteOperation for PendingOperation<F, T>
where
    F: FnMut(&mut dyn SqlConnection) -> Result<T, StoreError> + Send,
    T: Send,
{
    fn run(&mut self, connection: &mut dyn SqlConnection) -> bool {
        if self.is_given_up() {
            return true;
        }
        self.result = (self.operation)(connection);
        self.result.is_ok()
    }

    fn run_in_savepoint(&mut self, connection: &mut dyn SqlConnection) {
        if !self.is_given_up() {
            self.result = connection.run_in_savepoint(&mut self.operation);
        }
    }

    fn finish(self: Box<Self>, transaction: Result<(), StoreError>) {
        // The caller may have given up.
        let _ = self.caller.send(transaction.and(self.result));
    }
}

/// Does nothing: asks for a transaction.
pub(super) struct NoOperation;

impl WriteOperation for NoOperation {
    fn run(&mut self, _: &mut dyn SqlConnection) -> bool {
        true
    }

    fn run_in_savepoint(&mut self, _: &mut dyn SqlConnection) {}

    fn finish(self: Box<Self>, _: Result<(), StoreError>) {}
}
