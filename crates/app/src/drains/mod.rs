//! Planned drains: maintenance that outlives the terminal in which it was planned. They are kept in the store, and whichever process is there carries
//! them out (`work`), each by one at a time. People plan and cancel them (`planning`); who changes the state of a server by hand takes it over.

mod planning;
#[cfg(test)]
mod tests;
mod work;

pub use planning::{DrainError, DrainPlan, MAX_DEADLINE_MS, cancel, list, plan};
pub(crate) use planning::{note_removal, note_state_change};
pub use work::run_due;

use serde_json::{Value, json};

use domain::drain::PlannedDrain;

/// The reason that the log and the audit give for what a drain changes.
const REASON: &str = "drain";
/// How long before a deadline users are warned if nothing else is said.
pub const DEFAULT_WARN_MS: i64 = 60_000;
/// Most drains that are not over.
pub const MAX_OPEN: usize = 500;
/// How many drains that are over are kept, and for how long.
const MAX_OVER: usize = 100;
const KEPT_MS: i64 = 30 * 86_400_000;

/// What the audit says of a drain.
fn describe(drain: &PlannedDrain) -> Value {
    json!({
        "drain": drain.id,
        "starts_at": drain.starts_at.0,
        "deadline_s": drain.deadline_ms.map(|ms| ms / 1_000),
        "then": drain.after.name(),
    })
}
