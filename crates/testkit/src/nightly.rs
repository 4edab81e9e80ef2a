//! How often tests repeat what depends on chance: seldom in every run, often in nightly runs.

use crate::clock::environment_variable;

/// The variable that asks for a nightly run, if it is set to `1`.
const NIGHTLY_VARIABLE: &str = "SCALELITE_NIGHTLY";

/// Whether this is a nightly run, which may take an hour.
#[must_use]
pub fn is_nightly() -> bool {
    environment_variable(NIGHTLY_VARIABLE).is_some_and(|value| value == "1")
}

/// How often to repeat something: `usual` times, or `nightly` times in a nightly run.
#[must_use]
pub fn rounds(usual: u64, nightly: u64) -> u64 {
    if is_nightly() { nightly } else { usual }
}
