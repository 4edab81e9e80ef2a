//! The monotonic clock by which durations are measured.

use std::time::Instant;

/// Returns the current time.
#[expect(clippy::disallowed_methods, reason = "what this program measures is real time")]
pub(crate) fn now() -> Instant {
    Instant::now()
}
