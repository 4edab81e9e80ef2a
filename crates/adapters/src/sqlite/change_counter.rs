//! How processes that share the file tell each other that it changed: a read costs two locks of the
//! file system, which is a quarter of a join; eight bytes of a file beside the store cost a tenth of
//! that. Whoever commits, in whatever process, writes a new value there before it reports success:
//! as long as the value stands, what was read stands.
//!
//! A writer that dies between the two leaves others with what they remember, for a second.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::entropy::OsEntropy;
use crate::sql::Revision;

/// The file beside the store.
pub(super) struct ChangeCounter {
    file: File,
    next: AtomicU64,
}

impl ChangeCounter {
    pub(super) fn open(store: &Path) -> io::Result<Self> {
        // Beside `-wal` and `-shm`.
        let mut path = store.as_os_str().to_owned();
        path.push("-changes");
        let mut options = OpenOptions::new();
        options.create(true).truncate(false).read(true).write(true).mode(0o600);
        // Values of different processes must differ; a random start makes that so.
        let start = OsEntropy.number();
        Ok(Self { file: options.open(path)?, next: AtomicU64::new(start) })
    }

    /// Tells everybody that the store has changed.
    pub(super) fn increment(&self) {
        let value = self.next.fetch_add(1, Ordering::Relaxed).to_le_bytes();
        // If it cannot be written, others remember for a second too long.
        let _ = self.file.write_all_at(&value, 0);
    }

    /// What it shows now; zeros before the first change.
    pub(super) fn revision(&self) -> Revision {
        let mut sign = [0; 8];
        let _ = self.file.read_at(&mut sign, 0);
        Revision::from_le_bytes(sign)
    }
}
