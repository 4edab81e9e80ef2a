//! Directories of this machine: there, ours, and not full.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use app::ports::Finding;

use crate::config::Sources;
use crate::wiring::may_write;

/// With less free space the store may stop at any time.
const MIN_FREE_MIB: u64 = 20;
/// With less somebody should look.
const WARN_FREE_MIB: u64 = 500;
/// The directories of recordings.
const RECORDING_DIR_SETTINGS: [&str; 4] = [
    "RECORDING_SPOOL_DIR",
    "RECORDING_WORK_DIR",
    "RECORDING_PUBLISH_DIR",
    "RECORDING_UNPUBLISH_DIR",
];

/// The data directory, which the first start makes if it can.
pub fn check_data_dir(dir: &Path) -> Vec<Finding> {
    let check = "data directory";
    let shown = dir.display();
    let advice = format!("let the user that runs scalelite own it: chown USER {shown}");
    if !dir.exists() {
        let above = dir.ancestors().skip(1).find(|above| above.exists());
        let above = above.filter(|above| !above.as_os_str().is_empty()).unwrap_or(Path::new("."));
        return vec![match may_write(above) {
            Ok(()) => Finding::ok(check, format!("{shown}: the first start makes it")),
            Err(error) => Finding::fail(check, format!("{shown}: cannot be made: {error}"), advice),
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

/// The directory holds the secrets of servers and front-ends.
fn check_permissions(dir: &Path) -> Finding {
    let check = "data directory: permissions";
    let advice = format!("chmod 700 {}", dir.display());
    match std::fs::metadata(dir) {
        Ok(metadata) => {
            let mode = metadata.permissions().mode() & 0o777;
            if mode & 0o077 == 0 {
                Finding::ok(check, format!("{mode:03o}, its owner's only"))
            } else {
                Finding::warn(check, format!("{mode:03o}, others may look into it"), advice)
            }
        }
        Err(error) => Finding::fail(check, error.to_string(), advice),
    }
}

fn check_free_space(dir: &Path) -> Finding {
    let check = "data directory: free space";
    let advice = "make room, or move the data directory";
    match rustix::fs::statvfs(dir) {
        Ok(found) => {
            let free_mib = found.f_bavail.saturating_mul(found.f_frsize) >> 20;
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

/// The directories of recordings that are named.
pub fn check_recording_dirs(sources: &Sources) -> Vec<Finding> {
    let named = |name| Some((name, Path::new(sources.variable(name)?)));
    let look = |(name, dir): (&str, &Path)| {
        let shown = dir.display();
        match may_write(dir) {
            Ok(()) => Finding::ok(name, format!("{shown}: can be written")),
            Err(error) => {
                let advice = "make it, with the owner and group that copy recordings into it \
                              (mode 0775)";
                Finding::fail(name, format!("{shown}: {error}"), advice)
            }
        }
    };
    RECORDING_DIR_SETTINGS.into_iter().filter_map(named).map(look).collect()
}
