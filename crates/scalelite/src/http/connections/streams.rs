//! The requests of one connection of HTTP/2. Each of them counts as a connection does that has one request at a time; the connection itself
//! waits for its client if all of them do.

use std::sync::Arc;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::sync::Weak;
use std::sync::atomic::Ordering;
use std::time::Duration;

use http::Request;

use super::open_connection::{FREE_HEAD_BYTES, HEAD_BYTE_COST, OpenConnection, Phase};

/// Time between two looks for responses that are not read.
const STALL_INTERVAL: Duration = Duration::from_secs(5);
/// What a header takes besides its name and value, by RFC 9113.
const HEADER_COST: usize = 32;

impl OpenConnection {
    /// Begins a request of HTTP/2 on this connection.
    pub(in crate::http) fn new_stream(self: &Arc<Self>) -> Arc<Self> {
        let mut stream = Self::new(self.shared.clone(), self.address.clone(), self.peer);
        stream.parent = Some(self.clone());
        let stream = Arc::new(stream);
        let mut streams = self.lock_streams();
        streams.retain(|stream| stream.strong_count() > 0);
        streams.push(Arc::downgrade(&stream));
        stream
    }

    fn lock_streams(&self) -> MutexGuard<'_, Vec<Weak<Self>>> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn live_streams(&self) -> Vec<Arc<Self>> {
        self.lock_streams().iter().filter_map(Weak::upgrade).collect()
    }

    /// Takes note that a request waits for something else than before.
    pub(super) fn follow_streams(&self) {
        let phases: Vec<Phase> = self.live_streams().iter().map(|stream| stream.phase()).collect();
        let order = [Phase::Answering, Phase::Turn, Phase::UnprovenBody];
        let phase = order.into_iter().find(|phase| phases.contains(phase));
        self.set_phase(phase.unwrap_or(Phase::Idle));
    }

    /// Reserves memory for a long head of HTTP/2, which was read already; returns whether there was as much.
    pub(in crate::http) fn hold_head<B>(&self, request: &Request<B>) -> bool {
        let target = request.uri().path_and_query().map_or(0, |target| target.as_str().len());
        let headers = request.headers().iter();
        let headers = headers.map(|(name, value)| name.as_str().len() + value.len() + HEADER_COST);
        let bytes = u64::try_from(target + headers.sum::<usize>()).unwrap_or(u64::MAX);
        let beyond = bytes.saturating_sub(FREE_HEAD_BYTES);
        beyond == 0 || self.hold(beyond.saturating_mul(HEAD_BYTE_COST))
    }

    /// Takes note of whether a piece of a response waits until the client of HTTP/2 takes it.
    pub(in crate::http) fn set_piece_waiting(&self, is_waiting: bool) {
        if self.parent.is_some() {
            // Zero means that no piece waits.
            let since_ms = if is_waiting { self.shared.now_ms().max(1) } else { 0 };
            self.piece_since_ms.store(since_ms, Ordering::Relaxed);
        }
    }

    /// Returns when a response of one of the requests was not read for so long.
    pub(in crate::http) async fn wait_until_stalled(&self, limit: Duration) {
        let limit_ms = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX);
        let is_stalled = |stream: &Arc<Self>| {
            let since_ms = stream.piece_since_ms.load(Ordering::Relaxed);
            since_ms > 0 && self.shared.now_ms().saturating_sub(since_ms) > limit_ms
        };
        while !self.live_streams().iter().any(is_stalled) {
            tokio::time::sleep(STALL_INTERVAL).await;
        }
    }
}
