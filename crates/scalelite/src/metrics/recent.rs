//! The creates and joins of the last hour, minute by minute, and the last ones that failed, for the console.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Minutes that are kept.
const MINUTES: usize = 60;
/// Failures that are kept.
const MAX_FAILURES: usize = 20;
/// Longest reason of a failure, in characters.
const MAX_REASON_CHARS: usize = 200;
/// The calls that are counted, in the order of [`MinuteCounts`].
const CALLS: [&str; 2] = ["create", "join"];

/// What was counted in one minute.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MinuteCounts {
    /// Creates and joins that succeeded.
    pub succeeded: [u32; 2],
    /// Creates and joins that failed.
    pub failed: [u32; 2],
}

/// A create or join that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecentFailure {
    /// How long ago.
    pub age: Duration,
    /// The call.
    pub call: &'static str,
    /// The key of the error.
    pub result: String,
    /// The reason, for administrators.
    pub reason: String,
}

/// What is kept.
#[derive(Debug, Default)]
struct Kept {
    /// The minute of the last entry, counted from the start.
    minute: u64,
    /// The last minutes, the newest last.
    counts: VecDeque<MinuteCounts>,
    failures: VecDeque<(Instant, RecentFailure)>,
}

/// The creates and joins of the last hour in this process.
#[derive(Debug)]
pub struct RecentRequests {
    started: Instant,
    kept: Mutex<Kept>,
}

impl Default for RecentRequests {
    fn default() -> Self {
        Self { started: Instant::now(), kept: Mutex::default() }
    }
}

impl RecentRequests {
    /// Counts a request, if it is a create or join.
    pub fn note(&self, call: &str, result: &str, reason: Option<&str>) {
        let Some(index) = CALLS.iter().position(|known| *known == call) else { return };
        let now = Instant::now();
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.advance(self.minute(now));
        let is_failure = result != "ok";
        if let Some(counts) = kept.counts.back_mut() {
            let numbers = if is_failure { &mut counts.failed } else { &mut counts.succeeded };
            if let Some(number) = numbers.get_mut(index) {
                *number = number.saturating_add(1);
            }
        }
        if is_failure {
            let shorten = |text: &str| text.chars().take(MAX_REASON_CHARS).collect();
            let (call, result) = (CALLS.get(index).copied().unwrap_or_default(), shorten(result));
            let reason = shorten(reason.unwrap_or_default());
            let failure = RecentFailure { age: Duration::ZERO, call, result, reason };
            kept.failures.push_front((now, failure));
            kept.failures.truncate(MAX_FAILURES);
        }
    }

    fn minute(&self, now: Instant) -> u64 {
        now.duration_since(self.started).as_secs() / 60
    }

    /// The last hour, the present minute last.
    pub fn counts(&self) -> Vec<MinuteCounts> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.advance(self.minute(Instant::now()));
        kept.counts.iter().copied().collect()
    }

    /// The last failures of the last hour, the newest first.
    pub fn failures(&self) -> Vec<RecentFailure> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let hour = Duration::from_secs(3_600);
        let aged = kept
            .failures
            .iter()
            .map(|(at, failure)| RecentFailure { age: at.elapsed(), ..failure.clone() });
        aged.filter(|failure| failure.age <= hour).collect()
    }
}

impl Kept {
    /// Begins the minutes that have passed.
    fn advance(&mut self, minute: u64) {
        if self.counts.is_empty() {
            self.counts.push_back(MinuteCounts::default());
            self.minute = minute;
        }
        let passed = usize::try_from(minute.saturating_sub(self.minute)).unwrap_or(MINUTES);
        for _ in 0..passed.min(MINUTES) {
            self.counts.push_back(MinuteCounts::default());
        }
        self.minute = minute.max(self.minute);
        let excess = self.counts.len().saturating_sub(MINUTES);
        self.counts.drain(..excess);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_hour_is_kept_and_no_more() {
        let recent = RecentRequests::default();
        recent.note("create", "ok", None);
        recent.note("join", "notFound", Some("no meeting"));
        recent.note("getMeetings", "ok", None);
        tokio::time::advance(Duration::from_secs(125)).await;
        recent.note("join", "ok", None);
        let counts = recent.counts();
        assert_eq!(counts.len(), 3);
        assert_eq!(counts[0], MinuteCounts { succeeded: [1, 0], failed: [0, 1] });
        assert_eq!(counts[2], MinuteCounts { succeeded: [0, 1], failed: [0, 0] });
        let failures = recent.failures();
        assert_eq!((failures[0].call, failures[0].result.as_str()), ("join", "notFound"));
        assert_eq!(failures[0].reason, "no meeting");
        for _ in 0..50 {
            recent.note("create", "x".repeat(500).as_str(), None);
        }
        assert_eq!(recent.failures().len(), MAX_FAILURES);
        assert_eq!(recent.failures()[0].result.len(), MAX_REASON_CHARS);
        tokio::time::advance(Duration::from_secs(86_400)).await;
        let counts = recent.counts();
        assert_eq!(counts.len(), MINUTES);
        assert!(counts.iter().all(|minute| *minute == MinuteCounts::default()));
        assert_eq!(recent.failures(), []);
    }
}
