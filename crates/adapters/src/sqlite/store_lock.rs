//! The lock by which a store in use is told from one that may be replaced by a backup. Every process that has the store
//! open shares it; whoever replaces the file has it alone.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::time::Duration;

use app::ports::StoreError;
use rustix::fs::{FlockOperation, flock};

/// How often it is tried to get the lock.
const MAX_TRIES: u32 = 100;
/// Wait between two attempts.
const RETRY_WAIT: Duration = Duration::from_millis(50);

/// The lock, until it is dropped.
#[derive(Debug)]
pub(crate) struct StoreLock {
    _file: File,
}

impl StoreLock {
    /// Shares the lock of a store. Waits for a restore that is putting files in place.
    pub(super) fn share(store: &Path) -> Result<Self, StoreError> {
        let file = open(store)?;
        for _ in 0..MAX_TRIES {
            if flock(&file, FlockOperation::NonBlockingLockShared).is_ok() {
                return Ok(Self { _file: file });
            }
            std::thread::sleep(RETRY_WAIT);
        }
        Err(StoreError::Unavailable("a backup is being restored into this store".to_owned()))
    }

    /// Takes the lock of a store alone; `None` if a process has the store open.
    pub(crate) fn take(store: &Path) -> Result<Option<Self>, StoreError> {
        let file = open(store)?;
        let is_taken = flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok();
        Ok(is_taken.then_some(Self { _file: file }))
    }

    /// Takes the lock alone, and waits for others that hold it for a moment.
    pub(crate) fn take_soon(store: &Path) -> Result<Option<Self>, StoreError> {
        for _ in 0..MAX_TRIES {
            if let Some(lock) = Self::take(store)? {
                return Ok(Some(lock));
            }
            std::thread::sleep(RETRY_WAIT);
        }
        Ok(None)
    }
}

fn open(store: &Path) -> Result<File, StoreError> {
    let mut path = store.as_os_str().to_owned();
    path.push("-lock");
    let mut options = OpenOptions::new();
    options.create(true).truncate(false).read(true).write(true).mode(0o600);
    let file = options.open(&path).map_err(|error| {
        StoreError::Unavailable(format!("{}: {error}", Path::new(&path).display()))
    })?;
    give_to_owner(Path::new(&path));
    Ok(file)
}

/// Gives a file that root has made to the owner of its directory, who runs the balancer.
pub(crate) fn give_to_owner(path: &Path) {
    let owner = |path: &Path| std::fs::metadata(path).map(|found| (found.uid(), found.gid()));
    let Some(dir) = path.parent().filter(|dir| !dir.as_os_str().is_empty()) else { return };
    if let (Ok(own), Ok((uid, gid))) = (owner(path), owner(dir))
        && own.0 == 0
        && uid != 0
        && let Err(error) = std::os::unix::fs::chown(path, Some(uid), Some(gid))
    {
        tracing::debug!(path = %path.display(), %error, "owner not changed");
    }
}
