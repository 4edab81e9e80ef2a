//! Tells archives that are whole from those that are still being copied into the spool.

use std::collections::HashMap;
use std::io;
use std::time::Duration;

use app::ports::{Clock as _, SpoolListing, SpooledArchive};

use crate::confined_dir::{ConfinedDir, EntryKind};
use crate::entropy::SystemClock;

/// For so long a file must have kept its size and time.
pub(super) const SETTLE_TIME: Duration = Duration::from_secs(1);
/// Older files were not written lately, whatever the clocks of file servers say.
const SETTLED_AGE: Duration = Duration::from_secs(60);
/// Files that are looked at at a time.
const MAX_ARCHIVES: usize = 10_000;

/// What was seen of files.
#[derive(Debug, Default)]
pub(super) struct GrowthTracker {
    snapshots: HashMap<String, (FileSnapshot, i64)>,
}

/// What changes while a file grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct FileSnapshot {
    size: u64,
    modified_ns: i128,
    inode: u64,
}

impl GrowthTracker {
    /// Looks at all archives of the spool.
    pub(super) fn scan(&mut self, dir: &ConfinedDir) -> io::Result<SpoolListing> {
        let now = SystemClock.now().0;
        let mut arrivals = SpoolListing::default();
        let mut seen = HashMap::new();
        for entry in dir.entries()? {
            let Some(name) = entry.name.to_str().filter(|name| is_archive(name)) else { continue };
            if entry.kind != EntryKind::File || arrivals.complete.len() >= MAX_ARCHIVES {
                continue;
            }
            let Some((_, stat)) = dir.open_file(name)? else { continue };
            let seconds = i128::from(stat.st_mtime);
            let modified_ns = seconds * 1_000_000_000 + i128::from(stat.st_mtime_nsec);
            let look = FileSnapshot { size: entry.size, modified_ns, inode: stat.st_ino };
            let same = self.snapshots.get(name).filter(|(before, _)| *before == look);
            let since = same.map_or(now, |(_, since)| *since);
            let old = i128::from(now) * 1_000_000 - modified_ns > duration_ns(SETTLED_AGE);
            if old || i128::from(now - since) * 1_000_000 >= duration_ns(SETTLE_TIME) {
                arrivals.complete.push(SpooledArchive { name: name.to_owned(), size: entry.size });
            } else {
                arrivals.has_incomplete = true;
            }
            seen.insert(name.to_owned(), (look, since));
        }
        self.snapshots = seen;
        Ok(arrivals)
    }
}

fn duration_ns(duration: Duration) -> i128 {
    i128::try_from(duration.as_nanos()).unwrap_or(i128::MAX)
}

/// Whether a file is an archive by its name. Dot-files are unfinished transfers.
pub(super) fn is_archive(name: &str) -> bool {
    let ends = [".tar", ".tar.gz", ".tgz"].iter().any(|end| name.ends_with(end));
    ends && !name.starts_with('.') && name.len() <= 255
}
