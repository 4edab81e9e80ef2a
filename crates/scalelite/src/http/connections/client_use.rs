//! What a request takes of the limits of its client, if a trusted proxy has passed it on.

use std::sync::Arc;

use tokio::sync::OwnedSemaphorePermit;

use super::address::ClientAddress;
use super::open_connection::AddressUse;
use super::registry::Shared;

/// A request of a client behind a proxy. Dropping this gives everything back.
#[derive(Debug)]
pub(super) struct ClientUse {
    shared: Arc<Shared>,
    client: ClientAddress,
    pub(super) used: Arc<AddressUse>,
    unproven_bytes: u64,
    /// The turn of the request among those of its client.
    pub(super) turn: Option<OwnedSemaphorePermit>,
}

impl ClientUse {
    pub(super) fn new(shared: Arc<Shared>, client: ClientAddress, used: Arc<AddressUse>) -> Self {
        Self { shared, client, used, unproven_bytes: 0, turn: None }
    }

    /// Reserves memory for a sender that has not proven who it is; returns whether there was as much.
    pub(super) fn hold_unproven(&mut self, bytes: u64) -> bool {
        if !self.used.unproven.take(bytes) {
            return false;
        }
        if !self.shared.unproven.take(bytes) {
            self.used.unproven.give_back(bytes);
            return false;
        }
        self.unproven_bytes += bytes;
        true
    }

    pub(super) fn give_back_unproven(&mut self) {
        let bytes = std::mem::take(&mut self.unproven_bytes);
        self.used.unproven.give_back(bytes);
        self.shared.unproven.give_back(bytes);
    }
}

impl Drop for ClientUse {
    fn drop(&mut self) {
        self.give_back_unproven();
        self.shared.end_client(self.client, &self.used);
    }
}
