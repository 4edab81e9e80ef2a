//! What is logged of a failure that goes on: its begin, a reminder every hour, and its end.

use std::time::Duration;

use tokio::time::Instant;

/// Time between two reminders.
pub const REMINDER_INTERVAL: Duration = Duration::from_secs(3600);

/// A failure that goes on, or none.
#[derive(Clone, Debug, Default)]
pub struct FailureLog(Option<Failure>);

#[derive(Clone, Debug)]
struct Failure {
    since: Instant,
    logged_at: Instant,
    count: u64,
}

/// How often something failed in a row, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PastFailures {
    /// How often.
    pub count: u64,
    /// Since the first failure.
    pub lasted: Duration,
}

/// What a failure is to be logged as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureNote {
    /// It is the first one.
    First,
    /// It goes on, and the log told so an hour ago.
    Reminder(PastFailures),
    /// The log has told of it lately.
    Silent,
}

impl FailureLog {
    /// Notes a failure.
    pub fn note_failure(&mut self, now: Instant) -> FailureNote {
        let Some(failure) = &mut self.0 else {
            self.0 = Some(Failure { since: now, logged_at: now, count: 1 });
            return FailureNote::First;
        };
        failure.count = failure.count.saturating_add(1);
        if now.duration_since(failure.logged_at) < REMINDER_INTERVAL {
            return FailureNote::Silent;
        }
        failure.logged_at = now;
        FailureNote::Reminder(failure.past(now))
    }

    /// Notes a success. Returns the failures that it ends.
    pub fn note_success(&mut self, now: Instant) -> Option<PastFailures> {
        self.0.take().map(|failure| failure.past(now))
    }
}

impl Failure {
    fn past(&self, now: Instant) -> PastFailures {
        PastFailures { count: self.count, lasted: now.duration_since(self.since) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_logged_when_it_begins_every_hour_and_when_it_ends() {
        let start = Instant::now();
        let mut log = FailureLog::default();
        assert_eq!(log.note_success(start), None);
        let mut notes = Vec::new();
        for minute in 0..=150_u64 {
            let note = log.note_failure(start + Duration::from_secs(60 * minute));
            if note != FailureNote::Silent {
                notes.push((minute, note));
            }
        }
        let past = |count, minutes: u64| {
            FailureNote::Reminder(PastFailures { count, lasted: Duration::from_secs(60 * minutes) })
        };
        assert_eq!(notes, [(0, FailureNote::First), (60, past(61, 60)), (120, past(121, 120))]);
        let end = log.note_success(start + Duration::from_secs(60 * 151)).unwrap();
        assert_eq!((end.count, end.lasted.as_secs()), (151, 60 * 151));
        assert_eq!(log.note_failure(start), FailureNote::First);
    }
}
