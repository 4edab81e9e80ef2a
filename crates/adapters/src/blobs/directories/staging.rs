//! The staging area: a hidden directory beside the formats, on the same file system, for formats and files that are not
//! yet complete or that are being removed.

use std::io::{self, Write as _};
use std::path::Path;

use app::ports::{Clock as _, Entropy as _};

use crate::confined_dir::ConfinedDir;
use crate::entropy::{OsEntropy, SystemClock};
use crate::leftovers;

/// Directory of the staging area. The name is not a valid name of a format.
pub(super) const STAGING_ROOT: &str = ".scalelite-staging";
/// The file or directory in a staging directory.
const STAGED_NAME: &str = "staged";
/// The directory that a staged format replaces, on file systems without atomic exchange.
const REPLACED_NAME: &str = "replaced";
/// A staging directory older than this was left by a crash.
const ABANDONED_AFTER_MS: i64 = 24 * 3_600_000;

/// A directory of its own in the staging area, for one file or one format. It is removed when it is dropped.
pub(super) struct StagingDir {
    staging_root: ConfinedDir,
    name: String,
    dir: ConfinedDir,
}

impl StagingDir {
    /// Creates a directory in the staging area below `root`, the directory of a visibility with this path. Removes
    /// abandoned ones.
    pub(super) fn new(root: &ConfinedDir, root_path: &Path) -> io::Result<Self> {
        let staging_root = root.make_dir(STAGING_ROOT)?;
        let now = SystemClock.now().0;
        remove_abandoned(&staging_root, &root_path.join(STAGING_ROOT), now)?;
        // The time of creation in the name tells later which directories are abandoned.
        let name = format!("{now}-{}", OsEntropy.generate_uuid());
        let dir = staging_root.make_dir(&name)?;
        Ok(Self { staging_root, name, dir })
    }

    /// Moves the directory `name` from `parent` here, or copies it if it is on another file system. Returns once all
    /// files are on disk.
    pub(super) fn stage_dir(&self, parent: &ConfinedDir, name: &str) -> io::Result<()> {
        parent.sync_filesystem()?;
        match parent.rename(name, &self.dir, STAGED_NAME) {
            Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {
                let missing = || io::Error::from(io::ErrorKind::NotFound);
                let source = parent.open_dir(name)?.ok_or_else(missing)?;
                source.copy_into(&self.dir.make_dir(STAGED_NAME)?)?;
                self.dir.sync_filesystem()
            }
            result => result,
        }
    }

    /// Moves the staged format to its place. A format that was there before is moved here, and removed with this
    /// directory.
    pub(super) fn install_format(&self, format_dir: &ConfinedDir, name: &str) -> io::Result<()> {
        loop {
            match self.dir.rename(STAGED_NAME, format_dir, name) {
                Ok(()) => break,
                Err(error) if is_occupied(&error) => {}
                Err(error) => return Err(error),
            }
            match self.dir.exchange(STAGED_NAME, format_dir, name) {
                Ok(true) => break,
                // The file system cannot exchange two names: the format is missing for a moment.
                Ok(false) => format_dir.rename(name, &self.dir, REPLACED_NAME)?,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        format_dir.sync()
    }

    /// Moves a recording out of the directory of a format, to be removed with this directory.
    pub(super) fn stage_removal(&self, format_dir: &ConfinedDir, name: &str) -> io::Result<()> {
        match format_dir.rename(name, &self.dir, STAGED_NAME) {
            // Another process has already removed it.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            result => result,
        }
    }

    /// Creates a file with this content. Returns once it is on disk.
    pub(super) fn stage_file(&self, content: &[u8]) -> io::Result<()> {
        let mut file = self.dir.create_file(STAGED_NAME)?;
        file.write_all(content)?;
        file.sync_all()
    }

    /// Moves the staged file into a directory, where it replaces a file with the same name.
    pub(super) fn install_file(&self, to: &ConfinedDir, name: &str) -> io::Result<()> {
        self.dir.replace(STAGED_NAME, to, name)
    }
}

impl Drop for StagingDir {
    /// Removes the directory with its content: replaced or removed files, or files that did not fit on a full disk.
    fn drop(&mut self) {
        if let Err(error) = self.staging_root.remove_tree(&self.name) {
            tracing::warn!(%error, "staging directory of a recording not removed");
        }
    }
}

fn is_occupied(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::AlreadyExists | io::ErrorKind::DirectoryNotEmpty)
}

/// Removes staging directories that crashes have left behind. One that cannot be removed stays, and is named in the log.
fn remove_abandoned(staging_root: &ConfinedDir, path: &Path, now: i64) -> io::Result<()> {
    for name in staging_root.names()? {
        let created_ms = name.to_str().and_then(|name| name.split('-').next()?.parse::<i64>().ok());
        let is_abandoned =
            created_ms.is_none_or(|created_ms| now.saturating_sub(created_ms) > ABANDONED_AFTER_MS);
        if is_abandoned && let Err(error) = staging_root.remove_tree(&name) {
            leftovers::warn_once(&path.join(&name), &error);
        }
    }
    Ok(())
}
