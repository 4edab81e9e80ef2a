//! What a process counts of its own work since its start, for metrics. Counting takes no lock, except for the short look at which
//! servers there are, and what is counted of a server is removed with it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use domain::{Server, ServerId};

use super::time_histogram::TimeHistogram;
use crate::backend::BackendError;
use crate::ports::CallError;

/// Upper bounds of the time that a create takes on a server, in ms.
const CREATE_BOUNDS_MS: &[u64] = &[500, 2_000, 5_000, 10_000];
/// Upper bounds of the time that a poll takes, in ms.
const POLL_BOUNDS_MS: &[u64] = &[25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000];
/// Servers of which something is counted. If there were more, counting would begin anew.
const MAX_SERVERS: usize = 10_000;

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds one.
    pub fn count(&self) {
        self.add(1);
    }

    /// Adds a number.
    pub fn add(&self, number: usize) {
        self.0.fetch_add(u64::try_from(number).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Returns the number so far.
    #[must_use]
    pub fn read(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Why a server did not do what it was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureKind {
    /// It could not be reached: no address, no connection, no TLS, or the connection broke off.
    Unreachable,
    /// It did not answer in time.
    Timeout,
    /// What answered was not BBB: a page, an error of the web server in front, or an endless answer.
    Foreign,
    /// BBB refused the poll; mostly the secret is wrong.
    Refused,
}

impl FailureKind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Unreachable, Self::Timeout, Self::Foreign, Self::Refused];

    /// Returns its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::Timeout => "timeout",
            Self::Foreign => "foreign",
            Self::Refused => "refused",
        }
    }

    /// The kind of a call without a response.
    #[must_use]
    pub fn of_call(error: &CallError) -> Self {
        match error {
            CallError::Unreachable(_)
            | CallError::ConnectionLost(_)
            | CallError::UploadTooLarge
            | CallError::UploadInterrupted(_) => Self::Unreachable,
            CallError::Timeout(_) => Self::Timeout,
            CallError::ResponseTooLarge(_) => Self::Foreign,
        }
    }

    /// The kind of a call without a response of the BBB API.
    #[must_use]
    pub fn of_backend(error: &BackendError) -> Self {
        match error {
            BackendError::Call(error) => Self::of_call(error),
            BackendError::CutShort => Self::Timeout,
            BackendError::Refused(_)
            | BackendError::InvalidResponse(_)
            | BackendError::Foreign(..)
            | BackendError::Occupied
            | BackendError::NotThere => Self::Foreign,
        }
    }
}

/// What is counted of one server.
#[derive(Debug)]
pub struct ServerMeters {
    /// How long creates took that it answered.
    pub creates: TimeHistogram,
    /// How long its last answered poll took, in µs; 0 if there was none.
    last_poll_us: AtomicU64,
    failures: [Counter; FailureKind::ALL.len()],
}

impl Default for ServerMeters {
    fn default() -> Self {
        Self {
            creates: TimeHistogram::new(CREATE_BOUNDS_MS),
            last_poll_us: AtomicU64::default(),
            failures: std::array::from_fn(|_| Counter::default()),
        }
    }
}

impl ServerMeters {
    /// Returns how long its last answered poll took, in seconds; `None` if this process has polled it in vain, or not at all.
    #[must_use]
    pub fn last_poll_s(&self) -> Option<f64> {
        let took_us = self.last_poll_us.load(Ordering::Relaxed);
        (took_us > 0).then_some(took_us as f64 / 1e6)
    }

    /// Returns how often it failed in that way.
    #[must_use]
    pub fn failures(&self, kind: FailureKind) -> u64 {
        let place = FailureKind::ALL.iter().position(|other| *other == kind);
        place.and_then(|place| self.failures.get(place)).map_or(0, Counter::read)
    }
}

/// What a process counts.
#[derive(Debug)]
pub struct Meters {
    servers: RwLock<HashMap<ServerId, Arc<ServerMeters>>>,
    /// How long polls took that were answered, of all servers.
    pub polls: TimeHistogram,
    /// How long the last poll cycle took, in ms.
    last_cycle_ms: AtomicU64,
    /// Creates that went on to another server.
    pub failovers: Counter,
    /// Meetings made anew because their server was offline.
    pub revivals: Counter,
    /// Revivals that failed.
    pub failed_revivals: Counter,
    /// Copies of meetings that were ended, because another one was kept.
    pub duplicates_ended: Counter,
    /// Meetings ended that unanswered creates had left.
    pub late_ends: Counter,
    /// Joins to suspect servers, which answered when they were asked.
    pub suspect_joins: Counter,
    /// Joins to suspect servers, which did not answer.
    pub silent_suspect_joins: Counter,
    /// Meetings that were adopted.
    pub adoptions: Counter,
    /// Servers that went offline.
    pub went_offline: Counter,
    /// Servers that went online.
    pub went_online: Counter,
    /// Callbacks that were delivered.
    pub callbacks_delivered: Counter,
    /// Attempts to deliver a callback that failed.
    pub callback_failures: Counter,
    /// Callbacks that were given up.
    pub callbacks_given_up: Counter,
}

impl Default for Meters {
    fn default() -> Self {
        Self {
            servers: RwLock::default(),
            polls: TimeHistogram::new(POLL_BOUNDS_MS),
            last_cycle_ms: AtomicU64::default(),
            failovers: Counter::default(),
            revivals: Counter::default(),
            failed_revivals: Counter::default(),
            duplicates_ended: Counter::default(),
            late_ends: Counter::default(),
            suspect_joins: Counter::default(),
            silent_suspect_joins: Counter::default(),
            adoptions: Counter::default(),
            went_offline: Counter::default(),
            went_online: Counter::default(),
            callbacks_delivered: Counter::default(),
            callback_failures: Counter::default(),
            callbacks_given_up: Counter::default(),
        }
    }
}

impl Meters {
    /// Returns what is counted of a server.
    #[must_use]
    pub fn server(&self, id: &ServerId) -> Arc<ServerMeters> {
        let known = self.servers.read().unwrap_or_else(PoisonError::into_inner).get(id).cloned();
        known.unwrap_or_else(|| {
            let mut servers = self.servers.write().unwrap_or_else(PoisonError::into_inner);
            if servers.len() >= MAX_SERVERS {
                servers.clear();
            }
            servers.entry(id.clone()).or_default().clone()
        })
    }

    /// Forgets all servers but these.
    pub fn retain(&self, servers: &[Server]) {
        let known: std::collections::HashSet<&ServerId> =
            servers.iter().map(|server| &server.id).collect();
        let mut meters = self.servers.write().unwrap_or_else(PoisonError::into_inner);
        meters.retain(|id, _| known.contains(id));
    }

    /// Counts a failure of a server.
    pub fn count_failure(&self, server: &ServerId, kind: FailureKind) {
        let meters = self.server(server);
        let kinds = FailureKind::ALL.iter().zip(&meters.failures);
        for (_, failures) in kinds.filter(|(other, _)| **other == kind) {
            failures.count();
        }
    }

    /// Records that a server answered a poll.
    pub fn record_poll(&self, server: &ServerId, took: Duration) {
        let took_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX).max(1);
        self.server(server).last_poll_us.store(took_us, Ordering::Relaxed);
        self.polls.observe(took);
    }

    /// Records how long a poll cycle took.
    pub fn record_cycle(&self, took: Duration) {
        let took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX).max(1);
        self.last_cycle_ms.store(took_ms, Ordering::Relaxed);
    }

    /// Returns how long the last poll cycle of this process took, in seconds; `None` if there was none.
    #[must_use]
    pub fn last_cycle_s(&self) -> Option<f64> {
        let took_ms = self.last_cycle_ms.load(Ordering::Relaxed);
        (took_ms > 0).then_some(took_ms as f64 / 1e3)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_app::test_server;

    #[test]
    fn what_is_counted_of_a_server_goes_with_it() {
        let meters = Meters::default();
        let (a, b) = (test_server("a"), test_server("b"));
        for server in [&a, &b, &b] {
            meters.count_failure(&server.id, FailureKind::Timeout);
        }
        meters.record_poll(&b.id, Duration::from_millis(30));
        let timeouts = |id| meters.server(id).failures(FailureKind::Timeout);
        assert_eq!((timeouts(&a.id), timeouts(&b.id)), (1, 2));
        assert_eq!(meters.server(&a.id).failures(FailureKind::Refused), 0);
        meters.retain(std::slice::from_ref(&a));
        assert_eq!((timeouts(&a.id), timeouts(&b.id)), (1, 0));
        assert_eq!((meters.server(&b.id).last_poll_s(), meters.polls.read().total()), (None, 1));
    }
}
