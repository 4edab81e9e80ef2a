//! Files of recordings in a map.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use domain::recording::{FilePath, RecordingFormatId};
use futures_util::{FutureExt as _, StreamExt as _, stream};

use crate::ports::{BlobBytes, BlobError, BlobInfo, Blobs, ByteSpan, MoveOutcome, Visibility};

type FileMap = BTreeMap<FilePath, Bytes>;

/// The reference implementation of [`Blobs`].
#[derive(Default)]
pub struct MemoryBlobs {
    formats: Mutex<BTreeMap<(Visibility, RecordingFormatId), FileMap>>,
}

impl MemoryBlobs {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<(Visibility, RecordingFormatId), FileMap>> {
        self.formats.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts files on a shelf, in place of what is there.
    pub fn insert_files(
        &self,
        book: &RecordingFormatId,
        shelf: Visibility,
        files: impl IntoIterator<Item = (FilePath, Bytes)>,
    ) {
        self.lock().insert((shelf, book.clone()), files.into_iter().collect());
    }
}

/// The regular files below a directory.
fn read_files(dir: &Path, above: &str, files: &mut FileMap) -> std::io::Result<()> {
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        let name = format!("{above}{}", entry.file_name().to_string_lossy());
        if entry.file_type()?.is_dir() {
            read_files(&entry.path(), &format!("{name}/"), files)?;
        } else if let (true, Some(path)) = (entry.file_type()?.is_file(), FilePath::parse(&name)) {
            files.insert(path, std::fs::read(entry.path())?.into());
        }
    }
    Ok(())
}

fn blob_info(content: &Bytes) -> BlobInfo {
    let sum = content.iter().fold(0_u64, |sum, byte| sum.wrapping_mul(31) + u64::from(*byte));
    let size = u64::try_from(content.len()).unwrap_or(u64::MAX);
    BlobInfo { size, modified_at: None, etag: format!("{size:x}-{sum:x}") }
}

#[async_trait]
impl Blobs for MemoryBlobs {
    async fn put_format(
        &self,
        from: &Path,
        book: &RecordingFormatId,
        shelf: Visibility,
    ) -> Result<(), BlobError> {
        let mut files = FileMap::new();
        read_files(from, "", &mut files)
            .map_err(|error| BlobError::Unavailable(error.to_string()))?;
        let mut books = self.lock();
        books.retain(|(on, there), _| there != book || !Visibility::NOT_DELETED.contains(on));
        books.insert((shelf, book.clone()), files);
        Ok(())
    }

    async fn move_format(
        &self,
        book: &RecordingFormatId,
        shelf: Visibility,
    ) -> Result<MoveOutcome, BlobError> {
        let mut books = self.lock();
        let elsewhere =
            shelf.other_values().filter_map(|other| books.remove(&(other, book.clone())));
        let elsewhere: Vec<FileMap> = elsewhere.collect();
        let is_there = books.contains_key(&(shelf, book.clone()));
        Ok(match (is_there, elsewhere.into_iter().next()) {
            (true, Some(_)) => MoveOutcome::Moved,
            (true, None) => MoveOutcome::AlreadyThere,
            (false, Some(files)) => {
                books.insert((shelf, book.clone()), files);
                MoveOutcome::Moved
            }
            (false, None) => MoveOutcome::Missing,
        })
    }

    async fn remove_format(
        &self,
        book: &RecordingFormatId,
        from: &[Visibility],
    ) -> Result<bool, BlobError> {
        let mut books = self.lock();
        let removed = from.iter().filter_map(|shelf| books.remove(&(*shelf, book.clone())));
        Ok(removed.count() > 0)
    }

    async fn locate_format(&self, book: &RecordingFormatId) -> Result<Vec<Visibility>, BlobError> {
        let books = self.lock();
        let has = |shelf: &Visibility| books.contains_key(&(*shelf, book.clone()));
        Ok(Visibility::ALL.into_iter().filter(has).collect())
    }

    async fn list_formats(
        &self,
        shelf: Visibility,
        after: Option<&RecordingFormatId>,
        limit: usize,
    ) -> Result<Vec<RecordingFormatId>, BlobError> {
        let books = self.lock();
        let on_shelf = books.keys().filter(|(on, _)| *on == shelf).map(|(_, book)| book);
        let behind = on_shelf.filter(|book| after.is_none_or(|after| *book > after));
        Ok(behind.take(limit).cloned().collect())
    }

    async fn list_files(
        &self,
        book: &RecordingFormatId,
        shelf: Visibility,
        limit: usize,
    ) -> Result<Vec<(FilePath, u64)>, BlobError> {
        let books = self.lock();
        let files = books.get(&(shelf, book.clone())).into_iter().flatten();
        Ok(files
            .take(limit)
            .map(|(path, content)| (path.clone(), blob_info(content).size))
            .collect())
    }

    async fn read_file_info(
        &self,
        book: &RecordingFormatId,
        shelf: Visibility,
        path: &FilePath,
    ) -> Result<Option<BlobInfo>, BlobError> {
        let books = self.lock();
        Ok(books.get(&(shelf, book.clone())).and_then(|files| files.get(path)).map(blob_info))
    }

    async fn open_file(
        &self,
        book: &RecordingFormatId,
        shelf: Visibility,
        path: &FilePath,
        span: Option<ByteSpan>,
    ) -> Result<Option<(BlobInfo, BlobBytes)>, BlobError> {
        let books = self.lock();
        let Some(content) = books.get(&(shelf, book.clone())).and_then(|files| files.get(path))
        else {
            return Ok(None);
        };
        let at = |byte: u64| usize::try_from(byte).unwrap_or(usize::MAX).min(content.len());
        let part = span
            .map_or_else(|| content.clone(), |span| content.slice(at(span.start)..at(span.end)));
        Ok(Some((blob_info(content), stream::once(async move { Ok(part) }.boxed()).boxed())))
    }

    async fn write_file(
        &self,
        book: &RecordingFormatId,
        shelf: Visibility,
        path: &FilePath,
        content: Bytes,
    ) -> Result<(), BlobError> {
        let missing = || BlobError::Unavailable("the format is not on this shelf".to_owned());
        let mut books = self.lock();
        let files = books.get_mut(&(shelf, book.clone())).ok_or_else(missing)?;
        files.insert(path.clone(), content);
        Ok(())
    }

    async fn check_blobs(&self) -> Result<(), BlobError> {
        Ok(())
    }
}
