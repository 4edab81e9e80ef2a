//! Creates that want to place meetings at the same time are placed together: one of them reads what all need, chooses for one after
//! the other, and claims all meetings at once. So the creates of one process never make each other start again, and those
//! of several processes seldom do.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use app::ports::{PlaceOutcome, PlaceRequest, StoreError};
use tokio::sync::oneshot::{self, error::TryRecvError};

use super::{MAX_TRIES, RedisStore, busy_error};

/// Meetings that are placed together: Redis executes nothing else meanwhile.
const MAX_TOGETHER: usize = 32;

/// The result for one request; `None` if it has to start again, because another process was faster.
pub(super) type PlaceAttempt = Result<Option<PlaceOutcome>, StoreError>;

/// A request that waits for its turn.
struct WaitingRequest {
    request: PlaceRequest,
    answer: oneshot::Sender<PlaceAttempt>,
}

/// The requests of this process.
#[derive(Default)]
pub(super) struct PlacementQueue {
    waiting: Mutex<VecDeque<WaitingRequest>>,
    /// Held by the request that works for all others.
    turn: tokio::sync::Mutex<()>,
}

impl PlacementQueue {
    fn add(&self, request: PlaceRequest) -> oneshot::Receiver<PlaceAttempt> {
        let (answer, receiver) = oneshot::channel();
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.push_back(WaitingRequest { request, answer });
        receiver
    }

    /// Takes the requests that have waited longest, without those that nobody waits for any more.
    fn take(&self) -> Vec<WaitingRequest> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.retain(|waiting| !waiting.answer.is_closed());
        let count = waiting.len().min(MAX_TOGETHER);
        waiting.drain(..count).collect()
    }
}

impl RedisStore {
    /// Places a meeting, together with others that wait for it, until no other process is faster.
    pub(super) async fn place_in_turn(
        &self,
        request: PlaceRequest,
    ) -> Result<PlaceOutcome, StoreError> {
        for _ in 0..MAX_TRIES {
            let mut answer = self.placements.add(request.clone());
            let _turn = self.placements.turn.lock().await;
            let attempt = loop {
                match answer.try_recv() {
                    Ok(attempt) => break attempt?,
                    Err(TryRecvError::Empty) => self.place_waiting().await,
                    // The request that worked for this one was dropped.
                    Err(TryRecvError::Closed) => break None,
                }
            };
            if let Some(outcome) = attempt {
                return Ok(outcome);
            }
        }
        Err(busy_error())
    }

    /// Places the meetings that have waited longest.
    async fn place_waiting(&self) {
        let waiting = self.placements.take();
        let requests: Vec<&PlaceRequest> = waiting.iter().map(|waiting| &waiting.request).collect();
        let attempts = match self.try_to_place(&requests).await {
            Ok(attempts) => attempts,
            Err(error) => vec![Err(error); requests.len()],
        };
        for (waiting, attempt) in waiting.into_iter().zip(attempts) {
            // One that has left meanwhile leaves its claim, which runs out.
            let _ = waiting.answer.send(attempt);
        }
    }
}
