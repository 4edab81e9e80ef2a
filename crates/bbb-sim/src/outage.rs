//! Faults that a test sets on a server, crashes and restarts.

use crate::fault::{Fault, FaultMode};
use crate::http::ServerRoute;
use crate::listener::ServerListener;
use crate::server::BbbServer;

impl BbbServer {
    /// Sets a fault, which also affects requests that are not yet answered.
    pub fn set_fault(&self, fault: impl Into<Fault>) {
        self.lock_state().fault = Some(fault.into());
        self.0.fault_changed.notify_waiters();
        self.apply_fault_to_listeners();
    }

    /// Crashes the server. All meetings and all requests in flight are lost, and connecting fails until the fault is
    /// cleared, which starts the server again without meetings.
    pub fn crash(&self) {
        let mut state = self.lock_state();
        state.generation += 1;
        state.meetings.clear();
        state.fault = Some(FaultMode::Refuse.into());
        drop(state);
        self.set_fault(FaultMode::Refuse);
    }

    /// Clears the fault. Requests that already hang continue to hang.
    pub fn clear_fault(&self) {
        self.lock_state().fault = None;
        self.0.fault_changed.notify_waiters();
        self.apply_fault_to_listeners();
    }

    /// Restarts the server: all meetings are lost, all settings are kept.
    pub fn restart(&self) {
        self.drop_meetings(None);
    }

    /// Closes or opens all listeners, as the fault wants it.
    pub(crate) fn apply_fault_to_listeners(&self) {
        if self.lock_state().fault.as_ref().is_some_and(Fault::closes_listener) {
            self.for_each_listener(ServerListener::close);
        } else {
            self.for_each_listener(|listener| listener.open(ServerRoute::Single(self.clone())));
        }
    }
}
