//! Files of recordings in directories, as the original keeps them: `<shelf>/<format>/<record_id>/…`.
//!
//! Each shelf has a hidden workshop, where books lie that are being copied or removed: on the shelf itself a
//! book appears and disappears in one step. What a crash leaves in a workshop is swept out a day later.
//!
//! Who moves or removes a book holds a lock on its recording, for all processes: otherwise one might take away as the old
//! copy what the other has just put there.

mod file_reader;
mod staging;

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use app::ports::{
    BlobBytes, BlobError, BlobInfo, Blobs, ByteSpan, MoveOutcome, RecordingFormatId, Visibility,
};
use async_trait::async_trait;
use bytes::Bytes;
use domain::recording::{FilePath, FormatName, RecordId};

use self::file_reader::{blob_info, stream_file};
use self::staging::StagingDir;
use crate::confined_dir::ConfinedDir;

/// So many recordings can be moved at a time without waiting for each other, unless by chance.
const LOCK_COUNT: usize = 256;

/// A directory for each shelf.
#[derive(Clone, Debug)]
pub struct DirectoryBlobs {
    dirs: Arc<VisibilityDirs>,
}

#[derive(Debug)]
struct VisibilityDirs {
    published: PathBuf,
    unpublished: PathBuf,
    trash: PathBuf,
}

impl DirectoryBlobs {
    /// Files in `RECORDING_PUBLISH_DIR`, `RECORDING_UNPUBLISH_DIR` and `RECORDING_TRASH_DIR`, which are made
    /// when something is put there.
    #[must_use]
    pub fn new(published: PathBuf, unpublished: PathBuf, deleted: PathBuf) -> Self {
        Self { dirs: Arc::new(VisibilityDirs { published, unpublished, trash: deleted }) }
    }

    /// Waits for disks on a thread that may.
    async fn run_blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&VisibilityDirs) -> io::Result<T> + Send + 'static,
    ) -> Result<T, BlobError> {
        let roots = Arc::clone(&self.dirs);
        match tokio::task::spawn_blocking(move || work(&roots)).await {
            Ok(done) => done.map_err(|error| blob_error(&error)),
            Err(broken) => Err(BlobError::Unavailable(broken.to_string())),
        }
    }
}

#[async_trait]
impl Blobs for DirectoryBlobs {
    async fn put_format(
        &self,
        from: &Path,
        book: &RecordingFormatId,
        shelf: Visibility,
    ) -> Result<(), BlobError> {
        let (from, book) = (from.to_owned(), book.clone());
        self.run_blocking(move |roots| roots.put_format(&from, &book, shelf)).await
    }

    async fn move_format(
        &self,
        book: &RecordingFormatId,
        shelf: Visibility,
    ) -> Result<MoveOutcome, BlobError> {
        let book = book.clone();
        self.run_blocking(move |roots| roots.move_format(&book, shelf)).await
    }

    async fn remove_format(
        &self,
        book: &RecordingFormatId,
        from: &[Visibility],
    ) -> Result<bool, BlobError> {
        let (book, from) = (book.clone(), from.to_vec());
        self.run_blocking(move |roots| roots.remove_format(&book, &from)).await
    }

    async fn locate_format(&self, book: &RecordingFormatId) -> Result<Vec<Visibility>, BlobError> {
        let book = book.clone();
        self.run_blocking(move |roots| roots.locate_format(&book)).await
    }

    async fn list_formats(
        &self,
        shelf: Visibility,
        after: Option<&RecordingFormatId>,
        limit: usize,
    ) -> Result<Vec<RecordingFormatId>, BlobError> {
        let after = after.cloned();
        self.run_blocking(move |roots| roots.list_formats(shelf, after.as_ref(), limit)).await
    }

    async fn list_files(
        &self,
        book: &RecordingFormatId,
        shelf: Visibility,
        limit: usize,
    ) -> Result<Vec<(FilePath, u64)>, BlobError> {
        let book = book.clone();
        self.run_blocking(move |roots| roots.list_files(&book, shelf, limit)).await
    }

    async fn read_file_info(
        &self,
        book: &RecordingFormatId,
        shelf: Visibility,
        path: &FilePath,
    ) -> Result<Option<BlobInfo>, BlobError> {
        let (book, path) = (book.clone(), path.clone());
        self.run_blocking(move |roots| {
            Ok(roots.open_file(&book, shelf, &path)?.map(|(_, info)| info))
        })
        .await
    }

    async fn open_file(
        &self,
        book: &RecordingFormatId,
        shelf: Visibility,
        path: &FilePath,
        span: Option<ByteSpan>,
    ) -> Result<Option<(BlobInfo, BlobBytes)>, BlobError> {
        let (book, path) = (book.clone(), path.clone());
        let found = self.run_blocking(move |roots| roots.open_file(&book, shelf, &path)).await?;
        Ok(found.map(|(file, info)| {
            let span = span.unwrap_or(ByteSpan { start: 0, end: info.size });
            (info, stream_file(file, span))
        }))
    }

    async fn write_file(
        &self,
        book: &RecordingFormatId,
        shelf: Visibility,
        path: &FilePath,
        content: Bytes,
    ) -> Result<(), BlobError> {
        let (book, path) = (book.clone(), path.clone());
        self.run_blocking(move |roots| roots.write_file(&book, shelf, &path, &content)).await
    }

    async fn check_blobs(&self) -> Result<(), BlobError> {
        self.run_blocking(|roots| {
            for shelf in Visibility::NOT_DELETED {
                let bench = StagingDir::new(&roots.make_dir(shelf)?)?;
                bench.stage_file(b"")?;
            }
            Ok(())
        })
        .await
    }
}

impl VisibilityDirs {
    fn dir_path(&self, shelf: Visibility) -> &Path {
        match shelf {
            Visibility::Published => &self.published,
            Visibility::Unpublished => &self.unpublished,
            Visibility::Trash => &self.trash,
        }
    }

    /// A shelf, if it is there.
    fn open_dir(&self, shelf: Visibility) -> io::Result<Option<ConfinedDir>> {
        match ConfinedDir::open(self.dir_path(shelf)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            opened => opened.map(Some),
        }
    }

    /// A shelf, made if it is not there.
    fn make_dir(&self, shelf: Visibility) -> io::Result<ConfinedDir> {
        std::fs::create_dir_all(self.dir_path(shelf))?;
        ConfinedDir::open(self.dir_path(shelf))
    }

    /// The directory of a format, and the book in it.
    fn open_format(
        &self,
        book: &RecordingFormatId,
        shelf: Visibility,
    ) -> io::Result<Option<(ConfinedDir, ConfinedDir)>> {
        let Some(root) = self.open_dir(shelf)? else { return Ok(None) };
        let Some(format) = root.open_dir(book.format.as_str())? else { return Ok(None) };
        Ok(format.open_dir(book.record_id.as_str())?.map(|found| (format, found)))
    }

    /// Nobody else moves or removes books of the recording as long as this is held, in any process.
    fn lock_recording(&self, book: &RecordingFormatId) -> io::Result<File> {
        staging::acquire_lock(
            &self.make_dir(Visibility::Published)?,
            super::lock_number(book, LOCK_COUNT),
        )
    }

    /// Whether there is no shelf yet at all.
    fn is_uninitialized(&self) -> bool {
        Visibility::ALL.into_iter().all(|shelf| !self.dir_path(shelf).exists())
    }

    fn locate_format(&self, book: &RecordingFormatId) -> io::Result<Vec<Visibility>> {
        let found = self.scan_visibilities(book)?;
        if !found.is_empty() || self.is_uninitialized() {
            return Ok(found);
        }
        // Nothing, or somebody has it on his bench.
        let _lock = self.lock_recording(book)?;
        self.scan_visibilities(book)
    }

    fn scan_visibilities(&self, book: &RecordingFormatId) -> io::Result<Vec<Visibility>> {
        let mut found = Vec::new();
        for shelf in Visibility::ALL {
            if self.open_format(book, shelf)?.is_some() {
                found.push(shelf);
            }
        }
        Ok(found)
    }

    fn put_format(
        &self,
        from: &Path,
        book: &RecordingFormatId,
        shelf: Visibility,
    ) -> io::Result<()> {
        let strange =
            || io::Error::new(io::ErrorKind::InvalidInput, "no directory to take it from");
        let name = from.file_name().and_then(OsStr::to_str).ok_or_else(strange)?;
        let above = ConfinedDir::open(from.parent().ok_or_else(strange)?)?;
        let root = self.make_dir(shelf)?;
        let bench = StagingDir::new(&root)?;
        bench.stage_dir(&above, name)?;
        let _lock = self.lock_recording(book)?;
        bench.install_format(&root, book)?;
        for other in Visibility::NOT_DELETED.into_iter().filter(|other| *other != shelf) {
            self.remove_from(book, other)?;
        }
        Ok(())
    }

    fn move_format(&self, book: &RecordingFormatId, shelf: Visibility) -> io::Result<MoveOutcome> {
        if self.is_uninitialized() {
            return Ok(MoveOutcome::Missing);
        }
        let _lock = self.lock_recording(book)?;
        let mut there = self.open_format(book, shelf)?.is_some();
        let mut moved = if there { MoveOutcome::AlreadyThere } else { MoveOutcome::Missing };
        for other in shelf.other_values() {
            let Some((format, _)) = self.open_format(book, other)? else { continue };
            if !there {
                self.move_or_copy(&format, book, shelf)?;
                there = true;
            }
            // Nothing is left here if it could be moved in one step.
            self.remove_from(book, other)?;
            moved = MoveOutcome::Moved;
        }
        Ok(moved)
    }

    /// Moves a book to a shelf where it is not: in one step, so that it is always on one of the two. Or copies it, to
    /// another file system.
    fn move_or_copy(
        &self,
        from: &ConfinedDir,
        book: &RecordingFormatId,
        shelf: Visibility,
    ) -> io::Result<()> {
        let (root, name) = (self.make_dir(shelf)?, book.record_id.as_str());
        let format = root.make_dir(book.format.as_str())?;
        match from.rename(name, &format, name) {
            Ok(()) => {
                format.sync()?;
                root.sync()?;
                from.sync()
            }
            Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {
                let bench = StagingDir::new(&root)?;
                bench.stage_dir(from, name)?;
                bench.install_format(&root, book)
            }
            Err(error) => Err(error),
        }
    }

    fn remove_format(&self, book: &RecordingFormatId, from: &[Visibility]) -> io::Result<bool> {
        if self.is_uninitialized() {
            return Ok(false);
        }
        let _lock = self.lock_recording(book)?;
        let mut found = false;
        for shelf in from {
            found |= self.remove_from(book, *shelf)?;
        }
        Ok(found)
    }

    /// Removes a book from a shelf: in one step for those who look, then its files.
    fn remove_from(&self, book: &RecordingFormatId, shelf: Visibility) -> io::Result<bool> {
        let Some((format, _)) = self.open_format(book, shelf)? else { return Ok(false) };
        let bench = StagingDir::new(&self.make_dir(shelf)?)?;
        bench.stage_removal(&format, book.record_id.as_str())?;
        format.sync()?;
        Ok(true)
    }

    fn list_formats(
        &self,
        shelf: Visibility,
        after: Option<&RecordingFormatId>,
        limit: usize,
    ) -> io::Result<Vec<RecordingFormatId>> {
        let mut found = Vec::new();
        let Some(root) = self.open_dir(shelf)? else { return Ok(found) };
        for name in root.names()? {
            let Some(format) = name.to_str().and_then(FormatName::parse) else { continue };
            if after.is_some_and(|after| format < after.format) {
                continue;
            }
            let Some(dir) = root.open_dir(&name)? else { continue };
            for name in dir.names()? {
                let Some(record_id) = name.to_str().and_then(RecordId::parse) else { continue };
                let book = RecordingFormatId { format: format.clone(), record_id };
                if after.is_some_and(|after| book <= *after) || dir.open_dir(&name)?.is_none() {
                    continue;
                }
                if found.len() >= limit {
                    return Ok(found);
                }
                found.push(book);
            }
        }
        Ok(found)
    }

    fn list_files(
        &self,
        book: &RecordingFormatId,
        shelf: Visibility,
        limit: usize,
    ) -> io::Result<Vec<(FilePath, u64)>> {
        let mut found = Vec::new();
        if let Some((_, dir)) = self.open_format(book, shelf)? {
            dir.walk(&mut |path, size| {
                found.extend(FilePath::parse(path).map(|path| (path, size)));
            })?;
        }
        found.sort_unstable();
        found.truncate(limit);
        Ok(found)
    }

    fn open_file(
        &self,
        book: &RecordingFormatId,
        shelf: Visibility,
        path: &FilePath,
    ) -> io::Result<Option<(File, BlobInfo)>> {
        let Some((_, mut dir)) = self.open_format(book, shelf)? else { return Ok(None) };
        let (above, name) = split_path(path);
        for part in above {
            let Some(next) = dir.open_dir(part)? else { return Ok(None) };
            dir = next;
        }
        Ok(dir.open_file(name)?.map(|(file, stat)| (file, blob_info(&stat))))
    }

    fn write_file(
        &self,
        book: &RecordingFormatId,
        shelf: Visibility,
        path: &FilePath,
        content: &[u8],
    ) -> io::Result<()> {
        let gone = || io::Error::new(io::ErrorKind::NotFound, "the recording is not there");
        let (_, mut dir) = self.open_format(book, shelf)?.ok_or_else(gone)?;
        let (above, name) = split_path(path);
        for part in above {
            dir = dir.make_dir(part)?;
        }
        let bench = StagingDir::new(&self.make_dir(shelf)?)?;
        bench.stage_file(content)?;
        bench.install_file(&dir, name)?;
        dir.sync()
    }
}

/// The directories of a path, and the name in the last of them.
fn split_path(path: &FilePath) -> (Vec<&str>, &str) {
    let mut above: Vec<&str> = path.as_str().split('/').collect();
    let name = above.pop().unwrap_or_default();
    (above, name)
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
