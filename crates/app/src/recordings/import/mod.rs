//! Import of recordings: from an archive in the spool to stored files and a row in the database.
//!
//! Every step may be the last one before a crash; the next process that claims the archive repeats
//! it. The steps, and the file of each:
//!
//! 1. `scan`: archives in the spool that are complete are imported one after the other.
//! 2. `claim`: one process of all replicas claims an archive and renews the claim while it works.
//!    After a crash the claim expires.
//! 3. `unpack`: the archive is unpacked into a directory that nothing is served from, and the
//!    metadata file of each format is read. `incoming` converts the metadata to a recording.
//! 4. `place`: the files of each format are stored where the row will say that they belong. Files
//!    are only served if a row names their format, so nothing is visible yet. If the format existed
//!    before, the new files replace the old ones as a whole.
//! 5. `record`: the row, its formats and all changes that follow are written in one transaction,
//!    which makes the recording visible. If the recording was published, unpublished or deleted
//!    since step 4, its files are moved or removed again.
//! 6. `finish`: the result is recorded, then the archive is deleted, unless a newer archive has the
//!    same name by now. An archive with files that were not imported is kept: in quarantine, or set
//!    aside if its recording was deleted (`deleted`).
//!
//! An archive may hold several recordings: steps 4 and 5 are done for one after the other.

mod claim;
mod deleted;
mod finish;
mod importer;
mod incoming;
mod place;
mod record;
mod result;
mod scan;
mod space;
#[cfg(test)]
mod tests;
mod unpack;

pub use deleted::{DEFAULT_SET_ASIDE_MS, deleted_ids};
pub use importer::{ImportRules, Importer};
pub(super) use incoming::build_incoming;
pub use result::{ImportResult, ScanError, SetAsideArchive};
pub use scan::{ScanResult, note_kept};
pub(super) use unpack::check_identity;
