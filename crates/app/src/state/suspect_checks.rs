//! What suspect servers answered lately when they were asked before users are sent to them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use domain::ServerId;
use tokio::time::Instant;

/// Servers of which an answer is kept.
const MAX_SERVERS: usize = 10_000;

/// The last answer of a server, and the lock that lets one join ask while the others wait.
pub(crate) type LastAnswer = Arc<tokio::sync::Mutex<Option<(Instant, bool)>>>;

/// What suspect servers answered lately.
#[derive(Debug, Default)]
pub struct SuspectChecks(Mutex<HashMap<ServerId, LastAnswer>>);

impl SuspectChecks {
    /// Returns what the server answered last.
    pub(crate) fn last_answer(&self, server: &ServerId) -> LastAnswer {
        let mut answers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if answers.len() >= MAX_SERVERS {
            answers.clear();
        }
        answers.entry(server.clone()).or_default().clone()
    }
}
