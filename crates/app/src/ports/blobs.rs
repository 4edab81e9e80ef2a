//! The files of recordings, wherever they lie: in directories or in a store of objects.

use std::path::Path;
use std::time::SystemTime;

use async_trait::async_trait;
use bytes::Bytes;
use domain::recording::{FilePath, RecordingFormatId};
use futures_util::stream::BoxStream;

/// Where files are: whether they can be watched by anybody who may watch the recording, or brought back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Visibility {
    /// `RECORDING_PUBLISH_DIR`, or `published/`.
    Published,
    /// `RECORDING_UNPUBLISH_DIR`, or `unpublished/`.
    Unpublished,
    /// `RECORDING_TRASH_DIR`, or `deleted/`: of recordings that are deleted and can still be brought back.
    Trash,
}

impl Visibility {
    /// Those of recordings that are there.
    pub const NOT_DELETED: [Self; 2] = [Self::Published, Self::Unpublished];
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Published, Self::Unpublished, Self::Trash];

    /// All but this one.
    pub fn other_values(self) -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(move |shelf| *shelf != self)
    }
}

/// Why files cannot be had. No text holds secrets.
#[derive(Clone, Debug, thiserror::Error)]
pub enum BlobError {
    /// There is no room left: it may pass when somebody makes some.
    #[error("no space left: {0}")]
    Full(String),
    /// Anything else; it may pass.
    #[error("files: {0}")]
    Unavailable(String),
}

/// What was moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MoveOutcome {
    /// It is there now; it was on another shelf, or on several.
    Moved,
    /// It was there already, and nowhere else.
    AlreadyThere,
    /// It is on no shelf.
    Missing,
}

/// A part of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ByteSpan {
    /// The first byte.
    pub start: u64,
    /// The byte after the last one.
    pub end: u64,
}

/// What is known of a file without reading it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlobInfo {
    /// Bytes.
    pub size: u64,
    /// When it was changed last, to the second.
    pub modified_at: Option<SystemTime>,
    /// Changes when the file does; without quotes.
    pub etag: String,
}

/// The bytes of a file, or of a part of it, in pieces. After an error there is nothing more.
pub type BlobBytes = BoxStream<'static, Result<Bytes, BlobError>>;

/// Files of recordings. Every method may be repeated after a crash, and then leads to the same end. Who moves a format
/// while somebody else does, too, loses nothing: afterwards it is whole where one of the two wanted it.
#[async_trait]
pub trait Blobs: Send + Sync {
    /// Puts all files of a local directory on a shelf of [`Visibility::NOT_DELETED`], in place of what is on any of those under
    /// that name: nobody ever sees a part of them on the shelf. The directory may be gone afterwards.
    async fn put_format(
        &self,
        from: &Path,
        book: &RecordingFormatId,
        shelf: Visibility,
    ) -> Result<(), BlobError>;

    /// Moves a format to a shelf. If it is there and elsewhere, what is on the target stays and the others
    /// are removed.
    async fn move_format(
        &self,
        book: &RecordingFormatId,
        shelf: Visibility,
    ) -> Result<MoveOutcome, BlobError>;

    /// Removes a format from these shelves; false if it was on none of them.
    async fn remove_format(
        &self,
        book: &RecordingFormatId,
        from: &[Visibility],
    ) -> Result<bool, BlobError>;

    /// Where a format is.
    async fn locate_format(&self, book: &RecordingFormatId) -> Result<Vec<Visibility>, BlobError>;

    /// All formats of all recordings, in the order of formats, then of records, beginning after `after`.
    /// Names that are none are left out.
    async fn list_formats(
        &self,
        shelf: Visibility,
        after: Option<&RecordingFormatId>,
        limit: usize,
    ) -> Result<Vec<RecordingFormatId>, BlobError>;

    /// The files of a format, in the order of their paths, so many at most.
    async fn list_files(
        &self,
        book: &RecordingFormatId,
        shelf: Visibility,
        limit: usize,
    ) -> Result<Vec<(FilePath, u64)>, BlobError>;

    /// A file; `None` if there is none. Only regular files are: no links, no directories.
    async fn read_file_info(
        &self,
        book: &RecordingFormatId,
        shelf: Visibility,
        path: &FilePath,
    ) -> Result<Option<BlobInfo>, BlobError>;

    /// A file's bytes, all or a part that lies within it; `None` if there is none.
    async fn open_file(
        &self,
        book: &RecordingFormatId,
        shelf: Visibility,
        path: &FilePath,
        span: Option<ByteSpan>,
    ) -> Result<Option<(BlobInfo, BlobBytes)>, BlobError>;

    /// Writes one file on a shelf where its format is, at once and whole: captions that were uploaded.
    async fn write_file(
        &self,
        book: &RecordingFormatId,
        shelf: Visibility,
        path: &FilePath,
        content: Bytes,
    ) -> Result<(), BlobError>;

    /// Whether files can be written now.
    async fn check_blobs(&self) -> Result<(), BlobError>;
}
