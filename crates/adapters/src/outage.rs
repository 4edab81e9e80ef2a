//! A circuit breaker for the connections to a shared store. While the store is unavailable, every
//! call fails at once with the last error, and one attempt in [`RETRY_INTERVAL`] finds out whether
//! it is back.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use app::ports::StoreError;
use tokio::time::Instant;

/// The time between two attempts to connect to a store that is unavailable.
pub(crate) const RETRY_INTERVAL: Duration = Duration::from_millis(500);

/// What is known about the outage of one store. Shared by all its connections.
#[derive(Default)]
pub(crate) struct Outage(Mutex<OutageState>);

#[derive(Default)]
struct OutageState {
    /// The last error, and the time of that error or of the attempt after it; `None` while the
    /// store is believed to be there.
    failure: Option<(StoreError, Instant)>,
    /// Whether a connection got no response in time and none was opened since.
    is_silent: bool,
    /// Whether an attempt is running that finds out whether the store is back.
    is_probing: bool,
}

impl OutageState {
    fn error(&self) -> Option<StoreError> {
        let (error, since) = self.failure.as_ref()?;
        (self.is_probing || since.elapsed() < RETRY_INTERVAL).then(|| error.clone())
    }

    /// Returns whether this is the beginning of an outage.
    fn record_failure(&mut self, error: StoreError) -> bool {
        self.failure.replace((error, Instant::now())).is_none()
    }
}

impl Outage {
    fn lock(&self) -> MutexGuard<'_, OutageState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns why a call must fail at once. `None` if the store is there, as far as is known, or
    /// if it is time for an attempt.
    pub(crate) fn error(&self) -> Option<StoreError> {
        self.lock().error()
    }

    /// Returns the last error if the store is unavailable, also when it is time for an attempt.
    pub(crate) fn last_error(&self) -> Option<StoreError> {
        self.lock().failure.as_ref().map(|(error, _)| error.clone())
    }

    /// Whether the store left a connection without a response and has not been reached since. Other
    /// connections that were open at that time cannot be expected to work.
    pub(crate) fn is_silent(&self) -> bool {
        self.lock().is_silent
    }

    /// Records that the store left a connection without a response. Returns whether this is the
    /// beginning of an outage.
    pub(crate) fn report_silence(&self, error: StoreError) -> bool {
        let mut state = self.lock();
        state.is_silent = true;
        state.record_failure(error)
    }

    /// Begins an attempt to connect, or returns why none is allowed now. While the store is
    /// unavailable there is one attempt at a time; otherwise any number.
    pub(crate) fn begin_attempt(&self) -> Result<ConnectAttempt<'_>, StoreError> {
        let mut state = self.lock();
        if let Some(error) = state.error() {
            return Err(error);
        }
        let is_probe = state.failure.is_some();
        if let Some((_, since)) = &mut state.failure {
            *since = Instant::now();
            state.is_probing = true;
        }
        Ok(ConnectAttempt { outage: self, is_probe })
    }
}

/// An attempt to connect. Dropped without a result, it changes nothing.
pub(crate) struct ConnectAttempt<'a> {
    outage: &'a Outage,
    is_probe: bool,
}

impl ConnectAttempt<'_> {
    /// Records that a connection was opened. Returns whether this is the end of an outage.
    pub(crate) fn succeed(self) -> bool {
        let mut state = self.outage.lock();
        state.is_silent = false;
        state.failure.take().is_some()
    }

    /// Records that no connection could be opened. Returns whether this is the beginning of an
    /// outage.
    pub(crate) fn fail(self, error: StoreError) -> bool {
        self.outage.lock().record_failure(error)
    }
}

impl Drop for ConnectAttempt<'_> {
    fn drop(&mut self) {
        if self.is_probe {
            self.outage.lock().is_probing = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> StoreError {
        StoreError::Unavailable(text.to_owned())
    }

    #[tokio::test(start_paused = true)]
    async fn one_attempt_at_a_time_is_allowed_while_the_store_is_unavailable() {
        let outage = Outage::default();
        let (first, second) = (outage.begin_attempt(), outage.begin_attempt());
        assert!(first.is_ok_and(|attempt| attempt.fail(error("a"))), "the beginning of an outage");
        assert!(second.is_ok_and(|attempt| !attempt.fail(error("b"))));
        assert_eq!(outage.error(), Some(error("b")));
        assert_eq!(outage.begin_attempt().err(), Some(error("b")));
        tokio::time::advance(RETRY_INTERVAL).await;
        assert_eq!((outage.error(), outage.last_error()), (None, Some(error("b"))));
        let probe = outage.begin_attempt();
        tokio::time::advance(RETRY_INTERVAL * 3).await;
        assert_eq!(outage.error(), Some(error("b")), "as long as the attempt takes");
        assert!(outage.begin_attempt().is_err());
        assert!(probe.is_ok_and(ConnectAttempt::succeed), "the end of the outage");
        assert_eq!((outage.error(), outage.last_error()), (None, None));
        assert!(outage.begin_attempt().is_ok_and(|attempt| !attempt.succeed()));
    }

    #[tokio::test(start_paused = true)]
    async fn an_attempt_that_is_dropped_is_followed_by_another_one() {
        let outage = Outage::default();
        assert!(outage.report_silence(error("silent")));
        tokio::time::advance(RETRY_INTERVAL).await;
        drop(outage.begin_attempt());
        assert_eq!(outage.error(), Some(error("silent")));
        tokio::time::advance(RETRY_INTERVAL).await;
        assert!(outage.is_silent());
        assert!(outage.begin_attempt().is_ok_and(ConnectAttempt::succeed));
        assert!(!outage.is_silent());
    }
}
