//! Files of recordings in two directories, as the original keeps them: `<shelf>/<format>/<record_id>/…`.
//!
//! Each shelf has a hidden workshop, where books lie that are being copied or removed: on the shelf itself a
//! book appears and disappears in one step. What a crash leaves in a workshop is swept out a day later.

mod workshop;

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use app::ports::{BlobBytes, BlobError, BlobInfo, Blobs, Book, Moved, Shelf, Span};
use async_trait::async_trait;
use bytes::Bytes;
use domain::recording::{FilePath, FormatName, RecordId};
use futures_util::stream;
use rustix::fs::Stat;

use self::workshop::Bench;
use crate::beneath::Dir;

/// Bytes that are read at once.
const PIECE: usize = 256 * 1024;

/// Two directories.
#[derive(Clone, Debug)]
pub struct DirectoryBlobs {
    roots: Arc<Roots>,
}

#[derive(Debug)]
struct Roots {
    published: PathBuf,
    unpublished: PathBuf,
}

impl DirectoryBlobs {
    /// Files in `RECORDING_PUBLISH_DIR` and `RECORDING_UNPUBLISH_DIR`, which are made when something is put there.
    #[must_use]
    pub fn new(published: PathBuf, unpublished: PathBuf) -> Self {
        Self { roots: Arc::new(Roots { published, unpublished }) }
    }

    /// Waits for disks on a thread that may.
    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Roots) -> io::Result<T> + Send + 'static,
    ) -> Result<T, BlobError> {
        let roots = Arc::clone(&self.roots);
        match tokio::task::spawn_blocking(move || work(&roots)).await {
            Ok(done) => done.map_err(|error| blob_error(&error)),
            Err(broken) => Err(BlobError::Unavailable(broken.to_string())),
        }
    }
}

#[async_trait]
impl Blobs for DirectoryBlobs {
    async fn put(&self, from: &Path, book: &Book, shelf: Shelf) -> Result<(), BlobError> {
        let (from, book) = (from.to_owned(), book.clone());
        self.run(move |roots| roots.put(&from, &book, shelf)).await
    }

    async fn move_to(&self, book: &Book, shelf: Shelf) -> Result<Moved, BlobError> {
        let book = book.clone();
        self.run(move |roots| roots.move_to(&book, shelf)).await
    }

    async fn remove(&self, book: &Book) -> Result<bool, BlobError> {
        let book = book.clone();
        self.run(move |roots| {
            let published = roots.take_off(&book, Shelf::Published)?;
            Ok(roots.take_off(&book, Shelf::Unpublished)? || published)
        })
        .await
    }

    async fn shelves(&self, book: &Book) -> Result<Vec<Shelf>, BlobError> {
        let book = book.clone();
        self.run(move |roots| {
            let mut found = Vec::new();
            for shelf in [Shelf::Published, Shelf::Unpublished] {
                if roots.book(&book, shelf)?.is_some() {
                    found.push(shelf);
                }
            }
            Ok(found)
        })
        .await
    }

    async fn books(
        &self,
        shelf: Shelf,
        after: Option<&Book>,
        limit: usize,
    ) -> Result<Vec<Book>, BlobError> {
        let after = after.cloned();
        self.run(move |roots| roots.books(shelf, after.as_ref(), limit)).await
    }

    async fn files(
        &self,
        book: &Book,
        shelf: Shelf,
        limit: usize,
    ) -> Result<Vec<(FilePath, u64)>, BlobError> {
        let book = book.clone();
        self.run(move |roots| roots.files(&book, shelf, limit)).await
    }

    async fn info(
        &self,
        book: &Book,
        shelf: Shelf,
        path: &FilePath,
    ) -> Result<Option<BlobInfo>, BlobError> {
        let (book, path) = (book.clone(), path.clone());
        self.run(move |roots| Ok(roots.file(&book, shelf, &path)?.map(|(_, info)| info))).await
    }

    async fn open(
        &self,
        book: &Book,
        shelf: Shelf,
        path: &FilePath,
        span: Option<Span>,
    ) -> Result<Option<(BlobInfo, BlobBytes)>, BlobError> {
        let (book, path) = (book.clone(), path.clone());
        let found = self.run(move |roots| roots.file(&book, shelf, &path)).await?;
        Ok(found.map(|(file, info)| {
            let span = span.unwrap_or(Span { from: 0, to: info.size });
            (info, bytes_of(file, span))
        }))
    }

    async fn write(
        &self,
        book: &Book,
        shelf: Shelf,
        path: &FilePath,
        content: Bytes,
    ) -> Result<(), BlobError> {
        let (book, path) = (book.clone(), path.clone());
        self.run(move |roots| roots.write(&book, shelf, &path, &content)).await
    }

    async fn check(&self) -> Result<(), BlobError> {
        self.run(|roots| {
            for shelf in [Shelf::Published, Shelf::Unpublished] {
                let bench = Bench::new(&roots.made(shelf)?)?;
                bench.file(b"")?;
            }
            Ok(())
        })
        .await
    }
}

impl Roots {
    fn path(&self, shelf: Shelf) -> &Path {
        match shelf {
            Shelf::Published => &self.published,
            Shelf::Unpublished => &self.unpublished,
        }
    }

    /// A shelf, if it is there.
    fn opened(&self, shelf: Shelf) -> io::Result<Option<Dir>> {
        match Dir::open(self.path(shelf)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            opened => opened.map(Some),
        }
    }

    /// A shelf, made if it is not there.
    fn made(&self, shelf: Shelf) -> io::Result<Dir> {
        std::fs::create_dir_all(self.path(shelf))?;
        Dir::open(self.path(shelf))
    }

    /// The directory of a format, and the book in it.
    fn book(&self, book: &Book, shelf: Shelf) -> io::Result<Option<(Dir, Dir)>> {
        let Some(root) = self.opened(shelf)? else { return Ok(None) };
        let Some(format) = root.sub(book.format.as_str())? else { return Ok(None) };
        Ok(format.sub(book.record_id.as_str())?.map(|found| (format, found)))
    }

    fn put(&self, from: &Path, book: &Book, shelf: Shelf) -> io::Result<()> {
        let strange =
            || io::Error::new(io::ErrorKind::InvalidInput, "no directory to take it from");
        let name = from.file_name().and_then(OsStr::to_str).ok_or_else(strange)?;
        let above = Dir::open(from.parent().ok_or_else(strange)?)?;
        let root = self.made(shelf)?;
        let bench = Bench::new(&root)?;
        bench.take(&above, name)?;
        bench.place(&root, book)?;
        self.take_off(book, other(shelf))?;
        Ok(())
    }

    fn move_to(&self, book: &Book, shelf: Shelf) -> io::Result<Moved> {
        let there = self.book(book, shelf)?.is_some();
        let Some((format, _)) = self.book(book, other(shelf))? else {
            return Ok(if there { Moved::Already } else { Moved::Missing });
        };
        if !there {
            let root = self.made(shelf)?;
            let bench = Bench::new(&root)?;
            bench.take(&format, book.record_id.as_str())?;
            bench.place(&root, book)?;
        }
        // Nothing is left here if it could be moved in one step.
        self.take_off(book, other(shelf))?;
        Ok(Moved::Moved)
    }

    /// Removes a book from a shelf: in one step for those who look, then its files.
    fn take_off(&self, book: &Book, shelf: Shelf) -> io::Result<bool> {
        let Some((format, _)) = self.book(book, shelf)? else { return Ok(false) };
        let bench = Bench::new(&self.made(shelf)?)?;
        bench.receive(&format, book.record_id.as_str())?;
        format.sync()?;
        Ok(true)
    }

    fn books(&self, shelf: Shelf, after: Option<&Book>, limit: usize) -> io::Result<Vec<Book>> {
        let mut found = Vec::new();
        let Some(root) = self.opened(shelf)? else { return Ok(found) };
        for name in root.names()? {
            let Some(format) = name.to_str().and_then(FormatName::parse) else { continue };
            if after.is_some_and(|after| format < after.format) {
                continue;
            }
            let Some(dir) = root.sub(&name)? else { continue };
            for name in dir.names()? {
                let Some(record_id) = name.to_str().and_then(RecordId::parse) else { continue };
                let book = Book { format: format.clone(), record_id };
                if after.is_some_and(|after| book <= *after) || dir.sub(&name)?.is_none() {
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

    fn files(&self, book: &Book, shelf: Shelf, limit: usize) -> io::Result<Vec<(FilePath, u64)>> {
        let mut found = Vec::new();
        if let Some((_, dir)) = self.book(book, shelf)? {
            dir.walk(&mut |path, size| {
                found.extend(FilePath::parse(path).map(|path| (path, size)));
            })?;
        }
        found.sort_unstable();
        found.truncate(limit);
        Ok(found)
    }

    fn file(
        &self,
        book: &Book,
        shelf: Shelf,
        path: &FilePath,
    ) -> io::Result<Option<(std::fs::File, BlobInfo)>> {
        let Some((_, mut dir)) = self.book(book, shelf)? else { return Ok(None) };
        let (above, name) = split(path);
        for part in above {
            let Some(next) = dir.sub(part)? else { return Ok(None) };
            dir = next;
        }
        Ok(dir.file(name)?.map(|(file, stat)| (file, info(&stat))))
    }

    fn write(&self, book: &Book, shelf: Shelf, path: &FilePath, content: &[u8]) -> io::Result<()> {
        let gone = || io::Error::new(io::ErrorKind::NotFound, "the recording is not there");
        let (_, mut dir) = self.book(book, shelf)?.ok_or_else(gone)?;
        let (above, name) = split(path);
        for part in above {
            dir = dir.make_sub(part)?;
        }
        let bench = Bench::new(&self.made(shelf)?)?;
        bench.file(content)?;
        bench.hand_over(&dir, name)?;
        dir.sync()
    }
}

fn other(shelf: Shelf) -> Shelf {
    match shelf {
        Shelf::Published => Shelf::Unpublished,
        Shelf::Unpublished => Shelf::Published,
    }
}

/// The directories of a path, and the name in the last of them.
fn split(path: &FilePath) -> (Vec<&str>, &str) {
    let mut above: Vec<&str> = path.as_str().split('/').collect();
    let name = above.pop().unwrap_or_default();
    (above, name)
}

fn info(stat: &Stat) -> BlobInfo {
    let size = u64::try_from(stat.st_size).unwrap_or_default();
    let since = u64::try_from(stat.st_mtime).unwrap_or_default();
    let modified = UNIX_EPOCH.checked_add(Duration::from_secs(since)).or(Some(UNIX_EPOCH));
    // Clocks of file systems are coarse: a file that replaces another one has another number.
    let (inode, seconds, nanos) = (stat.st_ino, stat.st_mtime, stat.st_mtime_nsec);
    let tag = format!("{inode:x}-{seconds:x}-{nanos:x}-{size:x}");
    BlobInfo { size, modified, tag }
}

fn bytes_of(file: std::fs::File, span: Span) -> BlobBytes {
    use futures_util::StreamExt as _;
    let file = Arc::new(file);
    let pieces = stream::try_unfold(span.from, move |from| {
        let file = Arc::clone(&file);
        async move {
            let rest = span.to.saturating_sub(from);
            if rest == 0 {
                return Ok(None);
            }
            let read = tokio::task::spawn_blocking(move || piece(&file, from, rest)).await;
            let broken = |error: &dyn std::fmt::Display| BlobError::Unavailable(error.to_string());
            let bytes = read.map_err(|error| broken(&error))?.map_err(|error| broken(&error))?;
            let next = from + u64::try_from(bytes.len()).unwrap_or(rest);
            Ok(Some((bytes, next)))
        }
    });
    pieces.boxed()
}

fn piece(file: &std::fs::File, from: u64, rest: u64) -> io::Result<Bytes> {
    use std::os::unix::fs::FileExt as _;
    let size = usize::try_from(rest).unwrap_or(PIECE).min(PIECE);
    let mut buffer = vec![0; size];
    let count = file.read_at(&mut buffer, from)?;
    if count == 0 {
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the file became shorter"));
    }
    buffer.truncate(count);
    Ok(Bytes::from(buffer))
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
