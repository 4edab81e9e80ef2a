//! `serve`: the balancer itself.

use crate::config::ignored_settings::{NOT_IMPLEMENTED, WITHOUT_EFFECT};
use crate::config::{Config, Sources, read_store_settings};
use crate::lifecycle::{self, Roles};
use crate::wiring;

use super::{CommandFailure, build_runtime, start_serving_log};

/// Runs until it is told to stop.
pub fn run(config: Config, sources: &Sources, roles: Roles) -> Result<(), CommandFailure> {
    let _log = start_serving_log(&config, sources);
    log_ignored_settings(sources);
    raise_open_file_limit();
    let stores = read_store_settings(&config, sources).map_err(CommandFailure)?;
    let wired = wiring::wire(&config, &stores)?;
    if wired.secret_is_generated {
        tracing::info!("no LOADBALANCER_SECRET: `scalelite secret` prints the one that was made");
    }
    build_runtime(true)?
        .block_on(lifecycle::run(&config, &wired, roles))
        .map_err(|error| CommandFailure(format!("ERROR: {error}")))
}

/// Settings of the original that were given and do nothing.
fn log_ignored_settings(sources: &Sources) {
    for (name, why) in WITHOUT_EFFECT.iter().filter(|(name, _)| sources.is_set(name)) {
        tracing::debug!("{name} has no effect: {why}");
    }
    for name in NOT_IMPLEMENTED.iter().filter(|name| sources.is_set(name)) {
        tracing::debug!("{name} has no effect yet");
    }
}

/// Each connection is an open file, and the usual limit of 1,024 is for interactive programs.
pub fn raise_open_file_limit() {
    if let Ok((soft, hard)) = rlimit::Resource::NOFILE.get()
        && soft < hard
        && let Err(error) = rlimit::Resource::NOFILE.set(hard.min(1 << 20), hard)
    {
        tracing::debug!(%error, "limit on open files not raised");
    }
}
