//! Meetings remembered between joins. A read costs two locks of the file system, which is a quarter
//! of a join; eight bytes of a file beside the store cost a tenth of that. Whoever commits, in
//! whatever process, writes a new value there before it reports success: as long as the value
//! stands, what was read stands.
//!
//! A writer that dies between the two leaves others with what they remember, for a second.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use app::ports::Located;
use domain::MeetingKey;
use tokio::time::Instant;

use crate::entropy::OsEntropy;

/// How long anything is remembered at most.
const REMEMBER_MAX: Duration = Duration::from_secs(1);
/// Meetings remembered at most; then all are forgotten.
const MEETINGS_MAX: usize = 10_000;

/// A value of the file.
pub(super) type Sign = [u8; 8];

/// The file beside the store.
pub(super) struct Beacon {
    file: File,
    next: AtomicU64,
}

impl Beacon {
    pub(super) fn open(store: &Path) -> io::Result<Self> {
        // Beside `-wal` and `-shm`.
        let mut path = store.as_os_str().to_owned();
        path.push("-beacon");
        let mut options = OpenOptions::new();
        options.create(true).truncate(false).read(true).write(true).mode(0o600);
        // Values of different processes must differ; a random start makes that so.
        let start = OsEntropy.number();
        Ok(Self { file: options.open(path)?, next: AtomicU64::new(start) })
    }

    /// Tells everybody that the store has changed.
    pub(super) fn change(&self) {
        let value = self.next.fetch_add(1, Ordering::Relaxed).to_le_bytes();
        // If it cannot be written, others remember for a second too long.
        let _ = self.file.write_all_at(&value, 0);
    }

    /// What it shows now; zeros before the first change.
    pub(super) fn sign(&self) -> Sign {
        let mut sign = Sign::default();
        let _ = self.file.read_at(&mut sign, 0);
        sign
    }
}

struct Remembered {
    located: Located,
    sign: Sign,
    since: Instant,
}

/// What joins have found since the last change.
#[derive(Default)]
pub(super) struct Memory(Mutex<HashMap<MeetingKey, Remembered>>);

impl Memory {
    /// What was found under that sign, if that is not too long ago.
    pub(super) fn get(&self, key: &MeetingKey, sign: Sign) -> Option<Located> {
        let meetings = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let remembered = meetings.get(key)?;
        let stands = remembered.sign == sign && remembered.since.elapsed() < REMEMBER_MAX;
        stands.then(|| remembered.located.clone())
    }

    /// Remembers what was found after that sign was seen.
    pub(super) fn put(&self, key: &MeetingKey, located: &Located, sign: Sign) {
        let mut meetings = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if meetings.len() >= MEETINGS_MAX {
            meetings.clear();
        }
        let located = located.clone();
        meetings.insert(key.clone(), Remembered { located, sign, since: Instant::now() });
    }
}
