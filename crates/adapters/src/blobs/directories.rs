//! Files of recordings in directories, with the original's layout: `<directory>/<format>/<record_id>/…`, and one
//! directory for each visibility.
//!
//! Each of these directories has a hidden staging area for formats that are being copied or removed, so that a format
//! appears and disappears in one step. Staging directories that a crash leaves behind are removed a day later.
//!
//! Moves and removals of one recording exclude each other within this process. Between processes a claim in the store
//! does that ([`app::recordings::claimed_blobs`]). Without it, a process could remove as an old copy what another process
//! has just installed.

mod file_reader;
mod listing;
mod places;
mod staging;
mod visibility_dirs;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use app::blocking::{BlockingError, RECORDING_CHANGES, RECORDING_READS};
use app::ports::{
    BlobBytes, BlobError, BlobInfo, Blobs, ByteSpan, MoveOutcome, RecordingFormatId, Visibility,
};
use async_trait::async_trait;
use bytes::Bytes;
use domain::recording::FilePath;

use self::file_reader::stream_file;
use self::visibility_dirs::VisibilityDirs;
use crate::directory_marks::{DirectoryMarks, check_guard};

/// Stores files of recordings in one directory for each visibility.
#[derive(Clone, Debug)]
pub struct DirectoryBlobs {
    dirs: Arc<VisibilityDirs>,
    /// Says whether the directories may be changed.
    marks: Option<Arc<DirectoryMarks>>,
}

impl DirectoryBlobs {
    /// Creates a store on the directories of `RECORDING_PUBLISH_DIR`, `RECORDING_UNPUBLISH_DIR` and
    /// `RECORDING_TRASH_DIR`. A missing directory is created when the first format is stored there.
    #[must_use]
    pub fn new(published: PathBuf, unpublished: PathBuf, trash: PathBuf) -> Self {
        Self::with_link_roots(published, unpublished, trash, Vec::new())
    }

    /// Creates a store that follows symbolic links to what lies below the directories of `RECORDING_LINK_ROOTS`.
    #[must_use]
    pub fn with_link_roots(
        published: PathBuf,
        unpublished: PathBuf,
        trash: PathBuf,
        link_roots: Vec<PathBuf>,
    ) -> Self {
        let dirs = VisibilityDirs::new(published, unpublished, trash, link_roots);
        Self { dirs: Arc::new(dirs), marks: None }
    }

    /// Changes nothing while directories that are marked are missing or not mounted.
    #[must_use]
    pub fn guarded_by(self, marks: Arc<DirectoryMarks>) -> Self {
        Self { marks: Some(marks), ..self }
    }

    /// Runs `work` on a thread for changes, however long it takes.
    async fn run_blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&VisibilityDirs) -> io::Result<T> + Send + 'static,
    ) -> Result<T, BlobError> {
        let (dirs, marks) = (Arc::clone(&self.dirs), self.marks.clone());
        let guarded = move || check_guard(marks.as_ref()).and_then(|()| work(&dirs));
        let result = RECORDING_CHANGES.run(guarded).await;
        result.map_err(thread_error)?.map_err(|error| blob_error(&error))
    }

    /// Runs `work` on a thread for reads. It fails if the file system does not answer in time.
    async fn read_within<T: Send + 'static>(
        &self,
        work: impl FnOnce(&VisibilityDirs) -> io::Result<T> + Send + 'static,
    ) -> Result<T, BlobError> {
        let dirs = Arc::clone(&self.dirs);
        let result = RECORDING_READS.run_within(move || work(&dirs)).await;
        result.map_err(thread_error)?.map_err(|error| blob_error(&error))
    }
}

#[async_trait]
impl Blobs for DirectoryBlobs {
    async fn put_format(
        &self,
        from: &Path,
        format_id: &RecordingFormatId,
        visibility: Visibility,
    ) -> Result<(), BlobError> {
        let (from, format_id) = (from.to_owned(), format_id.clone());
        self.run_blocking(move |dirs| dirs.put_format(&from, &format_id, visibility)).await
    }

    async fn move_format(
        &self,
        format_id: &RecordingFormatId,
        visibility: Visibility,
    ) -> Result<MoveOutcome, BlobError> {
        let format_id = format_id.clone();
        self.run_blocking(move |dirs| dirs.move_format(&format_id, visibility)).await
    }

    async fn remove_format(
        &self,
        format_id: &RecordingFormatId,
        from: &[Visibility],
    ) -> Result<bool, BlobError> {
        let (format_id, from) = (format_id.clone(), from.to_vec());
        self.run_blocking(move |dirs| dirs.remove_format(&format_id, &from)).await
    }

    async fn locate_format(
        &self,
        format_id: &RecordingFormatId,
    ) -> Result<Vec<Visibility>, BlobError> {
        let format_id = format_id.clone();
        self.read_within(move |dirs| dirs.locate_format(&format_id)).await
    }

    async fn list_formats(
        &self,
        visibility: Visibility,
        after: Option<&RecordingFormatId>,
        limit: usize,
    ) -> Result<Vec<RecordingFormatId>, BlobError> {
        let after = after.cloned();
        self.run_blocking(move |dirs| dirs.list_formats(visibility, after.as_ref(), limit)).await
    }

    async fn list_files(
        &self,
        format_id: &RecordingFormatId,
        visibility: Visibility,
        limit: usize,
    ) -> Result<Vec<(FilePath, u64)>, BlobError> {
        let format_id = format_id.clone();
        self.read_within(move |dirs| dirs.list_files(&format_id, visibility, limit)).await
    }

    async fn read_file_info(
        &self,
        format_id: &RecordingFormatId,
        visibility: Visibility,
        path: &FilePath,
    ) -> Result<Option<BlobInfo>, BlobError> {
        let (format_id, path) = (format_id.clone(), path.clone());
        self.read_within(move |dirs| {
            Ok(dirs.open_file(&format_id, visibility, &path)?.map(|(_, info)| info))
        })
        .await
    }

    async fn open_file(
        &self,
        format_id: &RecordingFormatId,
        visibility: Visibility,
        path: &FilePath,
        span: Option<ByteSpan>,
    ) -> Result<Option<(BlobInfo, BlobBytes)>, BlobError> {
        let (format_id, path) = (format_id.clone(), path.clone());
        let opened =
            self.read_within(move |dirs| dirs.open_file(&format_id, visibility, &path)).await?;
        Ok(opened.map(|(file, info)| {
            let span = span.unwrap_or(ByteSpan { start: 0, end: info.size });
            (info, stream_file(file, span))
        }))
    }

    async fn write_file(
        &self,
        format_id: &RecordingFormatId,
        visibility: Visibility,
        path: &FilePath,
        content: Bytes,
    ) -> Result<(), BlobError> {
        let (format_id, path) = (format_id.clone(), path.clone());
        self.run_blocking(move |dirs| dirs.write_file(&format_id, visibility, &path, &content))
            .await
    }

    async fn list_refused_links(&self) -> Result<Vec<String>, BlobError> {
        self.run_blocking(VisibilityDirs::list_refused_links).await
    }

    async fn check_blobs(&self) -> Result<(), BlobError> {
        self.read_within(VisibilityDirs::check_dirs).await
    }
}

/// The error of work that got no thread, or was not done in time.
fn thread_error(error: BlockingError) -> BlobError {
    BlobError::Unavailable(error.to_string())
}

fn blob_error(error: &io::Error) -> BlobError {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            BlobError::Full(error.to_string())
        }
        _ => BlobError::Unavailable(error.to_string()),
    }
}

#[cfg(test)]
mod tests;
