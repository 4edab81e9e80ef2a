//! The result of a run.

use std::collections::BTreeMap;
use std::fmt;

/// A broken rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The checker that found it.
    pub checker: &'static str,
    /// The step of the run during which it was found.
    pub step: usize,
    /// When it was found, in ms since the run began.
    pub at_ms: i64,
    /// What is wrong.
    pub message: String,
}

/// How often each kind of event occurred.
pub type EventCounts = BTreeMap<&'static str, u64>;

/// The result of a run.
#[derive(Clone, Debug, Default)]
pub struct RunReport {
    /// The seed of the run.
    pub seed: u64,
    /// Broken rules, in the order in which they were found.
    pub violations: Vec<Violation>,
    /// How often each kind of event occurred.
    pub counts: EventCounts,
    /// A line for each event, if a trace was requested.
    pub trace: Vec<String>,
    /// A digest of all events and their times; it is the same for all runs of a seed.
    pub digest: u64,
}

/// A report shows at most the last lines of a trace.
const MAX_TRACE_LINES: usize = 60;

impl fmt::Display for RunReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let omitted = self.trace.len().saturating_sub(MAX_TRACE_LINES);
        if omitted > 0 {
            writeln!(f, "  ({omitted} lines omitted)")?;
        }
        for line in self.trace.iter().skip(omitted) {
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
