//! Watches the free space of a file system while an archive is unpacked on it.

use std::io;

use crate::confined_dir::ConfinedDir;

/// The free space is asked for after so many bytes, since asking takes a system call.
const CHECK_INTERVAL: u64 = 16 << 20;

/// Fails once less than a reserve is free.
#[derive(Debug)]
pub(super) struct SpaceWatch<'a> {
    dir: &'a ConfinedDir,
    min_free: u64,
    /// Bytes that may be written until the next look.
    until_check: u64,
}

impl<'a> SpaceWatch<'a> {
    pub(super) fn new(dir: &'a ConfinedDir, min_free: u64) -> Self {
        Self { dir, min_free, until_check: 0 }
    }

    /// Counts bytes that are about to be written.
    pub(super) fn count(&mut self, bytes: u64) -> io::Result<()> {
        if let Some(left) = self.until_check.checked_sub(bytes) {
            self.until_check = left;
            return Ok(());
        }
        self.until_check = CHECK_INTERVAL;
        let needed = self.min_free.saturating_add(bytes);
        match self.dir.count_free_bytes()? {
            Some(free) if self.min_free > 0 && free < needed => {
                let reason = "less than RECORDING_MIN_FREE would stay free";
                Err(io::Error::new(io::ErrorKind::StorageFull, reason))
            }
            _ => Ok(()),
        }
    }
}
