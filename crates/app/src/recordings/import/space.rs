//! Archives for which there was no space. Each is tried a few times, since other archives may have
//! taken the space only for a while. After that it waits until there is more space than there was.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// Number of attempts before an archive waits for more space.
const MAX_ATTEMPTS: u32 = 3;
/// An archive that waits is tried again once the free space has grown by this part.
const GROWTH_DIVISOR: u64 = 20;

/// What is known of archives for which there was no space, by their names.
#[derive(Debug, Default)]
pub struct SpaceWaits(Mutex<HashMap<String, SpaceWait>>);

#[derive(Clone, Copy, Debug, Default)]
struct SpaceWait {
    attempts: u32,
    /// The most space that was free before an attempt, in bytes.
    free_bytes: u64,
}

impl SpaceWaits {
    /// Checks that there may be space for an archive of this size.
    ///
    /// # Errors
    /// Why it is not worth trying.
    pub(super) fn check(&self, name: &str, size: u64, free_bytes: u64) -> Result<(), String> {
        // Unpacked it is not smaller.
        if free_bytes < size {
            // Without the number of free bytes: the reason is logged whenever it changes.
            return Err(format!(
                "{size} bytes are needed, and less is free beyond RECORDING_MIN_FREE"
            ));
        }
        let waits = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(wait) = waits.get(name).filter(|wait| wait.attempts >= MAX_ATTEMPTS) else {
            return Ok(());
        };
        let needed = wait.free_bytes.saturating_add(wait.free_bytes / GROWTH_DIVISOR);
        if free_bytes > needed {
            return Ok(());
        }
        let attempts = wait.attempts;
        Err(format!("it did not fit in {attempts} attempts and waits for more space"))
    }

    /// Notes that an archive did not fit although so much was free before.
    pub(super) fn note_full(&self, name: &str, free_bytes: u64) {
        let mut waits = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let wait = waits.entry(name.to_owned()).or_default();
        wait.attempts = wait.attempts.saturating_add(1);
        wait.free_bytes = wait.free_bytes.max(free_bytes);
    }

    /// Forgets the archives that are not in the spool any more.
    pub(super) fn retain(&self, is_spooled: impl Fn(&str) -> bool) {
        let mut waits = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        waits.retain(|name, _| is_spooled(name));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_archive_that_does_not_fit_waits_for_more_space() {
        let waits = SpaceWaits::default();
        assert!(waits.check("a", 100, 99).is_err(), "less than the archive is free");
        for _ in 0..3 {
            assert_eq!(waits.check("a", 100, 1000), Ok(()));
            waits.note_full("a", 1000);
        }
        assert!(waits.check("a", 100, 1050).is_err());
        assert_eq!(waits.check("a", 100, 1051), Ok(()));
        assert_eq!(waits.check("b", 100, 1000), Ok(()), "another one is tried");
        waits.note_full("a", 2000);
        assert!(waits.check("a", 100, 2000).is_err());
        waits.retain(|name| name != "a");
        assert_eq!(waits.check("a", 100, 1000), Ok(()));
    }
}
