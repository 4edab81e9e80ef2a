//! The creates of one use case that servers have not answered yet.

use domain::Timestamp;

/// A create that was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PendingCreate {
    /// The host name of the server.
    pub(crate) host: String,
    /// When it was sent.
    pub(crate) sent_at: Timestamp,
}

/// The creates of one use case that servers have not answered yet.
#[derive(Clone, Debug, Default)]
pub(crate) struct PendingCreates(Vec<PendingCreate>);

impl PendingCreates {
    /// Adds a create that is sent now.
    pub(crate) fn add(&mut self, create: PendingCreate) {
        self.0.push(create);
    }

    /// Removes a create that was answered or has failed.
    pub(crate) fn remove(&mut self, create: &PendingCreate) {
        self.0.retain(|pending| pending != create);
    }

    /// Returns the creates.
    pub(crate) fn list(&self) -> &[PendingCreate] {
        &self.0
    }
}
