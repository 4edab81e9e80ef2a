//! Removes archives from the spool. A newer archive of the same name may replace an archive at any moment, since BBB's
//! script sends the archive again after each further format; the newer archive must stay.

use std::fs::File;
use std::io;

use app::ports::SpoolError;
use rustix::fs::Stat;

use super::{kept, spool_error};
use crate::confined_dir::ConfinedDir;

/// Prefix of the name of an archive that is about to be removed. The importer's token, `~` and its own name follow.
const PENDING_REMOVAL_PREFIX: &str = ".scalelite-removing~";

/// An archive that was unpacked, with the lock on its work directory.
#[derive(Debug)]
pub(super) struct LockedArchive {
    /// The token of the import.
    pub(super) token: String,
    /// Device, inode, size and modification time, which distinguish the archive from a newer one of the same name.
    identity: (u64, u64, i64, i64, u64),
    _lock: File,
}

impl LockedArchive {
    pub(super) fn new(token: &str, stat: &Stat, lock: File) -> Self {
        Self { token: token.to_owned(), identity: file_identity(stat), _lock: lock }
    }

    /// Removes the archive, unless a newer one has replaced it.
    pub(super) fn remove_if_unchanged(
        &self,
        spool: &ConfinedDir,
        name: &str,
        token: &str,
    ) -> Result<(), SpoolError> {
        let pending_name = format!("{PENDING_REMOVAL_PREFIX}{token}~{name}");
        match spool.rename(name, spool, &pending_name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            result => result.map_err(spool_error)?,
        }
        let stat = spool.open_file(&pending_name).map_err(spool_error)?.map(|(_, stat)| stat);
        if stat.is_some_and(|stat| file_identity(&stat) == self.identity) {
            return spool.unlink(&pending_name).map_err(spool_error);
        }
        restore_name(spool, &pending_name, name).map_err(spool_error)
    }

    /// Moves the archive to another directory, unless a newer one has replaced it. Returns its name there.
    pub(super) fn keep_if_unchanged(
        &self,
        spool: &ConfinedDir,
        to: &ConfinedDir,
        name: &str,
    ) -> Result<Option<String>, SpoolError> {
        let stat = spool.open_file(name).map_err(spool_error)?.map(|(_, stat)| stat);
        if stat.is_some_and(|stat| file_identity(&stat) == self.identity) {
            return move_to_free_name(spool, to, name).map_err(spool_error);
        }
        Ok(None)
    }
}

fn file_identity(stat: &Stat) -> (u64, u64, i64, i64, u64) {
    (stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime, stat.st_mtime_nsec)
}

/// Gives an archive its own name back. If an even newer archive has that name by now, this one is removed: the newer one
/// would have replaced it anyway.
fn restore_name(spool: &ConfinedDir, pending_name: &str, name: &str) -> io::Result<()> {
    match spool.rename(pending_name, spool, name) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => spool.unlink(pending_name),
        result => result,
    }
}

/// Gives archives their own names back that a crash has left under a name for removal.
pub(super) fn restore_pending_removals(spool: &ConfinedDir) -> io::Result<()> {
    for name in spool.names()? {
        let Some(pending_name) =
            name.to_str().filter(|name| name.starts_with(PENDING_REMOVAL_PREFIX))
        else {
            continue;
        };
        let Some(name) = pending_name.splitn(3, '~').nth(2) else { continue };
        // A process that is still alive removes the archive well within this time.
        if spool.open_file(pending_name)?.is_some_and(|(_, stat)| is_changed_long_ago(&stat)) {
            restore_name(spool, pending_name, name)?;
        }
    }
    Ok(())
}

/// Whether the last change of the inode, such as a rename, was a minute ago or earlier.
fn is_changed_long_ago(stat: &Stat) -> bool {
    use app::ports::Clock as _;
    let now = crate::entropy::SystemClock.now().0 / 1000;
    now.saturating_sub(stat.st_ctime) >= 60
}

/// Moves a file to another directory, under a name that no file with other contents has there. Returns that name; `None`
/// if the file does not exist.
pub(super) fn move_to_free_name(
    from: &ConfinedDir,
    to: &ConfinedDir,
    name: &str,
) -> io::Result<Option<String>> {
    let free_name = kept::find_free_name(from, to, name)?;
    Ok(move_file(from, name, to, &free_name)?.then_some(free_name))
}

/// Moves a file to another directory, which may be on another file system. A file of the same name is replaced. Returns
/// false if the file does not exist.
fn move_file(from: &ConfinedDir, name: &str, to: &ConfinedDir, new_name: &str) -> io::Result<bool> {
    match from.replace(name, to, new_name) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {}
        result => return result.and_then(|()| to.sync()).map(|()| true),
    }
    let Some((mut source, _)) = from.open_file(name)? else { return Ok(false) };
    let unfinished = format!(".unfinished~{new_name}");
    let _ = to.unlink(&unfinished);
    let mut target = to.create_file(&unfinished)?;
    let copied = io::copy(&mut source, &mut target).and_then(|_| target.sync_all());
    if let Err(error) = copied {
        // An incomplete copy is of no use and takes space.
        let _ = to.unlink(&unfinished);
        return Err(error);
    }
    to.replace(&unfinished, to, new_name)?;
    to.sync()?;
    from.unlink(name).map(|()| true)
}
