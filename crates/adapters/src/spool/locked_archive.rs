//! Takes archives out of the spool, although a newer one of the same name may replace them at any moment: BBB's script
//! sends the archive again after each further format.

use std::fs::File;
use std::io;

use app::ports::SpoolError;
use rustix::fs::Stat;

use super::spool_error;
use crate::confined_dir::ConfinedDir;

/// What an archive is called while it is being looked at for the last time; its name follows.
const PENDING_REMOVAL_PREFIX: &str = ".scalelite-taken~";

/// An archive that was unpacked, and the lock on where.
#[derive(Debug)]
pub(super) struct LockedArchive {
    pub(super) token: String,
    /// Device, inode, size and time: what tells it from a newer one.
    identity: (u64, u64, i64, i64, u64),
    _lock: File,
}

impl LockedArchive {
    pub(super) fn new(token: &str, stat: &Stat, lock: File) -> Self {
        Self { token: token.to_owned(), identity: file_identity(stat), _lock: lock }
    }

    /// Removes the archive, unless it is another one by now.
    pub(super) fn remove_if_unchanged(
        &self,
        spool: &ConfinedDir,
        name: &str,
        token: &str,
    ) -> Result<(), SpoolError> {
        let taken = format!("{PENDING_REMOVAL_PREFIX}{token}~{name}");
        match spool.rename(name, spool, &taken) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            done => done.map_err(spool_error)?,
        }
        let stat = spool.open_file(&taken).map_err(spool_error)?.map(|(_, stat)| stat);
        if stat.is_some_and(|stat| file_identity(&stat) == self.identity) {
            return spool.unlink(&taken).map_err(spool_error);
        }
        restore_name(spool, &taken, name).map_err(spool_error)
    }

    /// Moves the archive to another directory, unless it is another one by now.
    pub(super) fn move_if_unchanged(
        &self,
        spool: &ConfinedDir,
        to: &ConfinedDir,
        name: &str,
    ) -> Result<(), SpoolError> {
        let stat = spool.open_file(name).map_err(spool_error)?.map(|(_, stat)| stat);
        if stat.is_some_and(|stat| file_identity(&stat) == self.identity) {
            move_file(spool, to, name).map_err(spool_error)?;
        }
        Ok(())
    }
}

fn file_identity(stat: &Stat) -> (u64, u64, i64, i64, u64) {
    (stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime, stat.st_mtime_nsec)
}

/// Gives an archive its name again, unless an even newer one has it: then nobody would have seen this one any more.
fn restore_name(spool: &ConfinedDir, taken: &str, name: &str) -> io::Result<()> {
    match spool.rename(taken, spool, name) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => spool.unlink(taken),
        done => done,
    }
}

/// Gives back what a crash has left without its name.
pub(super) fn restore_pending_removals(spool: &ConfinedDir) -> io::Result<()> {
    for name in spool.names()? {
        let taken = name.to_str().filter(|name| name.starts_with(PENDING_REMOVAL_PREFIX));
        let parts = taken.and_then(|taken| Some((taken, taken.splitn(3, '~').nth(2)?)));
        let Some((taken, name)) = parts else { continue };
        // Whoever is about to remove it has done so by now.
        if spool.open_file(taken)?.is_some_and(|(_, stat)| is_changed_long_ago(&stat)) {
            restore_name(spool, taken, name)?;
        }
    }
    Ok(())
}

/// Whether a file got its name a minute ago or earlier.
fn is_changed_long_ago(stat: &Stat) -> bool {
    use app::ports::Clock as _;
    let now = crate::entropy::SystemClock.now().0 / 1000;
    now.saturating_sub(stat.st_ctime) >= 60
}

/// Moves a file to another directory, which may be on another file system; false if it is not there. What has its name
/// there is replaced.
pub(super) fn move_file(from: &ConfinedDir, to: &ConfinedDir, name: &str) -> io::Result<bool> {
    match from.replace(name, to, name) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {}
        done => return done.and_then(|()| to.sync()).map(|()| true),
    }
    let Some((mut source, _)) = from.open_file(name)? else { return Ok(false) };
    let unfinished = format!(".unfinished~{name}");
    let _ = to.unlink(&unfinished);
    let mut target = to.create_file(&unfinished)?;
    let copied = io::copy(&mut source, &mut target).and_then(|_| target.sync_all());
    if let Err(error) = copied {
        // Half of an archive is nothing but a fuller disk.
        let _ = to.unlink(&unfinished);
        return Err(error);
    }
    to.replace(&unfinished, to, name)?;
    to.sync()?;
    from.unlink(name).map(|()| true)
}
