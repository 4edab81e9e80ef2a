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
mod tar;
mod unpack;

use std::io;

pub(crate) use self::unpack::{ExtractedFormat, unpack};

/// Upper limits for one archive.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ArchiveLimits {
    /// Number of entries, including directories.
    pub(crate) max_entries: u64,
    /// Sum of the sizes of all entries, in bytes.
    pub(crate) max_bytes: u64,
    /// Uncompressed size divided by compressed size, for compressed archives; and the size of what links copy divided by
    /// the size of the archive.
    pub(crate) max_ratio: u64,
}

impl Default for ArchiveLimits {
    fn default() -> Self {
        // A recording of a whole day has some thousands of files; text compresses to a tenth.
        Self { max_entries: 200_000, max_bytes: 1 << 40, max_ratio: 200 }
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
