//! What came out of a run.

use std::collections::BTreeMap;
use std::fmt;

/// A rule of the product that was broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which checker says so.
    pub checker: &'static str,
    /// After which step of the run.
    pub step: usize,
    /// When, in ms since the run began.
    pub at_ms: i64,
    /// What is wrong.
    pub message: String,
}

/// How often each kind of thing happened.
pub type EventCounts = BTreeMap<&'static str, u64>;

/// The outcome of a run.
#[derive(Clone, Debug, Default)]
pub struct RunReport {
    /// Which run.
    pub seed: u64,
    /// What was broken, the first one first.
    pub violations: Vec<Violation>,
    /// What happened how often.
    pub counts: EventCounts,
    /// What happened, line by line, if it was asked for.
    pub trace: Vec<String>,
    /// A digest of all that happened: runs of one seed are alike.
    pub digest: u64,
}

/// So much of a trace is shown with a failure.
const MAX_TRACE_LINES: usize = 60;

impl fmt::Display for RunReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let left_out = self.trace.len().saturating_sub(MAX_TRACE_LINES);
        if left_out > 0 {
            writeln!(f, "  ({left_out} lines left out)")?;
        }
        for line in self.trace.iter().skip(left_out) {
            writeln!(f, "  {line}")?;
        }
        for violation in &self.violations {
            let Violation { checker, step, at_ms, message } = violation;
            writeln!(f, "seed {}, step {step}, {at_ms} ms: {checker}: {message}", self.seed)?;
        }
        write!(
            f,
            "replay: cargo run --release -p bench --bin simulate -- --seed {} --trace",
            self.seed
        )
    }
}
