//! The hidden directory of a shelf, on the same file system: what is not whole yet, or no more, lies here.

use std::fs::File;
use std::io::{self, Write as _};

use app::ports::{Book, Clock as _, Entropy as _};
use rustix::fs::FlockOperation;
use rustix::io::Errno;

use crate::beneath::Dir;
use crate::entropy::{OsEntropy, SystemClock};

/// Its name, which is none of a format.
pub(super) const WORKSHOP: &str = ".scalelite";
/// Files that are locked and never removed; no name of a format either.
const LOCKS: &str = ".scalelite-locks";
/// The one thing on a bench.
const PIECE: &str = "piece";
/// After so long what lies on a bench was left by a crash, in ms.
const LEFT_AFTER_MS: i64 = 24 * 3_600_000;

/// Waits for the lock of that number, which ends with the process at the latest. A file system without locks gives none.
pub(super) fn lock(root: &Dir, number: usize) -> io::Result<File> {
    let lock = root.make_sub(LOCKS)?.append(number.to_string())?;
    while rustix::fs::flock(&lock, FlockOperation::LockExclusive) == Err(Errno::INTR) {}
    Ok(lock)
}

/// A place in the workshop for one thing.
pub(super) struct Bench {
    workshop: Dir,
    name: String,
    dir: Dir,
}

impl Bench {
    /// A new one, in the workshop of that shelf.
    pub(super) fn new(root: &Dir) -> io::Result<Self> {
        let workshop = root.make_sub(WORKSHOP)?;
        let now = SystemClock.now().0;
        sweep(&workshop, now)?;
        // Its name tells when it was made.
        let name = format!("{now}-{}", OsEntropy.uuid());
        let dir = workshop.make_sub(&name)?;
        Ok(Self { workshop, name, dir })
    }

    /// Takes a directory from wherever it is: moved, or copied from another file system. It is
    /// on disk then.
    pub(super) fn take(&self, above: &Dir, name: &str) -> io::Result<()> {
        above.sync_all()?;
        match above.rename(name, &self.dir, PIECE) {
            Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {
                let gone = || io::Error::from(io::ErrorKind::NotFound);
                let source = above.sub(name)?.ok_or_else(gone)?;
                source.copy_into(&self.dir.make_sub(PIECE)?)?;
                self.dir.sync_all()
            }
            done => done,
        }
    }

    /// Puts what it has on the shelf; what was there lies on the bench then.
    pub(super) fn place(&self, root: &Dir, book: &Book) -> io::Result<()> {
        let format = root.make_sub(book.format.as_str())?;
        let name = book.record_id.as_str();
        loop {
            match self.dir.rename(PIECE, &format, name) {
                Ok(()) => break,
                Err(error) if taken(&error) => {}
                Err(error) => return Err(error),
            }
            match self.dir.exchange(PIECE, &format, name) {
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
    pub(super) fn receive(&self, format: &Dir, name: &str) -> io::Result<()> {
        match format.rename(name, &self.dir, PIECE) {
            // Somebody else was faster.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            done => done,
        }
    }

    /// Makes a file, on disk.
    pub(super) fn file(&self, content: &[u8]) -> io::Result<()> {
        let mut file = self.dir.create(PIECE)?;
        file.write_all(content)?;
        file.sync_all()
    }

    /// Puts the file into a directory, in place of what has that name.
    pub(super) fn hand_over(&self, to: &Dir, name: &str) -> io::Result<()> {
        self.dir.replace(PIECE, to, name)
    }
}

impl Drop for Bench {
    /// Removes what is left on it: most of all, what did not fit on a full disk.
    fn drop(&mut self) {
        if let Err(error) = self.workshop.remove_tree(&self.name) {
            tracing::warn!(%error, "left-overs of a recording cannot be removed");
        }
    }
}

fn taken(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::AlreadyExists | io::ErrorKind::DirectoryNotEmpty)
}

/// Removes what crashes have left.
fn sweep(workshop: &Dir, now: i64) -> io::Result<()> {
    for name in workshop.names()? {
        let made = name.to_str().and_then(|name| name.split('-').next()?.parse::<i64>().ok());
        if made.is_none_or(|made| now.saturating_sub(made) > LEFT_AFTER_MS) {
            workshop.remove_tree(&name)?;
        }
    }
    Ok(())
}
