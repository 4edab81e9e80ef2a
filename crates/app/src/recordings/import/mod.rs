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
use domain::recording::catalog::merge_recording;
use domain::recording::{RecordId, RecordingFormatId};

use crate::ports::{
    ArchiveRecord, BlobError, Blobs, Clock, Entropy, ImportStage, RecordingStore, Spool,
    SpoolError, StoreError, UnpackedFormat, Visibility,
};

pub use run::{ScanError, ScanResult};

/// How long an importer that is not heard of keeps its claim, in ms.
const CLAIM_MS: i64 = 30_000;
/// How often it is heard of, in ms.
const RENEW_INTERVAL_MS: u64 = 10_000;
/// When an archive that is broken is tried again, in ms: its sender may not have been done. After that it is put
/// aside.
const INVALID_ARCHIVE_DELAYS_MS: [i64; 2] = [5_000, 30_000];
/// When what may pass is tried again, in ms.
const RETRY_DELAY_MS: i64 = 10_000;

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
    pub records: Arc<dyn RecordingStore>,
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
pub enum ImportResult {
    /// It is done; the recordings, and what is worth telling.
    Done(Vec<String>, Option<String>),
    /// It is tried again, because of this.
    Postponed(String),
    /// There is no space: nothing else needs to be tried either.
    Full(String),
    /// It was put aside, because of this.
    Quarantined(String),
    /// It is somebody else's, or gone.
    NotClaimed,
}

/// Why a step failed.
enum ImportFailure {
    Full(String),
    InvalidArchive(String),
    Missing,
    Temporary(String),
}

impl From<SpoolError> for ImportFailure {
    fn from(error: SpoolError) -> Self {
        match error {
            SpoolError::Full(_) => Self::Full(error.to_string()),
            SpoolError::InvalidArchive(reason) => Self::InvalidArchive(reason),
            SpoolError::Missing => Self::Missing,
            SpoolError::Unavailable(_) => Self::Temporary(error.to_string()),
        }
    }
}

impl From<BlobError> for ImportFailure {
    fn from(error: BlobError) -> Self {
        match error {
            BlobError::Full(_) => Self::Full(error.to_string()),
            BlobError::Unavailable(_) => Self::Temporary(error.to_string()),
        }
    }
}

impl From<StoreError> for ImportFailure {
    fn from(error: StoreError) -> Self {
        Self::Temporary(error.to_string())
    }
}

/// What came of an archive's formats.
#[derive(Default)]
struct ImportedFormats {
    record_ids: Vec<String>,
    errors: Vec<String>,
    notes: Vec<String>,
}

impl Importer {
    /// All formats of an archive, from where they were unpacked to where they belong.
    async fn import_formats(
        &self,
        name: &str,
        found: Vec<UnpackedFormat>,
    ) -> Result<ImportedFormats, ImportFailure> {
        let mut result = ImportedFormats::default();
        let mut good: Vec<(UnpackedFormat, Metadata)> = Vec::new();
        for unpacked in found {
            match parse_format_metadata(name, &unpacked) {
                Ok(metadata) => good.push((unpacked, metadata)),
                Err(reason) => {
                    result.errors.push(format!("{}: {reason}", unpacked.format_id.format))
                }
            }
        }
        if good.is_empty() {
            let nothing = || "there is no recording in it".to_owned();
            let reason = Some(result.errors.join("; ")).filter(|text| !text.is_empty());
            return Err(ImportFailure::InvalidArchive(reason.unwrap_or_else(nothing)));
        }
        // An archive's name has room for one id only.
        let record_id = good[0].0.format_id.record_id.clone();
        if self.import_recording(&record_id, &good).await? {
            result.record_ids.push(record_id.as_str().to_owned());
        } else {
            result.notes.push("the recording was deleted before".to_owned());
        }
        Ok(result)
    }

    /// One recording; false if it was deleted.
    async fn import_recording(
        &self,
        record_id: &RecordId,
        found: &[(UnpackedFormat, Metadata)],
    ) -> Result<bool, ImportFailure> {
        let books: Vec<(RecordingFormatId, Metadata)> =
            found.iter().map(|(one, metadata)| (one.format_id.clone(), metadata.clone())).collect();
        let incoming = incoming::build_incoming(&books, self.rules);
        let before = self.records.find_recording(record_id.as_str()).await?;
        let Some(expected) = merge_recording(before.as_ref(), &incoming.recording) else {
            self.remove_formats(&books).await?;
            return Ok(false);
        };
        let shelf = visibility_of(expected.published);
        for (unpacked, _) in found {
            self.blobs.put_format(&unpacked.dir, &unpacked.format_id, shelf).await?;
        }
        let now = self.clock.now();
        let Some(imported) = self.records.import_recording(&incoming, now).await? else {
            self.remove_formats(&books).await?;
            return Ok(false);
        };
        self.align_visibility(record_id, &books, shelf, visibility_of(imported.recording.published))
            .await
    }

    /// Moves what came until it is where the row says; false if the recording was deleted.
    async fn align_visibility(
        &self,
        record_id: &RecordId,
        books: &[(RecordingFormatId, Metadata)],
        mut at: Visibility,
        mut to: Visibility,
    ) -> Result<bool, ImportFailure> {
        while at != to {
            for (book, _) in books {
                self.blobs.move_format(book, to).await?;
            }
            at = to;
            let row = self.records.find_recording(record_id.as_str()).await?;
            let Some(row) = row.filter(|row| !row.is_deleted()) else {
                self.remove_formats(books).await?;
                return Ok(false);
            };
            to = visibility_of(row.published);
        }
        Ok(true)
    }

    async fn remove_formats(
        &self,
        books: &[(RecordingFormatId, Metadata)],
    ) -> Result<(), ImportFailure> {
        for (book, _) in books {
            self.blobs.remove_format(book, &Visibility::NOT_DELETED).await?;
        }
        Ok(())
    }

    /// Writes down how an import ended.
    async fn record_result(
        &self,
        archive: &ArchiveRecord,
        token: &str,
        stage: ImportStage,
        reason: Option<&str>,
        wait_ms: i64,
    ) -> Result<bool, StoreError> {
        let now = self.clock.now();
        let until = now.plus_ms(wait_ms);
        self.records.record_import_result(&archive.name, token, stage, reason, now, until).await
    }
}

fn visibility_of(published: bool) -> Visibility {
    if published { Visibility::Published } else { Visibility::Unpublished }
}

/// The metadata of a format that belongs into this archive.
fn parse_format_metadata(archive: &str, unpacked: &UnpackedFormat) -> Result<Metadata, String> {
    let bytes = unpacked.metadata.as_ref().map_err(Clone::clone)?;
    let book = &unpacked.format_id;
    let stem = [".tar.gz", ".tgz", ".tar"].iter().find_map(|end| archive.strip_suffix(end));
    let names = [book.record_id.to_string(), format!("{}-{}", book.record_id, book.format)];
    if stem.is_none_or(|stem| !names.iter().any(|name| name == stem)) {
        return Err(format!("{} is not what the archive's name says", book.record_id));
    }
    let metadata = Metadata::read(bytes).map_err(|error| error.to_string())?;
    incoming::check_identity(book, &metadata)?;
    Ok(metadata)
}
