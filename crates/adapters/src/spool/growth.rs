//! Distinguishes complete archives in the spool from archives that are still being copied into it.

use std::collections::HashMap;
use std::io;
use std::time::Duration;

use app::ports::{Clock as _, SpoolListing, SpooledArchive};

use crate::confined_dir::{ConfinedDir, EntryKind};
use crate::entropy::SystemClock;

/// A file counts as complete once its size and modification time have not changed for this long.
pub(super) const SETTLE_TIME: Duration = Duration::from_secs(1);
/// A file that was modified longer ago than this counts as complete at once. The margin allows for clocks of file servers
/// that differ from ours.
const SETTLED_AGE: Duration = Duration::from_secs(60);
/// Largest number of complete archives that one scan returns.
const MAX_ARCHIVES: usize = 10_000;

/// What earlier scans have seen.
#[derive(Debug, Default)]
pub(super) struct GrowthTracker {
    /// By name: the last snapshot of the file, and when a scan first saw that state, in ms since 1970.
    snapshots: HashMap<String, (FileSnapshot, i64)>,
}

/// The attributes of a file that change while it grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct FileSnapshot {
    size: u64,
    modified_ns: i128,
    inode: u64,
}

impl GrowthTracker {
    /// Scans all archives of the spool.
    pub(super) fn scan(&mut self, dir: &ConfinedDir) -> io::Result<SpoolListing> {
        let now = SystemClock.now().0;
        let mut listing = SpoolListing::default();
        let mut snapshots = HashMap::new();
        for entry in dir.entries()? {
            let Some(name) = entry.name.to_str().filter(|name| is_archive(name)) else { continue };
            if entry.kind != EntryKind::File || listing.complete.len() >= MAX_ARCHIVES {
                continue;
            }
            let Some((_, stat)) = dir.open_file(name)? else { continue };
            let seconds = i128::from(stat.st_mtime);
            let modified_ns = seconds * 1_000_000_000 + i128::from(stat.st_mtime_nsec);
            let snapshot = FileSnapshot { size: entry.size, modified_ns, inode: stat.st_ino };
            let unchanged = self.snapshots.get(name).filter(|(before, _)| *before == snapshot);
            let since = unchanged.map_or(now, |(_, since)| *since);
            let is_old = i128::from(now) * 1_000_000 - modified_ns > duration_ns(SETTLED_AGE);
            if is_old || i128::from(now - since) * 1_000_000 >= duration_ns(SETTLE_TIME) {
                listing.complete.push(SpooledArchive { name: name.to_owned(), size: entry.size });
            } else {
                listing.has_incomplete = true;
            }
            snapshots.insert(name.to_owned(), (snapshot, since));
        }
        self.snapshots = snapshots;
        Ok(listing)
    }
}

fn duration_ns(duration: Duration) -> i128 {
    i128::try_from(duration.as_nanos()).unwrap_or(i128::MAX)
}

/// Endings of the names of archives.
const EXTENSIONS: [&str; 5] = [".tar", ".tar.gz", ".tgz", ".tar.zst", ".tzst"];

/// Returns the ending by which a file is an archive, in upper or lower case; empty if it is none.
pub(super) fn extension(name: &str) -> &str {
    let ending = |extension: &&str| {
        let start = name.len().checked_sub(extension.len())?;
        name.get(start..).filter(|ending| ending.eq_ignore_ascii_case(extension))
    };
    // The longest one: `.tar.gz` is no archive of the name `a.tar`.
    let endings = EXTENSIONS.iter().filter_map(ending);
    endings.max_by_key(|ending| ending.len()).unwrap_or_default()
}

/// Whether a file is an archive by its name. Files whose name begins with a dot are unfinished transfers.
pub(super) fn is_archive(name: &str) -> bool {
    !extension(name).is_empty() && !name.starts_with('.') && name.len() <= 255
}
