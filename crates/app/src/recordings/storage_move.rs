//! Moves the files of all recordings to another storage while they are served: copies and verifies
//! format by format, and removes at the source only what is verified and not served any more.

use async_trait::async_trait;
use domain::recording::RecordingFormatId;

use crate::ports::{BlobError, Blobs, Visibility};

/// Number of stored formats that are listed at once.
const PAGE_SIZE: usize = 500;
/// Maximum number of files of a format.
const MAX_FILES: usize = 1_000_000;
/// How often a format is copied that changes meanwhile.
const MAX_ATTEMPTS: u32 = 3;

/// Copies the files of one format from one storage to another.
#[async_trait]
pub trait FormatCopier: Send + Sync {
    /// Copies all files of a format that has this visibility. What the target had of the format is
    /// replaced.
    ///
    /// # Errors
    /// When files cannot be read or written.
    async fn copy_format(
        &self,
        format_id: &RecordingFormatId,
        visibility: Visibility,
    ) -> Result<(), BlobError>;
}

/// The two storages.
pub struct StorageMove<'a> {
    /// Where the files are.
    pub source: &'a dyn Blobs,
    /// Where they are to be.
    pub target: &'a dyn Blobs,
    /// Copies from the one to the other.
    pub copier: &'a dyn FormatCopier,
    /// Whether files are removed from the source once their copies are verified.
    pub remove_source: bool,
}

/// What became of the formats.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MoveCounts {
    /// Formats at the source.
    pub found: u64,
    /// Formats that the target had already, with the same files.
    pub unchanged: u64,
    /// Formats that were copied and verified.
    pub copied: u64,
    /// Formats that were removed from the source.
    pub removed: u64,
    /// Formats that could not be copied.
    pub failed: u64,
}

impl StorageMove<'_> {
    /// Copies all formats. `report` is called for each that fails, and `progress` after each format.
    /// It may be interrupted and repeated: what is at the target already is only compared.
    ///
    /// # Errors
    /// When the files of one of the storages cannot be listed.
    pub async fn run(
        &self,
        mut report: impl FnMut(&RecordingFormatId, &str),
        mut progress: impl FnMut(&MoveCounts),
    ) -> Result<MoveCounts, BlobError> {
        let mut counts = MoveCounts::default();
        for visibility in Visibility::ALL {
            let mut after = None::<RecordingFormatId>;
            loop {
                let page = self.source.list_formats(visibility, after.as_ref(), PAGE_SIZE).await?;
                let Some(last) = page.last() else { break };
                after = Some(last.clone());
                for format_id in &page {
                    counts.found += 1;
                    match self.move_format(format_id, visibility, &mut counts).await {
                        Ok(()) => {}
                        Err(BlobError::Full(reason)) => return Err(BlobError::Full(reason)),
                        Err(error) => {
                            counts.failed += 1;
                            report(format_id, &error.to_string());
                        }
                    }
                    progress(&counts);
                }
            }
        }
        Ok(counts)
    }

    async fn move_format(
        &self,
        format_id: &RecordingFormatId,
        visibility: Visibility,
        counts: &mut MoveCounts,
    ) -> Result<(), BlobError> {
        let mut is_equal = self.is_copied(format_id, visibility).await?;
        if is_equal {
            counts.unchanged += 1;
        }
        for _ in 0..MAX_ATTEMPTS {
            if is_equal {
                break;
            }
            // Somebody may have moved the format since it was listed: then its new place counts.
            if !self.source.locate_format(format_id).await?.contains(&visibility) {
                return Ok(());
            }
            self.copier.copy_format(format_id, visibility).await?;
            is_equal = self.is_copied(format_id, visibility).await?;
            counts.copied += u64::from(is_equal);
        }
        if !is_equal {
            let reason = "its files keep changing, or were not copied completely".to_owned();
            return Err(BlobError::Unavailable(reason));
        }
        if self.remove_source {
            self.source.remove_format(format_id, &[visibility]).await?;
            counts.removed += 1;
        }
        Ok(())
    }

    /// Whether the target has the same files as the source, by their paths and sizes.
    async fn is_copied(
        &self,
        format_id: &RecordingFormatId,
        visibility: Visibility,
    ) -> Result<bool, BlobError> {
        let copied = self.target.list_files(format_id, visibility, MAX_FILES).await?;
        if copied.is_empty() {
            return Ok(false);
        }
        Ok(copied == self.source.list_files(format_id, visibility, MAX_FILES).await?)
    }
}

#[cfg(test)]
mod tests;
