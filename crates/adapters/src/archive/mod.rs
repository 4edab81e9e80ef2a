//! Unpacks archives of recordings inside this process.
//!
//! An archive comes from outside and may be hostile. Only regular files and directories are unpacked, below a
//! directory that is held open, and each component of a path must be a plain name. Links within one format are
//! replaced by copies. An error in one format (a link out of it, a device, a path that occurs twice) makes that format
//! unusable; an entry that belongs to no format, or an error in the archive itself, makes the whole archive unusable.
//! Memory use does not grow with the archive.

mod decompress;
mod links;
mod paths;
mod space;
pub(crate) mod tar;
mod unpack;

use std::io;

pub(crate) use self::unpack::{ExtractedFormat, unpack};

/// Bytes that any archive may expand to, whatever its size.
const FREE_EXPANSION: u64 = 100 << 20;

/// Upper limits for one archive.
#[derive(Clone, Copy, Debug)]
pub struct ArchiveLimits {
    /// Number of entries, including directories.
    pub max_entries: u64,
    /// `RECORDING_ARCHIVE_MAX_BYTES`: sum of the sizes of all entries, and of what links copy.
    pub max_bytes: u64,
    /// `RECORDING_ARCHIVE_MAX_RATIO`: uncompressed size, beyond the first 100 MiB, divided by compressed size, for
    /// compressed archives; and the size of what links copy divided by the size of the archive.
    pub max_ratio: u64,
    /// `RECORDING_MIN_FREE`: bytes of the file system that are left free.
    pub min_free: u64,
}

impl Default for ArchiveLimits {
    fn default() -> Self {
        // A recording of a whole day has some thousands of files and some gigabytes; text compresses to a tenth.
        Self { max_entries: 200_000, max_bytes: 50 << 30, max_ratio: 20, min_free: 0 }
    }
}

impl ArchiveLimits {
    /// How many bytes an archive of this size may expand to.
    fn max_expanded_bytes(&self, size: u64) -> u64 {
        size.saturating_mul(self.max_ratio).saturating_add(FREE_EXPANSION)
    }
}

/// Why an archive was not unpacked.
#[derive(Debug)]
pub(crate) enum ArchiveError {
    /// The archive is damaged or hostile.
    Invalid(String),
    /// Reading or writing failed for a reason that has nothing to do with the archive.
    Io(io::Error),
}

impl From<io::Error> for ArchiveError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

fn invalid_archive(reason: impl Into<String>) -> ArchiveError {
    ArchiveError::Invalid(reason.into())
}
