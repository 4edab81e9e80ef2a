//! Import of recordings: from an archive in the spool to files on a shelf and a row in the database.
//!
//! The steps, each of which may be the last one before a crash and is then done again by whoever gets the archive next:
//!
//! 1. The archive is claimed; who dies loses the claim when its time runs out.
//! 2. It is unpacked where nobody looks.
//! 3. Each format's files are put on the shelf where the row will say that they belong. Nobody is shown a file whose row
//!    does not name its format, so nothing is visible yet (or, if the format was there before, the new
//!    files stand whole in the place of the old ones).
//! 4. The row, its formats and what follows from them are written in one transaction: now it is visible.
//! 5. If somebody published, unpublished or deleted the recording since 3, its files follow.
//! 6. The archive is done, and its file deleted, unless a newer one has come under its name.

mod incoming;
mod run;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use bbb::metadata::Metadata;
use domain::recording::RecordId;
use domain::recording::library::merge;

use crate::ports::{
    Archive, BlobError, Blobs, Book, Clock, Entropy, Records, Shelf, Spool, SpoolError, Stage,
    StoreError, Unpacked,
};

pub use run::{LookError, Looked};

/// How long an importer that is not heard of keeps its claim, in ms.
const CLAIM_MS: i64 = 30_000;
/// How often it is heard of, in ms.
const RENEW_MS: u64 = 10_000;
/// When an archive that is broken is tried again, in ms: its sender may not have been done. After that it is put
/// aside.
const PATIENCE_MS: [i64; 2] = [5_000, 30_000];
/// When what may pass is tried again, in ms.
const TRY_AGAIN_MS: i64 = 10_000;

/// What administrators want of imports.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ImportRules {
    /// `RECORDING_IMPORT_UNPUBLISHED`.
    pub unpublished: bool,
    /// `PROTECTED_RECORDINGS_ENABLED`.
    pub protected: bool,
}

/// Imports archives.
#[derive(Clone)]
pub struct Importer {
    /// What is known of recordings and archives.
    pub records: Arc<dyn Records>,
    /// Their files.
    pub blobs: Arc<dyn Blobs>,
    /// Where they arrive.
    pub spool: Arc<dyn Spool>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Names for work.
    pub entropy: Arc<dyn Entropy>,
    /// Choices.
    pub rules: ImportRules,
}

/// How an import ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It is done; the recordings, and what is worth telling.
    Done(Vec<String>, Option<String>),
    /// It is tried again, because of this.
    Later(String),
    /// There is no space: nothing else needs to be tried either.
    Full(String),
    /// It was put aside, because of this.
    Quarantined(String),
    /// It is somebody else's, or gone.
    NotOurs,
}

/// Why a step failed.
enum Failure {
    Full(String),
    Bad(String),
    Gone,
    MayPass(String),
}

impl From<SpoolError> for Failure {
    fn from(error: SpoolError) -> Self {
        match error {
            SpoolError::Full(_) => Self::Full(error.to_string()),
            SpoolError::Bad(reason) => Self::Bad(reason),
            SpoolError::Gone => Self::Gone,
            SpoolError::Unavailable(_) => Self::MayPass(error.to_string()),
        }
    }
}

impl From<BlobError> for Failure {
    fn from(error: BlobError) -> Self {
        match error {
            BlobError::Full(_) => Self::Full(error.to_string()),
            BlobError::Unavailable(_) => Self::MayPass(error.to_string()),
        }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::MayPass(error.to_string())
    }
}

/// What came of an archive's formats.
#[derive(Default)]
struct Brought {
    record_ids: Vec<String>,
    faults: Vec<String>,
    notes: Vec<String>,
}

impl Importer {
    /// All formats of an archive, from where they were unpacked to where they belong.
    async fn bring_in(&self, name: &str, found: Vec<Unpacked>) -> Result<Brought, Failure> {
        let mut result = Brought::default();
        let mut good: Vec<(Unpacked, Metadata)> = Vec::new();
        for unpacked in found {
            match usable(name, &unpacked) {
                Ok(metadata) => good.push((unpacked, metadata)),
                Err(reason) => result.faults.push(format!("{}: {reason}", unpacked.book.format)),
            }
        }
        if good.is_empty() {
            let nothing = || "there is no recording in it".to_owned();
            let reason = Some(result.faults.join("; ")).filter(|text| !text.is_empty());
            return Err(Failure::Bad(reason.unwrap_or_else(nothing)));
        }
        // An archive's name has room for one id only.
        let record_id = good[0].0.book.record_id.clone();
        if self.bring_in_one(&record_id, &good).await? {
            result.record_ids.push(record_id.as_str().to_owned());
        } else {
            result.notes.push("the recording was deleted before".to_owned());
        }
        Ok(result)
    }

    /// One recording; false if it was deleted.
    async fn bring_in_one(
        &self,
        record_id: &RecordId,
        found: &[(Unpacked, Metadata)],
    ) -> Result<bool, Failure> {
        let books: Vec<(Book, Metadata)> =
            found.iter().map(|(one, metadata)| (one.book.clone(), metadata.clone())).collect();
        let incoming = incoming::incoming(&books, self.rules);
        let before = self.records.recording(record_id.as_str()).await?;
        let Some(expected) = merge(before.as_ref(), &incoming.recording) else {
            self.remove(&books).await?;
            return Ok(false);
        };
        let shelf = shelf_of(expected.published);
        for (unpacked, _) in found {
            self.blobs.put(&unpacked.dir, &unpacked.book, shelf).await?;
        }
        let now = self.clock.now();
        let Some(imported) = self.records.import_recording(&incoming, now).await? else {
            self.remove(&books).await?;
            return Ok(false);
        };
        self.follow(record_id, &books, shelf, shelf_of(imported.recording.published)).await
    }

    /// Moves what came until it is where the row says; false if the recording was deleted.
    async fn follow(
        &self,
        record_id: &RecordId,
        books: &[(Book, Metadata)],
        mut at: Shelf,
        mut to: Shelf,
    ) -> Result<bool, Failure> {
        while at != to {
            for (book, _) in books {
                self.blobs.move_to(book, to).await?;
            }
            at = to;
            let row = self.records.recording(record_id.as_str()).await?;
            let Some(row) = row.filter(|row| !row.is_deleted()) else {
                self.remove(books).await?;
                return Ok(false);
            };
            to = shelf_of(row.published);
        }
        Ok(true)
    }

    async fn remove(&self, books: &[(Book, Metadata)]) -> Result<(), Failure> {
        for (book, _) in books {
            self.blobs.remove(book, &Shelf::LIVE).await?;
        }
        Ok(())
    }

    /// Writes down how an import ended.
    async fn settle(
        &self,
        archive: &Archive,
        token: &str,
        stage: Stage,
        reason: Option<&str>,
        wait_ms: i64,
    ) -> Result<bool, StoreError> {
        let now = self.clock.now();
        let until = now.plus_ms(wait_ms);
        self.records.settle_archive(&archive.name, token, stage, reason, now, until).await
    }
}

fn shelf_of(published: bool) -> Shelf {
    if published { Shelf::Published } else { Shelf::Unpublished }
}

/// The metadata of a format that belongs into this archive.
fn usable(archive: &str, unpacked: &Unpacked) -> Result<Metadata, String> {
    let bytes = unpacked.metadata.as_ref().map_err(Clone::clone)?;
    let book = &unpacked.book;
    let stem = [".tar.gz", ".tgz", ".tar"].iter().find_map(|end| archive.strip_suffix(end));
    let names = [book.record_id.to_string(), format!("{}-{}", book.record_id, book.format)];
    if stem.is_none_or(|stem| !names.iter().any(|name| name == stem)) {
        return Err(format!("{} is not what the archive's name says", book.record_id));
    }
    let metadata = Metadata::read(bytes).map_err(|error| error.to_string())?;
    incoming::check(book, &metadata)?;
    Ok(metadata)
}
