//! `backup` and `restore`.

use std::path::Path;

use super::{CommandFailure, build_runtime};
use crate::cli::RestoreArgs;
use crate::config::{Config, Sources, read_store_settings};
use crate::output::print_line;
use crate::output::time::format_time;
use crate::telemetry;
use crate::wiring::backup::{BackupInfo, Backups, verify_backup};

/// Writes a backup of the stores, also while a balancer runs on them.
pub fn run_backup(config: &Config, sources: &Sources, file: &Path) -> Result<(), CommandFailure> {
    let (_log, backups) = open(config, sources)?;
    let written = build_runtime(false)?.block_on(backups.write(file))?;
    let size = std::fs::metadata(file).map(|metadata| metadata.len()).unwrap_or_default();
    print_line(format!("{}: {}, {size} bytes, checked", file.display(), describe(&written)));
    Ok(())
}

/// Puts a backup in place of the stores, or only checks it.
pub fn run_restore(
    config: &Config,
    sources: &Sources,
    arguments: &RestoreArgs,
) -> Result<(), CommandFailure> {
    let file = arguments.file.as_path();
    if arguments.check {
        let info = verify_backup(file)?;
        print_line(format!("{}: {}, whole", file.display(), describe(&info)));
        return Ok(());
    }
    let (_log, backups) = open(config, sources)?;
    let restored = build_runtime(false)?.block_on(backups.restore(file, arguments.force))?;
    print_line(format!("restored from {}: {}", file.display(), describe(&restored)));
    Ok(())
}

fn open(
    config: &Config,
    sources: &Sources,
) -> Result<(telemetry::LogFlusher, Backups), CommandFailure> {
    let rust_log = sources.variable("RUST_LOG").unwrap_or("off");
    let log = telemetry::start(config.log_level, config.log_format, Some(rust_log));
    let stores = read_store_settings(config, sources).map_err(CommandFailure)?;
    Ok((log, Backups::new(config, &stores)?))
}

/// A backup in one line.
fn describe(info: &BackupInfo) -> String {
    let made_at = format_time(domain::Timestamp(info.created_at));
    format!("{} store as of {made_at}, by scalelite {}", info.stores.join(" and "), info.program)
}
