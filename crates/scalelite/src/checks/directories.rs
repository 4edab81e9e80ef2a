//! Checks of directories: existence, permissions and free space.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use app::backup_schedule::is_backup_name;
use app::ports::{DirectoryFault, Finding};

use crate::config::owner::advise_sudo;
use crate::config::recording_root::RECORDING_ROOT;
use crate::config::{Config, Sources};
use crate::output::time::format_time;
use crate::wiring::backup::describe_backup;
use crate::wiring::data_dir::may_write;

/// Free space below which the check fails, since the store may stop at any time.
const MIN_FREE_MIB: u64 = 20;
/// Free space below which the check warns.
const WARN_FREE_MIB: u64 = 500;
/// The settings of recording directories.
const RECORDING_DIR_SETTINGS: [&str; 4] = [
    "RECORDING_SPOOL_DIR",
    "RECORDING_WORK_DIR",
    "RECORDING_PUBLISH_DIR",
    "RECORDING_UNPUBLISH_DIR",
];

/// Checks the data directory. If it does not exist, checks whether it can be created.
pub fn check_data_dir(dir: &Path) -> Vec<Finding> {
    let check = "data directory";
    let shown = dir.display();
    let advice = format!(
        "make the user that runs scalelite its owner (chown USER {shown}); if that is another user than you, {}",
        advise_sudo(dir)
    );
    if !dir.exists() {
        let parent = dir.ancestors().skip(1).find(|parent| parent.exists());
        let parent =
            parent.filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        return vec![match may_write(parent) {
            Ok(()) => Finding::ok(check, format!("{shown}: created on first start")),
            Err(error) => {
                Finding::fail(check, format!("{shown}: cannot be created: {error}"), advice)
            }
        }];
    }
    if let Err(error) = may_write(dir) {
        return vec![Finding::fail(check, format!("{shown}: cannot be written: {error}"), advice)];
    }
    vec![
        Finding::ok(check, format!("{shown}: can be written")),
        check_permissions(dir),
        check_free_space(dir),
    ]
}

/// Checks that only the owner has access: the directory holds the secrets of servers and front-ends.
fn check_permissions(dir: &Path) -> Finding {
    let check = "data directory: permissions";
    let advice = format!("chmod 700 {}", dir.display());
    match std::fs::metadata(dir) {
        Ok(metadata) => {
            let mode = metadata.permissions().mode() & 0o777;
            if mode & 0o077 == 0 {
                Finding::ok(check, format!("{mode:03o}, accessible by its owner only"))
            } else {
                Finding::warn(check, format!("{mode:03o}, accessible by other users"), advice)
            }
        }
        Err(error) => Finding::fail(check, error.to_string(), advice),
    }
}

fn check_free_space(dir: &Path) -> Finding {
    let check = "data directory: free space";
    let advice = "free disk space, or move the data directory";
    match rustix::fs::statvfs(dir) {
        Ok(statistics) => {
            let free_mib = statistics.f_bavail.saturating_mul(statistics.f_frsize) >> 20;
            let detail = format!("{free_mib} MiB");
            match free_mib {
                free if free < MIN_FREE_MIB => Finding::fail(check, detail, advice),
                free if free < WARN_FREE_MIB => Finding::warn(check, detail, advice),
                _ => Finding::ok(check, detail),
            }
        }
        Err(error) => Finding::warn(check, error.to_string(), advice),
    }
}

/// Checks the directory of scheduled backups, and how old the last one is.
pub fn check_backups(config: &Config, now: domain::Timestamp) -> Option<Finding> {
    let check = "BACKUP_DIR";
    let dir = config.backup_dir.as_ref()?;
    let shown = dir.display();
    if let Err(error) = may_write(dir) {
        let advice = "mount or create it, writable for the user that runs scalelite";
        return Some(Finding::fail(check, format!("{shown}: {error}"), advice));
    }
    let names = std::fs::read_dir(dir).ok()?.flatten();
    let newest = names
        .filter(|entry| is_backup_name(&entry.file_name().to_string_lossy()))
        .filter_map(|entry| describe_backup(&entry.path()))
        .map(|info| info.created_at)
        .max();
    let interval_ms = i64::try_from(config.backup_interval.ms()).unwrap_or(i64::MAX);
    let advice = "the log of the balancer says why (`scheduled backup failed`)";
    Some(match newest {
        None => Finding::warn(check, format!("{shown}: no backup yet"), advice),
        Some(at) if now.0.saturating_sub(at) > interval_ms.saturating_mul(2) => {
            let at = format_time(domain::Timestamp(at));
            Finding::warn(check, format!("{shown}: the last backup is of {at}"), advice)
        }
        Some(at) => {
            let at = format_time(domain::Timestamp(at));
            Finding::ok(check, format!("{shown}: the last backup is of {at}"))
        }
    })
}

/// Checks the recording directories: those that must not be used as they are, and, of the others that are set,
/// whether they can be written.
pub fn check_recording_dirs(
    config: &Config,
    sources: &Sources,
    faults: &[DirectoryFault],
) -> Vec<Finding> {
    let setting = |name: &'static str| {
        let is_faulty = faults.iter().any(|fault| fault.setting == name);
        let is_set = sources.find(&[name, RECORDING_ROOT], false).is_ok_and(|set| set.is_some());
        (is_set || is_faulty).then(|| (name, config.recording_dir(name)))
    };
    let check = |(name, dir): (&'static str, &Path)| {
        let shown = dir.display();
        if let Some(fault) = faults.iter().find(|fault| fault.setting == name) {
            return Finding::fail(name, format!("{shown}: {}", fault.reason), fault.advice.clone());
        }
        match may_write(dir) {
            Ok(()) => Finding::ok(name, format!("{shown}: can be written")),
            Err(error) => {
                let advice = "create it, with the owner and group that copy recordings into it \
                              (mode 0775)";
                Finding::fail(name, format!("{shown}: {error}"), advice)
            }
        }
    };
    RECORDING_DIR_SETTINGS.into_iter().filter_map(setting).map(check).collect()
}
