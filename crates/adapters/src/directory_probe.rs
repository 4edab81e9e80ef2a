//! Looks whether a directory is there, can be written, and has space left.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use app::blocking::HEALTH_CHECKS;
use app::health::{DirectorySpace, HealthBoard};
use app::ports::{HealthProbe, PartHealth};
use async_trait::async_trait;
use rustix::fs::Access;

/// A directory that a process needs.
#[derive(Clone, Debug)]
pub struct DirectoryProbe {
    /// Where its space is written down.
    pub board: Arc<HealthBoard>,
    /// The name of the part.
    pub name: &'static str,
    /// The directory.
    pub path: PathBuf,
    /// With less free space, in bytes, the directory cannot be used.
    pub min_free: u64,
    /// With less free space, in bytes, it is time to look at it.
    pub warn_free: u64,
}

#[async_trait]
impl HealthProbe for DirectoryProbe {
    fn name(&self) -> &'static str {
        self.name
    }

    async fn probe(&self) -> PartHealth {
        let probe = self.clone();
        // Awaited however long it takes: a second look at a file system that hangs would hang as well.
        match HEALTH_CHECKS.run(move || probe.look()).await {
            Ok(health) => health,
            Err(error) => PartHealth::Failed(error.to_string()),
        }
    }
}

impl DirectoryProbe {
    /// Whether the directory does not exist.
    pub async fn is_missing(&self) -> bool {
        let path = self.path.clone();
        HEALTH_CHECKS.run(move || !path.exists()).await.unwrap_or(false)
    }

    fn look(&self) -> PartHealth {
        let space = match self.find_space() {
            Ok(space) => space,
            Err(reason) => {
                self.board.record_space(self.name, None);
                return PartHealth::Failed(reason);
            }
        };
        self.board.record_space(self.name, Some(space));
        let free = space.free;
        let detail = || format!("{}: {} MiB of free space", self.path.display(), free >> 20);
        match free {
            free if free < self.min_free => PartHealth::Failed(detail()),
            free if free < self.warn_free => PartHealth::Warning(detail()),
            _ => PartHealth::Ok,
        }
    }

    /// The space of the directory, or why it cannot be used.
    fn find_space(&self) -> Result<DirectorySpace, String> {
        let failure = |error: &dyn std::fmt::Display| format!("{}: {error}", self.path.display());
        check_directory(&self.path).map_err(|error| failure(&error))?;
        let found = rustix::fs::statvfs(&self.path).map_err(|error| failure(&error))?;
        Ok(DirectorySpace {
            free: found.f_bavail.saturating_mul(found.f_frsize),
            size: found.f_blocks.saturating_mul(found.f_frsize),
        })
    }
}

/// Checks that a directory is there and can be written. Nothing is written: the file system is asked for the right to.
///
/// # Errors
/// When it cannot be used; the text says why.
pub fn check_directory(path: &Path) -> io::Result<()> {
    match std::fs::metadata(path) {
        Ok(metadata) if !metadata.is_dir() => return Err(io::Error::other("is not a directory")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(io::Error::other("does not exist, or is not mounted"));
        }
        found => found.map(drop)?,
    }
    let all = Access::READ_OK | Access::WRITE_OK | Access::EXEC_OK;
    Ok(rustix::fs::access(path, all)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_that_is_missing_or_full_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("spool");
        let board = Arc::<HealthBoard>::default();
        let probe =
            DirectoryProbe { board: board.clone(), name: "spool", path, min_free: 0, warn_free: 0 };
        let failure = |probe: &DirectoryProbe| match probe.look() {
            PartHealth::Failed(reason) => reason,
            other => panic!("{other:?}"),
        };
        assert!(failure(&probe).ends_with("does not exist, or is not mounted"));
        std::fs::write(&probe.path, "").unwrap();
        assert!(failure(&probe).ends_with("is not a directory"));
        std::fs::remove_file(&probe.path).unwrap();
        std::fs::create_dir(&probe.path).unwrap();
        assert_eq!((probe.look(), board.spaces().contains_key("spool")), (PartHealth::Ok, true));
        let low = DirectoryProbe { warn_free: u64::MAX, ..probe.clone() };
        assert!(matches!(low.look(), PartHealth::Warning(_)));
        let full = DirectoryProbe { min_free: u64::MAX, ..probe };
        assert!(failure(&full).ends_with("MiB of free space"));
    }
}
