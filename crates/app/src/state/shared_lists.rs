//! Calls that want the meetings of one server at the same time share one request to it. A call only takes part in a request that
//! begins after the call has arrived: whoever has just created a meeting finds it in the list.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use domain::{Server, ServerId};
use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Shared};
use tokio::time::timeout;

use crate::origin::keep_origin;

/// How long a request waits for the end of the one before it. A server that hangs delays nobody by more.
/// There are as many requests at once as fit into their time limit.
const MAX_WAIT: Duration = Duration::from_millis(500);

/// A meeting as front-ends see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServedMeeting {
    /// The tenant that the server names.
    pub tenant: Option<String>,
    /// `internalMeetingID`; empty if the server names none.
    pub internal_id: String,
    /// The well-formed `<meeting>` element.
    pub element: String,
}

/// The meetings of a server, for several calls.
pub type ServedMeetings = Arc<Vec<ServedMeeting>>;

/// The answer to a request that several calls wait for.
type SharedAnswer = Shared<BoxFuture<'static, ServedMeetings>>;

/// The requests to one server.
#[derive(Default)]
struct Requests {
    /// Held while a request is under way.
    turn: Arc<tokio::sync::Mutex<()>>,
    /// The request that has not begun.
    next: Option<SharedAnswer>,
}

/// The requests for lists to all servers.
#[derive(Default)]
pub struct SharedLists(Mutex<HashMap<ServerId, Requests>>);

impl SharedLists {
    /// Takes part in the next request to this server; if there is none yet, `fetch` becomes that. It goes on however slow the calls
    /// are that wait for it.
    pub fn join(
        self: &Arc<Self>,
        server: &ServerId,
        fetch: impl Future<Output = ServedMeetings> + Send + 'static,
    ) -> SharedAnswer {
        let mut servers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let requests = servers.entry(server.clone()).or_default();
        if let Some(next) = &requests.next {
            return next.clone();
        }
        let (lists, server, turn) = (self.clone(), server.clone(), requests.turn.clone());
        let request = tokio::spawn(keep_origin(async move {
            let _turn = timeout(MAX_WAIT, turn.lock_owned()).await;
            lists.begin(&server);
            fetch.await
        }));
        // A request that panicked has no meetings.
        let answer = request.map(Result::unwrap_or_default).boxed().shared();
        requests.next = Some(answer.clone());
        answer
    }

    /// From now on calls wait for another request.
    fn begin(&self, server: &ServerId) {
        let mut servers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(requests) = servers.get_mut(server) {
            requests.next = None;
        }
    }

    /// Forgets servers that are not in the pool any more.
    pub fn retain(&self, servers: &[Server]) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|id, _| servers.iter().any(|server| server.id == *id));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::sync::Semaphore;
    use tokio::task::{JoinHandle, yield_now};
    use tokio::time::Instant;

    use super::*;

    /// A server whose answers wait for permits, and name the requests that were begun.
    #[derive(Clone)]
    struct SlowServer {
        begun: Arc<AtomicUsize>,
        permits: Arc<Semaphore>,
    }

    impl SlowServer {
        fn new(permits: usize) -> Self {
            Self { begun: Arc::default(), permits: Arc::new(Semaphore::new(permits)) }
        }

        /// A call that wants the list; returns the number of the request that answered it.
        async fn call(&self, lists: &Arc<SharedLists>) -> JoinHandle<String> {
            let server = self.clone();
            let fetch = async move {
                let number = server.begun.fetch_add(1, Ordering::SeqCst) + 1;
                server.permits.acquire().await.unwrap().forget();
                let element = number.to_string();
                Arc::new(vec![ServedMeeting { tenant: None, internal_id: String::new(), element }])
            };
            let joined = lists.join(&ServerId("a".to_owned()), fetch);
            let call = tokio::spawn(async move { joined.await[0].element.clone() });
            yield_now().await;
            call
        }
    }

    #[tokio::test(start_paused = true)]
    async fn calls_share_a_request_that_begins_after_them() {
        let (lists, server) = (Arc::new(SharedLists::default()), SlowServer::new(0));
        let first = server.call(&lists).await;
        let later = [server.call(&lists).await, server.call(&lists).await];
        assert_eq!(server.begun.load(Ordering::SeqCst), 1);
        server.permits.add_permits(2);
        assert_eq!(first.await.unwrap(), "1");
        for call in later {
            assert_eq!(call.await.unwrap(), "2");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_that_hangs_delays_the_next_one_briefly() {
        let (lists, server) = (Arc::new(SharedLists::default()), SlowServer::new(0));
        let _hanging = server.call(&lists).await;
        let _waiting = server.call(&lists).await;
        let started = Instant::now();
        while server.begun.load(Ordering::SeqCst) < 2 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        // The time is the test's own.
        assert!(started.elapsed() <= MAX_WAIT + Duration::from_millis(2));
    }

    #[tokio::test(start_paused = true)]
    async fn calls_that_leave_hold_nobody_up() {
        let (lists, server) = (Arc::new(SharedLists::default()), SlowServer::new(0));
        let (first, second) = (server.call(&lists).await, server.call(&lists).await);
        for call in [first, second] {
            call.abort();
            assert!(call.await.unwrap_err().is_cancelled());
        }
        server.permits.add_permits(2);
        assert_eq!(server.call(&lists).await.await.unwrap(), "2");
    }
}
