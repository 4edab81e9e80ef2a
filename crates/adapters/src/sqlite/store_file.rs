//! The file of the embedded store: whether its path still leads to it, and whether it is damaged.

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use app::ports::StoreError;

use super::StoreLock;

/// The first bytes of every SQLite file.
const MAGIC: &[u8; 16] = b"SQLite format 3\0";

/// The file as it was opened.
pub(super) struct StoreFile {
    path: PathBuf,
    /// Stays open as long as any connection: closing any descriptor of a file ends the locks that
    /// this process has on it, those of SQLite included.
    file: File,
    device_and_inode: (u64, u64),
    is_suspect: AtomicBool,
    /// What the last integrity check found.
    damage: Mutex<Option<String>>,
    /// Keeps a restore from replacing the file.
    _lock: StoreLock,
}

impl StoreFile {
    pub(super) fn open(path: &Path, lock: StoreLock) -> io::Result<Self> {
        let file = File::options().read(true).write(true).open(path)?;
        let metadata = file.metadata()?;
        Ok(Self {
            path: path.to_owned(),
            file,
            device_and_inode: (metadata.dev(), metadata.ino()),
            is_suspect: AtomicBool::new(false),
            damage: Mutex::default(),
            _lock: lock,
        })
    }

    /// Checks that the path leads to this file. What is written to a file that was deleted or
    /// replaced is lost when the process ends.
    pub(super) fn check_place(&self) -> Result<(), StoreError> {
        let what = match std::fs::metadata(&self.path) {
            Ok(found) if (found.dev(), found.ino()) == self.device_and_inode => return Ok(()),
            Ok(_) => "was replaced by another file",
            Err(error) if error.kind() == io::ErrorKind::NotFound => "was deleted",
            Err(error) => return Err(StoreError::Unavailable(error.to_string())),
        };
        Err(StoreError::Unavailable(format!(
            "the file {what} while it was in use: stop the balancer, put the data directory back, \
             start it again"
        )))
    }

    /// Checks what can be checked without reading the whole file.
    pub(super) fn check_quickly(&self) -> Result<(), StoreError> {
        self.check_place()?;
        let mut first = [0; MAGIC.len()];
        if let Err(error) = self.file.read_exact_at(&mut first, 0) {
            return Err(StoreError::Unavailable(error.to_string()));
        }
        if first != *MAGIC {
            return Err(StoreError::Corrupt("the file is not a database any more".to_owned()));
        }
        match &*self.damage.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(damage) => Err(StoreError::Corrupt(damage.clone())),
            None => Ok(()),
        }
    }

    /// Notes an error that suggests damage.
    pub(super) fn note_suspicion(&self) {
        self.is_suspect.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_suspect(&self) -> bool {
        self.is_suspect.load(Ordering::Relaxed)
    }

    /// Notes what an integrity check found.
    pub(super) fn note_check(&self, damage: Option<String>) {
        self.is_suspect.store(false, Ordering::Relaxed);
        *self.damage.lock().unwrap_or_else(PoisonError::into_inner) = damage;
    }
}
