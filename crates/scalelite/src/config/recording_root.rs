//! SCALELITE_RECORDING_DIR: the directory that the original's units mount into its containers as `/var/bigbluebutton`. The
//! directories of recordings that are not set follow from it.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::reading::EffectiveSetting;
use super::settings::Config;
use super::sources::SettingOrigin;

/// The setting.
pub const RECORDING_ROOT: &str = "SCALELITE_RECORDING_DIR";
/// Where the original's containers have that directory.
pub const CONTAINER_ROOT: &str = "/var/bigbluebutton";
/// The settings of the directories in it, and their places.
pub const DIRS_IN_ROOT: [(&str, &str); 4] = [
    ("RECORDING_SPOOL_DIR", "spool"),
    ("RECORDING_WORK_DIR", "recording/scalelite"),
    ("RECORDING_PUBLISH_DIR", "published"),
    ("RECORDING_UNPUBLISH_DIR", "unpublished"),
];

impl Config {
    /// Has the directories that are not set follow from SCALELITE_RECORDING_DIR.
    pub(super) fn derive_recording_dirs(&mut self, effective: &mut [EffectiveSetting]) {
        let Some(root) = self.recording_root.clone() else { return };
        if root == Path::new(CONTAINER_ROOT) {
            return;
        }
        if !root.exists() && is_mounted(Path::new(CONTAINER_ROOT)) {
            let reason = format!(
                "{} does not exist here; {CONTAINER_ROOT} is mounted and used instead",
                root.display()
            );
            return warn(effective, RECORDING_ROOT, &reason);
        }
        for (name, place) in DIRS_IN_ROOT {
            let derived = root.join(place);
            let is_set = effective
                .iter()
                .any(|one| one.setting.name == name && one.origin != SettingOrigin::Default);
            let dir = self.recording_dir_mut(name);
            if !is_set {
                dir.clone_from(&derived);
                let shown = derived.display().to_string();
                effective.iter_mut().filter(|one| one.setting.name == name).for_each(|one| {
                    one.value.clone_from(&shown);
                });
            } else if dir.starts_with(CONTAINER_ROOT) {
                let reason = format!(
                    "{} is used; in the original's containers this is {}",
                    dir.display(),
                    translate(dir, &root).display()
                );
                warn(effective, name, &reason);
            }
        }
    }

    fn recording_dir_mut(&mut self, name: &str) -> &mut PathBuf {
        match name {
            "RECORDING_SPOOL_DIR" => &mut self.recording_spool_dir,
            "RECORDING_WORK_DIR" => &mut self.recording_work_dir,
            "RECORDING_PUBLISH_DIR" => &mut self.recording_publish_dir,
            _ => &mut self.recording_unpublish_dir,
        }
    }

    /// The directory of recordings that a setting names.
    pub fn recording_dir(&self, name: &str) -> &Path {
        match name {
            "RECORDING_SPOOL_DIR" => &self.recording_spool_dir,
            "RECORDING_WORK_DIR" => &self.recording_work_dir,
            "RECORDING_PUBLISH_DIR" => &self.recording_publish_dir,
            _ => &self.recording_unpublish_dir,
        }
    }
}

/// Where a path of the original's containers is outside of them.
fn translate(dir: &Path, root: &Path) -> PathBuf {
    dir.strip_prefix(CONTAINER_ROOT).map_or_else(|_| dir.to_owned(), |rest| root.join(rest))
}

fn warn(effective: &mut [EffectiveSetting], name: &str, reason: &str) {
    for setting in effective.iter_mut().filter(|one| one.setting.name == name) {
        setting.warning = Some(format!("{name}: {reason}"));
    }
}

/// Whether a directory is on another file system than its parent, as in a container that it is mounted into.
fn is_mounted(dir: &Path) -> bool {
    let device = |path: &Path| std::fs::metadata(path).ok().map(|found| found.dev());
    let (own, parent) = (device(dir), dir.parent().and_then(device));
    own.is_some() && own != parent
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Sources;

    #[test]
    fn directories_that_are_not_set_follow_from_the_root() {
        let variables = [
            (RECORDING_ROOT, "/mnt/x/var/bigbluebutton"),
            ("RECORDING_WORK_DIR", "/var/bigbluebutton/w"),
        ];
        let (config, effective) = Config::read(&Sources::from_variables(&variables)).unwrap();
        let root = Path::new("/mnt/x/var/bigbluebutton");
        assert_eq!(config.recording_spool_dir, root.join("spool"));
        assert_eq!(config.recording_publish_dir, root.join("published"));
        assert_eq!(config.recording_unpublish_dir, root.join("unpublished"));
        assert_eq!(config.recording_work_dir, Path::new("/var/bigbluebutton/w"));
        let find = |name: &str| effective.iter().find(|one| one.setting.name == name).unwrap();
        assert_eq!(find("RECORDING_SPOOL_DIR").value, "/mnt/x/var/bigbluebutton/spool");
        let warning = find("RECORDING_WORK_DIR").warning.clone().unwrap();
        assert!(warning.ends_with("this is /mnt/x/var/bigbluebutton/w"), "{warning}");
        let (config, _) = Config::read(&Sources::from_variables(&[])).unwrap();
        assert_eq!(config.recording_spool_dir, Path::new("/var/bigbluebutton/spool"));
    }
}
