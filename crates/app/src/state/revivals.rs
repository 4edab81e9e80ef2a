//! The revivals that this process has under way: one for each meeting, and a limited number at the same time.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use domain::MeetingKey;
use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Shared};
use tokio::sync::{Semaphore, SemaphorePermit, oneshot};
use tokio::time::Instant;

/// Revivals at the same time; the others wait.
const MAX_CONCURRENT: usize = 32;
/// After a revival has failed, the next one of the meeting begins so much later.
const RETRY_AFTER: Duration = Duration::from_secs(2);
/// Failures that are remembered.
const MAX_FAILURES: usize = 10_000;

/// The end of a revival. Those who await it are woken in the order in which they began, so that simulations can be
/// repeated.
pub(crate) type RevivalEnd = Shared<BoxFuture<'static, ()>>;

/// The revivals of this process.
#[derive(Debug)]
pub struct Revivals {
    permits: Semaphore,
    state: Mutex<RevivalState>,
}

#[derive(Debug, Default)]
struct RevivalState {
    running: HashMap<MeetingKey, RevivalEnd>,
    /// When revivals have failed.
    failed_at: HashMap<MeetingKey, Instant>,
}

/// What a join that wants a revival finds.
pub(crate) enum RevivalStart {
    /// It has to make the revival.
    Started(RunningRevival, RevivalEnd),
    /// Another join does it.
    Running(RevivalEnd),
    /// It has just failed.
    TooSoon,
}

/// A revival that is under way. It is over when this is dropped.
pub(crate) struct RunningRevival {
    key: MeetingKey,
    revivals: Arc<Revivals>,
    has_failed: bool,
    _ended: oneshot::Sender<()>,
}

impl Default for Revivals {
    fn default() -> Self {
        Self { permits: Semaphore::new(MAX_CONCURRENT), state: Mutex::default() }
    }
}

impl Revivals {
    fn lock(&self) -> MutexGuard<'_, RevivalState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins the revival of a meeting, unless it is under way or has just failed.
    pub(crate) fn start(self: &Arc<Self>, key: &MeetingKey) -> RevivalStart {
        let mut state = self.lock();
        if let Some(ended) = state.running.get(key) {
            return RevivalStart::Running(ended.clone());
        }
        if state.failed_at.get(key).is_some_and(|at| at.elapsed() < RETRY_AFTER) {
            return RevivalStart::TooSoon;
        }
        let (sender, receiver) = oneshot::channel();
        // Dropping the sender ends it as well.
        let ended: RevivalEnd = receiver.map(drop).boxed().shared();
        state.running.insert(key.clone(), ended.clone());
        let (key, revivals) = (key.clone(), Arc::clone(self));
        let running = RunningRevival { key, revivals, has_failed: true, _ended: sender };
        RevivalStart::Started(running, ended)
    }

    /// Returns the end of the revival of a meeting that is under way.
    pub(crate) fn find(&self, key: &MeetingKey) -> Option<RevivalEnd> {
        self.lock().running.get(key).cloned()
    }

    /// Waits until a further revival may be made.
    pub(crate) async fn acquire_permit(&self) -> Option<SemaphorePermit<'_>> {
        self.permits.acquire().await.ok()
    }
}

impl RunningRevival {
    /// Ends it.
    pub(crate) fn end(mut self, has_succeeded: bool) {
        self.has_failed = !has_succeeded;
    }
}

impl Drop for RunningRevival {
    fn drop(&mut self) {
        let mut state = self.revivals.lock();
        state.running.remove(&self.key);
        if self.has_failed {
            state.failed_at.retain(|_, at| at.elapsed() < RETRY_AFTER);
            if state.failed_at.len() < MAX_FAILURES {
                state.failed_at.insert(self.key.clone(), Instant::now());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(id: &str) -> MeetingKey {
        MeetingKey { tenant: None, id: id.to_owned() }
    }

    #[tokio::test(start_paused = true)]
    async fn one_join_makes_the_revival_and_the_others_wait() {
        let revivals = Arc::new(Revivals::default());
        let RevivalStart::Started(running, _) = revivals.start(&key("m")) else { panic!() };
        let RevivalStart::Running(ended) = revivals.start(&key("m")) else { panic!() };
        assert!(matches!(revivals.start(&key("other")), RevivalStart::Started(..)));
        assert!(revivals.find(&key("m")).is_some());
        running.end(true);
        ended.await;
        assert!(matches!(revivals.start(&key("m")), RevivalStart::Started(..)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_failed_revival_is_not_repeated_at_once() {
        let revivals = Arc::new(Revivals::default());
        let RevivalStart::Started(running, _) = revivals.start(&key("m")) else { panic!() };
        running.end(false);
        assert!(matches!(revivals.start(&key("m")), RevivalStart::TooSoon));
        tokio::time::advance(RETRY_AFTER).await;
        assert!(matches!(revivals.start(&key("m")), RevivalStart::Started(..)));
    }
}
