//! The record of a run: violations, counts of events, a digest and, on request, a trace.

use domain::Timestamp;

use super::report::{EventCounts, Violation};

/// More violations of a run are not recorded.
const MAX_VIOLATIONS: usize = 5;

/// The record of a run.
#[derive(Debug, Default)]
pub(crate) struct RunLog {
    /// Whether trace lines are kept.
    pub(crate) keeps_trace: bool,
    /// The trace lines.
    pub(crate) trace: Vec<String>,
    /// Broken rules.
    pub(crate) violations: Vec<Violation>,
    /// How often each kind of event occurred.
    pub(crate) counts: EventCounts,
    /// The number of the current step.
    pub(crate) step: usize,
    /// FNV-1a digest of all counted events and their times.
    pub(crate) digest: u64,
}

impl RunLog {
    /// Counts an event.
    pub(crate) fn count_event(&mut self, at_ms: i64, event: &'static str) {
        *self.counts.entry(event).or_default() += 1;
        let bytes = event.bytes().chain(at_ms.to_le_bytes());
        self.digest = bytes.fold(self.digest, |digest, byte| {
            (digest ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        });
    }

    /// Adds a line to the trace.
    pub(crate) fn push_line(&mut self, at_ms: i64, text: &str) {
        if self.keeps_trace {
            self.trace.push(format!("{at_ms:>8} {text}"));
        }
    }

    /// Records a violation, unless the same message was recorded before.
    pub(crate) fn record_violation(&mut self, at_ms: i64, checker: &'static str, message: String) {
        self.push_line(at_ms, &format!("VIOLATION {checker}: {message}"));
        let is_known = self.violations.iter().any(|violation| violation.message == message);
        if !is_known && self.violations.len() < MAX_VIOLATIONS {
            self.violations.push(Violation { checker, step: self.step, at_ms, message });
        }
    }
}

/// The time at which runs begin; any time would do.
pub(crate) const RUN_START: Timestamp = Timestamp(1_800_000_000_000);
