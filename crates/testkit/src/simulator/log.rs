//! What is written down during a run: violations, counts, a digest and, if wanted, a trace.

use domain::Timestamp;

use super::report::{EventCounts, Violation};

/// More violations than this say nothing new.
const MAX_VIOLATIONS: usize = 5;

/// What is written down.
#[derive(Debug, Default)]
pub(crate) struct RunLog {
    /// Whether lines are kept.
    pub(crate) keeps_trace: bool,
    /// The lines.
    pub(crate) trace: Vec<String>,
    /// Violations.
    pub(crate) violations: Vec<Violation>,
    /// Counts.
    pub(crate) counts: EventCounts,
    /// Steps so far.
    pub(crate) step: usize,
    /// Digest of all counted things and their times.
    pub(crate) digest: u64,
}

impl RunLog {
    /// Counts one thing.
    pub(crate) fn count_event(&mut self, at_ms: i64, what: &'static str) {
        *self.counts.entry(what).or_default() += 1;
        let bytes = what.bytes().chain(at_ms.to_le_bytes());
        self.digest = bytes.fold(self.digest, |digest, byte| {
            (digest ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        });
    }

    /// Writes a line.
    pub(crate) fn push_line(&mut self, at_ms: i64, text: &str) {
        if self.keeps_trace {
            self.trace.push(format!("{at_ms:>8} {text}"));
        }
    }

    /// Writes a violation down.
    pub(crate) fn record_violation(&mut self, at_ms: i64, checker: &'static str, message: String) {
        self.push_line(at_ms, &format!("VIOLATION {checker}: {message}"));
        let known = self.violations.iter().any(|one| one.message == message);
        if !known && self.violations.len() < MAX_VIOLATIONS {
            self.violations.push(Violation { checker, step: self.step, at_ms, message });
        }
    }
}

/// Where runs begin: any time would do.
pub(crate) const RUN_START: Timestamp = Timestamp(1_800_000_000_000);
