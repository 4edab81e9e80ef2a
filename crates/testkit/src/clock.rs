//! What the tools of this crate read from the machine they run on: its clock and its environment.

use std::ffi::OsString;
use std::time::{SystemTime, UNIX_EPOCH};

/// Seconds since 1970, with fractions.
#[expect(clippy::disallowed_methods, reason = "test tools compare answers with the real time")]
pub fn unix_now_s() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |passed| passed.as_secs_f64())
}

/// A variable of our own environment, to hand on to a program under test.
#[expect(clippy::disallowed_methods, reason = "programs under test inherit PATH and the like")]
pub fn environment_variable(name: &str) -> Option<OsString> {
    std::env::var_os(name)
}
