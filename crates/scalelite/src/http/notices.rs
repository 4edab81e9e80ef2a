//! Log lines that would otherwise be repeated with each request.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Shortest time between two log lines of one kind.
const PAUSE: Duration = Duration::from_secs(3600);

/// A kind of log line, and when it was written last.
#[derive(Debug, Default)]
pub(super) struct Notice(Mutex<Option<Instant>>);

impl Notice {
    /// Returns whether the line may be written now, and takes note of it.
    pub(super) fn is_due(&self) -> bool {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = last.is_none_or(|last| last.elapsed() >= PAUSE);
        if is_due {
            *last = Some(Instant::now());
        }
        is_due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_line_is_written_once_in_a_while() {
        let notice = Notice::default();
        assert!(notice.is_due() && !notice.is_due());
        tokio::time::advance(PAUSE).await;
        assert!(notice.is_due());
    }
}
