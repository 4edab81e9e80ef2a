//! Archives of recordings, unpacked in this process: strangers made them, so that nothing in them is believed.
//!
//! Only regular files and directories come out, below a directory that is held open, each part of a path a plain name.
//! What is wrong with one format (a link, a device, a path that occurs twice) spoils that format; what
//! belongs to no format, or is wrong with the archive, spoils all of it. Memory does not grow with the archive.

mod tar;
mod unpack;

use std::io;

pub(crate) use self::unpack::{ExtractedFormat, unpack};

/// What an archive may be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ArchiveLimits {
    /// Entries, directories among them.
    pub(crate) max_entries: u64,
    /// Bytes of all that is in it.
    pub(crate) max_bytes: u64,
    /// How many times larger what comes out of a compressed one may be.
    pub(crate) max_ratio: u64,
}

impl Default for ArchiveLimits {
    fn default() -> Self {
        // A recording of a day has some thousands of files; text compresses to a tenth.
        Self { max_entries: 200_000, max_bytes: 1 << 40, max_ratio: 200 }
    }
}

/// Why an archive was not unpacked.
#[derive(Debug)]
pub(crate) enum ArchiveError {
    /// It is broken, or a trap.
    Invalid(String),
    /// Reading or writing failed, which is not its fault.
    Io(io::Error),
}

impl From<io::Error> for ArchiveError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

fn invalid_archive(why: impl Into<String>) -> ArchiveError {
    ArchiveError::Invalid(why.into())
}
