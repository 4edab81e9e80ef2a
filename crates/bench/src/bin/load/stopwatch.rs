//! The stopwatch.

use std::time::Instant;

/// The moment of the call, on a clock that never goes back.
#[expect(clippy::disallowed_methods, reason = "what this program measures is real time")]
pub(crate) fn now() -> Instant {
    Instant::now()
}
