//! `serve`: runs the balancer.

use std::time::Duration;

use crate::config::ignored_settings::WITHOUT_EFFECT;
use crate::config::stores::STORE_FILE;
use crate::config::{Config, Sources, read_store_settings};
use crate::lifecycle::{self, Roles, Service};
use crate::reload::log_oddities;
use crate::wiring::data_dir::Creation;
use crate::wiring::{self, WiredApp, WiringError};

use super::{CommandFailure, build_runtime, start_serving_log};

/// How long a stop waits for threads of blocked work, such as reads of a file system that hangs.
const BLOCKED_WORK_TIMEOUT: Duration = Duration::from_secs(5);

/// Runs the balancer until a signal stops it.
pub fn run(
    config: Config,
    sources: &Sources,
    roles: Roles,
    accept_empty: bool,
) -> Result<(), CommandFailure> {
    // The runtime comes first, so that SIGHUP does not end a process that starts.
    let runtime = build_runtime(true)?;
    let hangups = {
        let _context = runtime.enter();
        lifecycle::collect_hangups().map_err(|error| CommandFailure(format!("ERROR: {error}")))?
    };
    let log = start_serving_log(&config, sources);
    log_oddities(sources);
    log_ignored_settings(sources);
    log_open_management(&config, sources);
    log_corrected_settings(sources);
    raise_open_file_limit();
    let mut stores = read_store_settings(&config, sources).map_err(CommandFailure)?;
    stores.accept_empty = accept_empty;
    let wired = wiring::wire(&config, &stores, Creation::Everything)?;
    if wired.secret_is_generated {
        tracing::info!("LOADBALANCER_SECRET not set: `scalelite secret` prints the generated one");
    }
    let service = Service { config: &config, sources, roles, hangups, log: &log };
    let result = runtime.block_on(async {
        check_store(&wired, accept_empty).await?;
        let run = lifecycle::run(service, &wired).await;
        run.map_err(|error| CommandFailure(format!("ERROR: {error}")))
    });
    runtime.shutdown_timeout(BLOCKED_WORK_TIMEOUT);
    // The stores are closed last, when nothing uses them any more.
    drop(wired);
    result
}

/// Checks that the embedded store is whole, and is not an empty one in place of one that had servers.
async fn check_store(wired: &WiredApp, accept_empty: bool) -> Result<(), CommandFailure> {
    let Some(store) = &wired.embedded else { return Ok(()) };
    let failure = |error| WiringError::Store(wired.data_dir.join(STORE_FILE), error);
    store.check_integrity().await.map_err(failure)?;
    Ok(store.check_not_lost(accept_empty).await.map_err(failure)?)
}

/// Logs the settings of the original that are set and have no effect.
fn log_ignored_settings(sources: &Sources) {
    for (setting, reason) in WITHOUT_EFFECT.iter().filter(|(name, _)| sources.is_set(name)) {
        tracing::debug!(setting, reason, "setting has no effect");
    }
}

/// Logs that the management API is where front-ends are, if an administrator seems to want it elsewhere.
fn log_open_management(config: &Config, sources: &Sources) {
    const SETTING: &str = "SCALELITE_API_PORT";
    if sources.is_set(SETTING) && config.management_api_enabled && config.management_bind.is_none()
    {
        let reason = "the management API is served where front-ends are: MANAGEMENT_BIND gives it an address of its own";
        tracing::warn!(setting = SETTING, reason, "setting has no effect");
    }
}

/// Logs the values that are not allowed and are read as the original reads them.
fn log_corrected_settings(sources: &Sources) {
    let settings = Config::read(sources).map(|(_, settings)| settings).unwrap_or_default();
    for setting in settings {
        if let Some(warning) = setting.warning {
            tracing::warn!(setting = setting.setting.name, reason = warning, "setting corrected");
        }
    }
}

/// Raises the limit on open files as far as permitted: each connection is an open file, and the usual
/// limit is 1,024.
pub fn raise_open_file_limit() {
    if let Ok((soft, hard)) = rlimit::Resource::NOFILE.get()
        && soft < hard
        && let Err(error) = rlimit::Resource::NOFILE.set(hard.min(1 << 20), hard)
    {
        tracing::debug!(%error, "limit on open files not raised");
    }
}
