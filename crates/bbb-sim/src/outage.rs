//! Faults that a test sets on a server, crashes and restarts.

use crate::fault::{Fault, FaultMode};
use crate::http::ServerRoute;
use crate::listener::ServerListener;
use crate::server::BbbServer;

/// What becomes of the meetings of a server that is started again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Restart {
    /// They are gone, without an end or a callback.
    LosesMeetings,
    /// They go on.
    KeepsMeetings,
}

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

    /// Takes all meetings away at once, as a restart that nobody notices would: no connection is cut, all settings are
    /// kept. [`BbbServer::restart_with`] restarts the whole server.
    pub fn restart(&self) {
        self.drop_meetings(None);
    }

    /// Stops the server and starts it again at once: connections are cut, and requests in flight have no effect and no
    /// answer. All settings are kept. Servers on a shared port keep the connections of that port.
    pub fn restart_with(&self, restart: Restart) {
        let mut state = self.lock_state();
        state.generation += 1;
        if restart == Restart::LosesMeetings {
            state.meetings.clear();
        }
        drop(state);
        self.0.fault_changed.notify_waiters();
        self.for_each_listener(ServerListener::close);
        self.apply_fault_to_listeners();
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
