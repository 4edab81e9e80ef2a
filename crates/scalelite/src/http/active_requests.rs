//! Counts the requests that a connection has in flight, so that shutdown waits for these and for nothing else, and tells the connection
//! when each of them begins and ends.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::sync::watch;
use tokio::time::timeout;

use super::connections::OpenConnection;
use super::respond::ResponseBody;

/// After the body of a response has ended, its last bytes may still be on their way to a client that reads slowly.
const FLUSH_GRACE: Duration = Duration::from_secs(2);

/// Counts of a connection's requests.
#[derive(Clone, Copy, Default)]
struct Counts {
    started: u64,
    in_flight: u64,
}

/// The requests of one connection.
#[derive(Clone)]
pub(super) struct ActiveRequests(watch::Sender<Counts>);

impl ActiveRequests {
    /// None so far.
    pub(super) fn new() -> Self {
        Self(watch::Sender::new(Counts::default()))
    }

    /// Counts a request of a connection until the guard is dropped.
    pub(super) fn start(&self, connection: Arc<OpenConnection>) -> RequestGuard {
        connection.start_request();
        self.0.send_modify(|counts| {
            counts.started += 1;
            counts.in_flight += 1;
        });
        RequestGuard { requests: self.clone(), connection }
    }

    /// Returns when the process stops and no request is in flight. The client may be about to send one: a connection of which
    /// only a part of a head was read would otherwise be waited for.
    pub(super) async fn wait_until_abandoned(&self, mut stop: watch::Receiver<bool>) {
        // An error means that the sender is gone, which also ends the process.
        let _ = stop.wait_for(|stop| *stop).await;
        let mut counts = self.0.subscribe();
        let started = match counts.wait_for(|counts| counts.in_flight == 0).await {
            Ok(counts) => counts.started,
            Err(_) => 0,
        };
        if started > 0 {
            tokio::time::sleep(FLUSH_GRACE).await;
        }
    }
}

impl ActiveRequests {
    /// Returns when no request has been in flight for so long.
    pub(super) async fn wait_until_idle(&self, time: Duration) {
        let mut counts = self.0.subscribe();
        loop {
            let started = match counts.wait_for(|counts| counts.in_flight == 0).await {
                Ok(counts) => counts.started,
                Err(_) => return,
            };
            let next = counts.wait_for(|counts| counts.started > started);
            if timeout(time, next).await.is_err() {
                return;
            }
        }
    }
}

/// A request in flight.
pub(super) struct RequestGuard {
    requests: ActiveRequests,
    connection: Arc<OpenConnection>,
}

impl Drop for RequestGuard {
    fn drop(&mut self) {
        self.connection.end_request();
        self.requests.0.send_modify(|counts| counts.in_flight -= 1);
    }
}

/// The body of a response, which keeps its request in flight.
pub(super) struct TrackedBody {
    body: ResponseBody,
    guard: RequestGuard,
}

impl TrackedBody {
    pub(super) fn new(body: ResponseBody, guard: RequestGuard) -> Self {
        Self { body, guard }
    }
}

impl Body for TrackedBody {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let frame = Pin::new(&mut self.body).poll_frame(context);
        self.guard.connection.set_piece_waiting(frame.is_ready());
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
