//! The creates of one use case that servers have not answered yet.

use std::collections::BTreeSet;

use domain::Timestamp;

/// A create that was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PendingCreate {
    /// The host name of the server.
    pub(crate) host: String,
    /// When it was sent.
    pub(crate) sent_at: Timestamp,
    /// Whether the meeting was claimed on that server then, by this create or another one.
    pub(crate) is_claimed: bool,
}

/// The creates of one use case that servers have not answered yet.
#[derive(Clone, Debug, Default)]
pub(crate) struct PendingCreates {
    pending: Vec<PendingCreate>,
    asked: BTreeSet<String>,
}

impl PendingCreates {
    /// Adds a create that is sent now.
    pub(crate) fn add(&mut self, create: PendingCreate) {
        self.asked.insert(create.host.clone());
        self.pending.push(create);
    }

    /// Removes a create that was answered or has failed.
    pub(crate) fn remove(&mut self, create: &PendingCreate) {
        self.pending.retain(|pending| pending != create);
    }

    /// Returns the creates.
    pub(crate) fn list(&self) -> &[PendingCreate] {
        &self.pending
    }

    /// Returns whether the server was sent a create before, answered or not.
    #[must_use]
    pub(crate) fn was_asked(&self, host: &str) -> bool {
        self.asked.contains(host)
    }
}
