//! The hidden directory of a shelf, on the same file system: what is not whole yet, or no more, lies here.

use std::fs::File;
use std::io::{self, Write as _};

use app::ports::{Clock as _, Entropy as _, RecordingFormatId};
use rustix::fs::FlockOperation;
use rustix::io::Errno;

use crate::confined_dir::ConfinedDir;
use crate::entropy::{OsEntropy, SystemClock};

/// Its name, which is none of a format.
pub(super) const STAGING_ROOT: &str = ".scalelite";
/// Files that are locked and never removed; no name of a format either.
const LOCKS_DIR: &str = ".scalelite-locks";
/// The one thing on a bench.
const STAGED_NAME: &str = "piece";
/// After so long what lies on a bench was left by a crash, in ms.
const ABANDONED_AFTER_MS: i64 = 24 * 3_600_000;

/// Waits for the lock of that number, which ends with the process at the latest. A file system without locks gives none.
pub(super) fn acquire_lock(root: &ConfinedDir, number: usize) -> io::Result<File> {
    let lock = root.make_dir(LOCKS_DIR)?.open_or_create(number.to_string())?;
    while rustix::fs::flock(&lock, FlockOperation::LockExclusive) == Err(Errno::INTR) {}
    Ok(lock)
}

/// A place in the workshop for one thing.
pub(super) struct StagingDir {
    staging_root: ConfinedDir,
    name: String,
    dir: ConfinedDir,
}

impl StagingDir {
    /// A new one, in the workshop of that shelf.
    pub(super) fn new(root: &ConfinedDir) -> io::Result<Self> {
        let workshop = root.make_dir(STAGING_ROOT)?;
        let now = SystemClock.now().0;
        remove_abandoned(&workshop, now)?;
        // Its name tells when it was made.
        let name = format!("{now}-{}", OsEntropy.generate_uuid());
        let dir = workshop.make_dir(&name)?;
        Ok(Self { staging_root: workshop, name, dir })
    }

    /// Takes a directory from wherever it is: moved, or copied from another file system. It is
    /// on disk then.
    pub(super) fn stage_dir(&self, above: &ConfinedDir, name: &str) -> io::Result<()> {
        above.sync_filesystem()?;
        match above.rename(name, &self.dir, STAGED_NAME) {
            Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {
                let gone = || io::Error::from(io::ErrorKind::NotFound);
                let source = above.open_dir(name)?.ok_or_else(gone)?;
                source.copy_into(&self.dir.make_dir(STAGED_NAME)?)?;
                self.dir.sync_filesystem()
            }
            done => done,
        }
    }

    /// Puts what it has on the shelf; what was there lies on the bench then.
    pub(super) fn install_format(
        &self,
        root: &ConfinedDir,
        book: &RecordingFormatId,
    ) -> io::Result<()> {
        let format = root.make_dir(book.format.as_str())?;
        let name = book.record_id.as_str();
        loop {
            match self.dir.rename(STAGED_NAME, &format, name) {
                Ok(()) => break,
                Err(error) if is_occupied(&error) => {}
                Err(error) => return Err(error),
            }
            match self.dir.exchange(STAGED_NAME, &format, name) {
                Ok(true) => break,
                // A file system without exchange: nothing is there for a moment.
                Ok(false) => format.rename(name, &self.dir, "before")?,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        format.sync()?;
        root.sync()
    }

    /// Takes something off a shelf.
    pub(super) fn stage_removal(&self, format: &ConfinedDir, name: &str) -> io::Result<()> {
        match format.rename(name, &self.dir, STAGED_NAME) {
            // Somebody else was faster.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            done => done,
        }
    }

    /// Makes a file, on disk.
    pub(super) fn stage_file(&self, content: &[u8]) -> io::Result<()> {
        let mut file = self.dir.create_file(STAGED_NAME)?;
        file.write_all(content)?;
        file.sync_all()
    }

    /// Puts the file into a directory, in place of what has that name.
    pub(super) fn install_file(&self, to: &ConfinedDir, name: &str) -> io::Result<()> {
        self.dir.replace(STAGED_NAME, to, name)
    }
}

impl Drop for StagingDir {
    /// Removes what is left on it: most of all, what did not fit on a full disk.
    fn drop(&mut self) {
        if let Err(error) = self.staging_root.remove_tree(&self.name) {
            tracing::warn!(%error, "left-overs of a recording cannot be removed");
        }
    }
}

fn is_occupied(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::AlreadyExists | io::ErrorKind::DirectoryNotEmpty)
}

/// Removes what crashes have left.
fn remove_abandoned(workshop: &ConfinedDir, now: i64) -> io::Result<()> {
    for name in workshop.names()? {
        let made = name.to_str().and_then(|name| name.split('-').next()?.parse::<i64>().ok());
        if made.is_none_or(|made| now.saturating_sub(made) > ABANDONED_AFTER_MS) {
            workshop.remove_tree(&name)?;
        }
    }
    Ok(())
}
