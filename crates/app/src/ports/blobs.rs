//! The files of recordings, in directories or in an object store.

use std::path::Path;
use std::time::SystemTime;

use async_trait::async_trait;
use bytes::Bytes;
use domain::recording::{FilePath, RecordingFormatId};
use futures_util::stream::BoxStream;

/// Where the files of a format are stored, which determines who may see them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Visibility {
    /// Files of published recordings: `RECORDING_PUBLISH_DIR`, or `published/`.
    Published,
    /// Files of unpublished recordings: `RECORDING_UNPUBLISH_DIR`, or `unpublished/`.
    Unpublished,
    /// Files of deleted recordings that can still be restored: `RECORDING_TRASH_DIR`, or
    /// `deleted/`.
    Trash,
}

impl Visibility {
    /// The values for recordings that are not deleted.
    pub const NOT_DELETED: [Self; 2] = [Self::Published, Self::Unpublished];
    /// All values.
    pub const ALL: [Self; 3] = [Self::Published, Self::Unpublished, Self::Trash];

    /// Returns all values but this one.
    pub fn other_values(self) -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(move |visibility| *visibility != self)
    }
}

/// Why files cannot be read or written. The texts contain no secrets.
#[derive(Clone, Debug, thiserror::Error)]
pub enum BlobError {
    /// No space is left. The same call may succeed once space is freed.
    #[error("no space left: {0}")]
    Full(String),
    /// Any other error. The same call may succeed later.
    #[error("files: {0}")]
    Unavailable(String),
}

/// The outcome of [`Blobs::move_format`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MoveOutcome {
    /// The files have the target visibility now. Before, some or all of them had another one.
    Moved,
    /// The files had the target visibility already, and no other one.
    AlreadyThere,
    /// The format has no files.
    Missing,
}

/// A range of bytes within a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ByteSpan {
    /// The first byte.
    pub start: u64,
    /// The byte after the last one.
    pub end: u64,
}

/// Metadata of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlobInfo {
    /// The size in bytes.
    pub size: u64,
    /// When the file was last modified, to the second.
    pub modified_at: Option<SystemTime>,
    /// A value that changes when the file changes, without quotes.
    pub etag: String,
}

/// The bytes of a file or of a part of it, in chunks. The stream ends after an error.
pub type BlobBytes = BoxStream<'static, Result<Bytes, BlobError>>;

/// Stores the files of recordings. The unit is a playback format: a format with a visibility is a
/// directory of files.
///
/// Every method may be repeated after a crash, and then leads to the same result. If two callers
/// move a format at the same time, no files are lost: afterwards the format is complete at one of
/// the two targets.
#[async_trait]
pub trait Blobs: Send + Sync {
    /// Stores all files of a local directory as a format that is published or unpublished (one of
    /// [`Visibility::NOT_DELETED`]), and removes the files that the format had with either of
    /// these. Files in the trash stay. Readers see all of the new files or none of them. The local
    /// directory may be gone afterwards.
    ///
    /// # Errors
    /// [`BlobError::Full`] without space; [`BlobError::Unavailable`] otherwise.
    async fn put_format(
        &self,
        from: &Path,
        format_id: &RecordingFormatId,
        visibility: Visibility,
    ) -> Result<(), BlobError>;

    /// Moves the files of a format to a visibility. If the format has files there already, these
    /// stay, and the ones with other visibilities are removed.
    ///
    /// # Errors
    /// [`BlobError::Full`] without space; [`BlobError::Unavailable`] otherwise. A format without
    /// files is no error but [`MoveOutcome::Missing`].
    async fn move_format(
        &self,
        format_id: &RecordingFormatId,
        visibility: Visibility,
    ) -> Result<MoveOutcome, BlobError>;

    /// Removes the files that a format has with these visibilities; false if it has none.
    ///
    /// # Errors
    /// When files cannot be removed.
    async fn remove_format(
        &self,
        format_id: &RecordingFormatId,
        from: &[Visibility],
    ) -> Result<bool, BlobError>;

    /// Returns the visibilities with which a format has files, in the order of [`Visibility::ALL`].
    /// More than one is possible while files are moved, and after a crash.
    ///
    /// # Errors
    /// When the files cannot be listed.
    async fn locate_format(
        &self,
        format_id: &RecordingFormatId,
    ) -> Result<Vec<Visibility>, BlobError>;

    /// Lists the formats with this visibility, in the order of their ids, after `after`, `limit` at
    /// most. Entries whose names are invalid are left out.
    ///
    /// # Errors
    /// When the files cannot be listed.
    async fn list_formats(
        &self,
        visibility: Visibility,
        after: Option<&RecordingFormatId>,
        limit: usize,
    ) -> Result<Vec<RecordingFormatId>, BlobError>;

    /// Lists the files of a format and their sizes in bytes, in the order of their paths, `limit`
    /// at most. The list is empty if the format does not have this visibility.
    ///
    /// # Errors
    /// When the files cannot be listed.
    async fn list_files(
        &self,
        format_id: &RecordingFormatId,
        visibility: Visibility,
        limit: usize,
    ) -> Result<Vec<(FilePath, u64)>, BlobError>;

    /// Returns the metadata of a file; `None` if there is no such file. Only regular files exist:
    /// directories count as missing, and so do links that an administrator has not allowed.
    ///
    /// # Errors
    /// When the file cannot be read.
    async fn read_file_info(
        &self,
        format_id: &RecordingFormatId,
        visibility: Visibility,
        path: &FilePath,
    ) -> Result<Option<BlobInfo>, BlobError>;

    /// Opens a file and returns its metadata and its bytes, either all of them or a span, which
    /// must lie within the file. `None` if there is no such file, as in [`Blobs::read_file_info`].
    ///
    /// # Errors
    /// When the file cannot be read. An error while the bytes are read ends the stream.
    async fn open_file(
        &self,
        format_id: &RecordingFormatId,
        visibility: Visibility,
        path: &FilePath,
        span: Option<ByteSpan>,
    ) -> Result<Option<(BlobInfo, BlobBytes)>, BlobError>;

    /// Writes one file of a format that has this visibility, or replaces it. Readers see the old
    /// content or the new one.
    ///
    /// # Errors
    /// [`BlobError::Full`] without space; [`BlobError::Unavailable`] otherwise, and if the format
    /// does not have this visibility.
    async fn write_file(
        &self,
        format_id: &RecordingFormatId,
        visibility: Visibility,
        path: &FilePath,
        content: Bytes,
    ) -> Result<(), BlobError>;

    /// Lists symbolic links in the directories of recordings that are not followed, a hundred at
    /// most: a text for each. There are none in an object store.
    ///
    /// # Errors
    /// When the directories cannot be listed.
    async fn list_refused_links(&self) -> Result<Vec<String>, BlobError> {
        Ok(Vec::new())
    }

    /// Checks that files can be written now.
    ///
    /// # Errors
    /// When they cannot.
    async fn check_blobs(&self) -> Result<(), BlobError>;
}
