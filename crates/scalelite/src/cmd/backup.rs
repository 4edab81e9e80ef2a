//! `backup` and `restore`.

use std::path::Path;

use app::audit::{self, AuditEvent};
use domain::Timestamp;
use serde_json::json;

use super::{CommandFailure, build_runtime, run_without_log};
use crate::cli::RestoreArgs;
use crate::config::{Config, Sources, read_store_settings};
use crate::output::time::format_time;
use crate::output::{print_line, print_note};
use crate::telemetry;
use crate::wiring::backup::{BackupInfo, Backups, verify_backup};
use crate::wiring::data_dir::Creation;

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
    let (log, backups) = open(config, sources)?;
    let restored = build_runtime(false)?.block_on(backups.restore(file, arguments.force))?;
    print_line(format!("restored from {}: {}", file.display(), describe(&restored)));
    drop(log);
    record(config, sources, file, &restored);
    Ok(())
}

/// Records in the audit of the restored stores that they were. They are restored, whether that succeeds or not.
fn record(config: &Config, sources: &Sources, file: &Path, restored: &BackupInfo) {
    let name = file.display().to_string();
    let after = json!({ "as_of": format_time(Timestamp(restored.created_at)) });
    let recorded = run_without_log(config, sources, Creation::Nothing, async |balancer| {
        let app = &balancer.here("restore")?.app;
        audit::record(app, AuditEvent::new("stores.restore").named(&name).after(after)).await;
        Ok(())
    });
    if let Err(CommandFailure(reason)) = recorded {
        let reason = reason.trim_start_matches("ERROR: ");
        print_note(format!("WARNING: not recorded in the audit: {reason}"));
    }
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
    let made_at = format_time(Timestamp(info.created_at));
    format!("{} store as of {made_at}, by scalelite {}", info.stores.join(" and "), info.program)
}
