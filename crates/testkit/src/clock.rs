//! The clock and the environment of the machine. Everything in this crate that needs them reads
//! them here.

use std::ffi::OsString;
use std::time::{SystemTime, UNIX_EPOCH};

/// The time in seconds since 1970, with fractions.
#[expect(clippy::disallowed_methods, reason = "tests compare responses with the real time")]
pub fn unix_now_s() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |passed| passed.as_secs_f64())
}

/// A variable of this process's environment.
#[expect(clippy::disallowed_methods, reason = "programs under test inherit PATH and the like")]
pub fn environment_variable(name: &str) -> Option<OsString> {
    std::env::var_os(name)
}
