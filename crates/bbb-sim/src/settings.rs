//! What a test can set on a server at any time: secret, version, algorithms, latencies, the log.

use crate::calls::CallFailure;
use crate::checksum::Algorithm;
use crate::latency::{DelaySource, Latency, MeetingMoment};
use crate::server::BbbServer;

impl BbbServer {
    /// Returns the secret: `secretN` for server N, unless it was changed.
    #[must_use]
    pub fn secret(&self) -> String {
        self.lock_state().secret.clone()
    }

    /// Changes the secret.
    pub fn set_secret(&self, secret: &str) {
        secret.clone_into(&mut self.lock_state().secret);
    }

    /// Changes the `bbbVersion` of the version call, which is initially "2.7.12".
    pub fn set_version(&self, version: &str) {
        version.clone_into(&mut self.lock_state().version);
    }

    /// Sets the allowed checksum algorithms, which are initially all four.
    pub fn set_algorithms(&self, algorithms: &[Algorithm]) {
        self.lock_state().algorithms = algorithms.to_vec();
    }

    /// Changes the latency of all calls, which passes before a call takes effect.
    pub fn set_latency(&self, latency: Latency) {
        self.lock_state().latency = DelaySource::new(latency, self.number());
    }

    /// Sets a latency that these calls ("index" for the version call) have in place of that of all calls. `None` removes
    /// it.
    pub fn set_call_latency(&self, calls: &[&str], latency: Option<Latency>) {
        let mut state = self.lock_state();
        for &call in calls {
            match &latency {
                None => {
                    state.call_latencies.remove(call);
                }
                Some(latency) => {
                    let source = DelaySource::new(latency.clone(), self.number());
                    state.call_latencies.insert(call.to_owned(), source);
                }
            }
        }
    }

    /// Sets how long the server works on a create, beside the latency: in BigBlueButton 3 a create waits for slides and
    /// plugins. The meeting exists from the beginning of the work on, unless [`BbbServer::set_meeting_moment`] says
    /// otherwise. A repeated create of a meeting that exists is answered at once.
    pub fn set_create_latency(&self, latency: Latency) {
        self.lock_state().create_latency = DelaySource::new(latency, self.number());
    }

    /// Sets from which moment of its create on a meeting exists.
    pub fn set_meeting_moment(&self, moment: MeetingMoment) {
        self.lock_state().meeting_moment = moment;
    }

    /// Sets key and message with which all calls but `join` and `isMeetingRunning` answer that a meeting does not exist,
    /// initially "notFound". Some releases of BigBlueButton say "validationError".
    pub fn set_unknown_meeting_answer(&self, key: &str, message: &str) {
        self.lock_state().unknown_meeting = CallFailure::new(key.to_owned(), message);
    }

    /// Sets whether requests are logged, which they are initially.
    pub fn set_logging(&self, enabled: bool) {
        self.lock_state().log.enabled = enabled;
    }
}
