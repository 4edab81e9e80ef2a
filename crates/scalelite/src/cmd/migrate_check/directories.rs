//! Rows for the directories of recordings: whether this program looks where the original's containers have them, whether
//! they are there and mounted, and whether the user that will run the balancer may use them.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::access::{ENTER, Identity, READ, WRITE};
use super::deployment::Deployment;
use super::rows::Row;
use crate::config::recording_root::{CONTAINER_ROOT, DIRS_IN_ROOT, RECORDING_ROOT};
use crate::config::{Config, Sources};
use crate::wiring::recordings::find_directory_fault;

/// The directory that is made anew if it is missing.
const WORK_DIR: &str = "RECORDING_WORK_DIR";

/// What the rows depend on.
pub struct DirectoryCheck<'a> {
    /// The original's settings.
    pub theirs: &'a Sources,
    /// The same, as this program reads them.
    pub config: &'a Config,
    /// The containers.
    pub deployment: &'a Deployment,
    /// Who will run the balancer.
    pub user: &'a Identity,
    /// Where this program remembers the directories, if it has run here.
    pub data_dir: &'a Path,
    /// The file systems that are mounted at the start of the machine.
    pub fstab: &'a Path,
}

impl DirectoryCheck<'_> {
    /// A row for each directory.
    pub fn rows(&self) -> Vec<Row> {
        if self.config.recording_disabled || self.config.db_disabled {
            return vec![Row::ok("directories of recordings", "none: recordings are disabled")];
        }
        let used = DIRS_IN_ROOT
            .into_iter()
            .filter(|(name, _)| !self.config.s3_recording || !name.contains("PUBLISH_DIR"));
        used.map(|(name, place)| self.check(name, place)).collect()
    }

    fn check(&self, name: &'static str, place: &str) -> Row {
        let in_container = self.theirs.variable(name).map_or_else(
            || Path::new(CONTAINER_ROOT).join(place),
            |path| PathBuf::from(path.trim()),
        );
        let ours = self.config.recording_dir(name);
        let on_host = match self.find_on_host(&in_container) {
            Ok(path) => path,
            Err(volume) => {
                let advice = format!(
                    "it is in the volume {volume}: `docker volume inspect` tells where; write {name}=… so into the file"
                );
                return Row::act(
                    in_container.display().to_string(),
                    ours.display().to_string(),
                    advice,
                );
            }
        };
        let left = match on_host == in_container {
            true => format!("{name}: {}", on_host.display()),
            false => {
                format!("{name}: {} (in containers {})", on_host.display(), in_container.display())
            }
        };
        let right = ours.display().to_string();
        if !is_same(&on_host, ours) {
            return Row::act(
                left,
                right,
                format!("write {name}={} into the file", on_host.display()),
            );
        }
        match self.find_problem(name, ours) {
            Some(problem) => Row::act(left, right, problem),
            None if !ours.exists() => Row::note(left, right, "it is made when it is needed"),
            None => Row::ok(left, right),
        }
    }

    /// Where a directory of the containers is on this machine. The error is the name of a volume.
    fn find_on_host(&self, in_container: &Path) -> Result<PathBuf, String> {
        if let Some(found) = self.deployment.find_on_host(in_container) {
            return found;
        }
        let root = self.theirs.variable(RECORDING_ROOT).map(str::trim);
        let below = in_container.strip_prefix(CONTAINER_ROOT).ok();
        Ok(match root.zip(below) {
            Some((root, below)) => Path::new(root).join(below),
            None => in_container.to_owned(),
        })
    }

    /// What is wrong with a directory, and what to do about it.
    fn find_problem(&self, name: &'static str, dir: &Path) -> Option<String> {
        if let Some(barrier) = self.user.find_barrier(dir) {
            let user = &self.user.name;
            return Some(format!("{user} may not enter {}: chmod o+x {0}", barrier.display()));
        }
        let is_missing = !dir.exists();
        if name == WORK_DIR && is_missing {
            return None;
        }
        if let Some((reason, advice)) = find_directory_fault(name, dir, self.data_dir, self.fstab) {
            return Some(format!("it {reason}: {advice}"));
        }
        let metadata = std::fs::metadata(dir).ok()?;
        if let Some(other) = self.find_unlike(name, dir, &metadata) {
            return Some(format!(
                "it is empty, and unlike {0} it belongs to {1}:{2}: is its file system mounted? If it is the right one: chown \
                 --reference={0} {3}",
                other.display(),
                metadata.uid(),
                metadata.gid(),
                dir.display()
            ));
        }
        (!self.user.may(&metadata, READ | WRITE | ENTER)).then(|| {
            format!("{} may not write there: {}", self.user.name, self.user.advise(dir, &metadata))
        })
    }
}

impl DirectoryCheck<'_> {
    /// Another directory of recordings, if this one is empty and has another owner than all others: so is a mount point
    /// whose file system is not mounted.
    fn find_unlike(&self, name: &str, dir: &Path, metadata: &Metadata) -> Option<&Path> {
        let owner = |metadata: &Metadata| (metadata.uid(), metadata.gid());
        let is_empty = std::fs::read_dir(dir).is_ok_and(|mut entries| entries.next().is_none());
        let others = DIRS_IN_ROOT.iter().filter(|(other, _)| *other != name && *other != WORK_DIR);
        let mut others = others.map(|(other, _)| self.config.recording_dir(other));
        let first = others.next()?;
        let theirs = owner(&std::fs::metadata(first).ok()?);
        let all_agree =
            others.all(|other| std::fs::metadata(other).is_ok_and(|other| owner(&other) == theirs));
        (is_empty && all_agree && theirs != owner(metadata)).then_some(first)
    }
}

/// Whether two paths are the same directory.
fn is_same(a: &Path, b: &Path) -> bool {
    a == b || a.canonicalize().ok().zip(b.canonicalize().ok()).is_some_and(|(a, b)| a == b)
}
