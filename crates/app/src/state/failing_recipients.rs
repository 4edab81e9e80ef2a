//! Recipients of callbacks that fail: the log tells when one begins to and when it works again, not every message.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use tokio::time::Instant;

use super::{FailureLog, FailureNote, PastFailures};

/// Most recipients that are remembered. Beyond that, each failure is logged.
const MAX_RECIPIENTS: usize = 1_000;

/// What was logged of recipients, by their hosts.
#[derive(Debug, Default)]
pub struct FailingRecipients(Mutex<HashMap<String, FailureLog>>);

impl FailingRecipients {
    /// Notes that a message could not be delivered; returns what is to be logged.
    pub(crate) fn note_failure(&self, host: &str) -> FailureNote {
        let mut logs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !logs.contains_key(host) && logs.len() >= MAX_RECIPIENTS {
            return FailureNote::First;
        }
        logs.entry(host.to_owned()).or_default().note_failure(Instant::now())
    }

    /// Notes that a message was delivered; returns the failures that this ends.
    pub(crate) fn note_success(&self, host: &str) -> Option<PastFailures> {
        let mut logs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        logs.remove(host).and_then(|mut log| log.note_success(Instant::now()))
    }
}
