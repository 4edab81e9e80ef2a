//! Mounted file systems: whether a directory is the root of one, and which ones `/etc/fstab` lists.

use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, StatxAttributes, StatxFlags, statx};

/// Longest `/etc/fstab` that is read, in bytes.
const MAX_FSTAB_BYTES: usize = 256 * 1024;

/// On which file system a directory is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct DirPlace {
    /// The device of the file system.
    pub(crate) device: u64,
    /// Whether the directory is where the file system is mounted.
    pub(crate) is_mount_point: bool,
}

impl DirPlace {
    /// Looks up the place of a file or directory.
    pub(crate) fn of(path: &Path) -> io::Result<Self> {
        let found = statx(CWD, path, AtFlags::empty(), StatxFlags::BASIC_STATS)?;
        let device = (u64::from(found.stx_dev_major) << 32) | u64::from(found.stx_dev_minor);
        let is_known = found.stx_attributes_mask.contains(StatxAttributes::MOUNT_ROOT);
        let is_mount_point = match is_known {
            true => found.stx_attributes.contains(StatxAttributes::MOUNT_ROOT),
            // Kernels before 5.8 do not tell; a bind mount of the same file system is not noticed then.
            false => path
                .parent()
                .and_then(|parent| {
                    statx(CWD, parent, AtFlags::empty(), StatxFlags::BASIC_STATS).ok()
                })
                .is_some_and(|parent| {
                    (parent.stx_dev_major, parent.stx_dev_minor)
                        != (found.stx_dev_major, found.stx_dev_minor)
                }),
        };
        Ok(Self { device, is_mount_point })
    }
}

/// Returns the mount point at or above a path that a file like `/etc/fstab` lists, and on which nothing is mounted now.
pub(crate) fn find_unmounted(fstab: &Path, path: &Path) -> Option<PathBuf> {
    let text = std::fs::read_to_string(fstab).ok().filter(|text| text.len() <= MAX_FSTAB_BYTES)?;
    let path = std::path::absolute(path).ok()?;
    let listed = text.lines().filter_map(parse_fstab_line).filter(|point| path.starts_with(point));
    // A mount point that does not exist cannot have anything mounted on it.
    let is_mounted = |point: &Path| DirPlace::of(point).is_ok_and(|place| place.is_mount_point);
    listed.filter(|point| !is_mounted(point)).max_by_key(|point| point.as_os_str().len())
}

/// Returns the mount point of a line, unless it is mounted on demand only.
fn parse_fstab_line(line: &str) -> Option<PathBuf> {
    let mut fields = line.split_whitespace();
    let device = fields.next().filter(|device| !device.starts_with('#'))?;
    let point = fields.next().filter(|point| point.starts_with('/') && *point != "/")?;
    let (_, options) = (fields.next(), fields.next().unwrap_or_default());
    let is_on_demand = options.split(',').any(|option| option == "noauto");
    // Blanks in paths are written as octal numbers.
    (!device.is_empty() && !is_on_demand).then(|| PathBuf::from(point.replace("\\040", " ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mount_points_that_are_not_mounted_are_found() {
        let dir = tempfile::tempdir().unwrap();
        let fstab = dir.path().join("fstab");
        let point = dir.path().join("nfs share");
        let encoded = point.display().to_string().replace(' ', "\\040");
        let write = |line: &str| std::fs::write(&fstab, format!("# a comment\nx / ext4\n{line}\n"));
        write(&format!("host:/export {encoded} nfs defaults,_netdev 0 0")).unwrap();
        let spool = point.join("var/bigbluebutton/spool");
        assert_eq!(find_unmounted(&fstab, &spool), Some(point.clone()));
        std::fs::create_dir(&point).unwrap();
        assert_eq!(find_unmounted(&fstab, &spool), Some(point.clone()), "nothing is mounted there");
        assert_eq!(find_unmounted(&fstab, Path::new("/elsewhere")), None);
        write(&format!("host:/export {encoded} nfs noauto 0 0")).unwrap();
        assert_eq!(find_unmounted(&fstab, &spool), None);
        write("proc /proc proc defaults").unwrap();
        assert_eq!(find_unmounted(&fstab, Path::new("/proc/self")), None, "it is mounted");
        assert_eq!(find_unmounted(&dir.path().join("none"), &spool), None);
        assert!(DirPlace::of(Path::new("/proc")).unwrap().is_mount_point);
        assert!(!DirPlace::of(&point).unwrap().is_mount_point);
    }
}
