//! `serve`: the balancer itself.

use crate::config::passed_over::{NOT_YET, WITHOUT_EFFECT};
use crate::config::{Config, Sources, stores};
use crate::lifecycle::{self, Roles};
use crate::wiring;

use super::{Failure, runtime, serving_log};

/// Runs until it is told to stop.
pub fn run(config: Config, sources: &Sources, roles: Roles) -> Result<(), Failure> {
    let _log = serving_log(&config, sources);
    say_what_is_ignored(sources);
    raise_open_files();
    let stores = stores(&config, sources).map_err(Failure)?;
    let wired = wiring::wire(&config, &stores)?;
    if wired.own_secret {
        tracing::info!("no LOADBALANCER_SECRET: `scalelite secret` prints the one that was made");
    }
    runtime(true)?
        .block_on(lifecycle::run(&config, &wired, roles))
        .map_err(|error| Failure(format!("ERROR: {error}")))
}

/// Settings of the original that were given and do nothing.
fn say_what_is_ignored(sources: &Sources) {
    for (name, why) in WITHOUT_EFFECT.iter().filter(|(name, _)| sources.is_set(name)) {
        tracing::debug!("{name} has no effect: {why}");
    }
    for name in NOT_YET.iter().filter(|name| sources.is_set(name)) {
        tracing::debug!("{name} has no effect yet");
    }
}

/// Each connection is an open file, and the usual limit of 1,024 is for interactive programs.
pub fn raise_open_files() {
    if let Ok((soft, hard)) = rlimit::Resource::NOFILE.get()
        && soft < hard
        && let Err(error) = rlimit::Resource::NOFILE.set(hard.min(1 << 20), hard)
    {
        tracing::debug!(%error, "limit on open files not raised");
    }
}
