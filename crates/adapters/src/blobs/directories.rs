//! Files of recordings in directories, as the original keeps them: `<shelf>/<format>/<record_id>/…`.
//!
//! Each shelf has a hidden workshop, where books lie that are being copied or removed: on the shelf itself a
//! book appears and disappears in one step. What a crash leaves in a workshop is swept out a day later.
//!
//! Who moves or removes a book holds a lock on its recording, for all processes: otherwise one might take away as the old
//! copy what the other has just put there.

mod reading;
mod workshop;

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use app::ports::{BlobBytes, BlobError, BlobInfo, Blobs, Book, Moved, Shelf, Span};
use async_trait::async_trait;
use bytes::Bytes;
use domain::recording::{FilePath, FormatName, RecordId};

use self::reading::{bytes_of, info};
use self::workshop::Bench;
use crate::beneath::Dir;

/// So many recordings can be moved at a time without waiting for each other, unless by chance.
const LOCKS: usize = 256;

/// A directory for each shelf.
#[derive(Clone, Debug)]
pub struct DirectoryBlobs {
    roots: Arc<Roots>,
}

#[derive(Debug)]
struct Roots {
    published: PathBuf,
    unpublished: PathBuf,
    deleted: PathBuf,
}

impl DirectoryBlobs {
    /// Files in `RECORDING_PUBLISH_DIR`, `RECORDING_UNPUBLISH_DIR` and `RECORDING_TRASH_DIR`, which are made
    /// when something is put there.
    #[must_use]
    pub fn new(published: PathBuf, unpublished: PathBuf, deleted: PathBuf) -> Self {
        Self { roots: Arc::new(Roots { published, unpublished, deleted }) }
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

    async fn remove(&self, book: &Book, from: &[Shelf]) -> Result<bool, BlobError> {
        let (book, from) = (book.clone(), from.to_vec());
        self.run(move |roots| roots.remove(&book, &from)).await
    }

    async fn shelves(&self, book: &Book) -> Result<Vec<Shelf>, BlobError> {
        let book = book.clone();
        self.run(move |roots| roots.shelves(&book)).await
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
            for shelf in Shelf::LIVE {
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
            Shelf::Deleted => &self.deleted,
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

    /// Nobody else moves or removes books of the recording as long as this is held, in any process.
    fn lock(&self, book: &Book) -> io::Result<File> {
        workshop::lock(&self.made(Shelf::Published)?, super::stripe(book, LOCKS))
    }

    /// Whether there is no shelf yet at all.
    fn is_bare(&self) -> bool {
        Shelf::ALL.into_iter().all(|shelf| !self.path(shelf).exists())
    }

    fn shelves(&self, book: &Book) -> io::Result<Vec<Shelf>> {
        let found = self.seen(book)?;
        if !found.is_empty() || self.is_bare() {
            return Ok(found);
        }
        // Nothing, or somebody has it on his bench.
        let _lock = self.lock(book)?;
        self.seen(book)
    }

    fn seen(&self, book: &Book) -> io::Result<Vec<Shelf>> {
        let mut found = Vec::new();
        for shelf in Shelf::ALL {
            if self.book(book, shelf)?.is_some() {
                found.push(shelf);
            }
        }
        Ok(found)
    }

    fn put(&self, from: &Path, book: &Book, shelf: Shelf) -> io::Result<()> {
        let strange =
            || io::Error::new(io::ErrorKind::InvalidInput, "no directory to take it from");
        let name = from.file_name().and_then(OsStr::to_str).ok_or_else(strange)?;
        let above = Dir::open(from.parent().ok_or_else(strange)?)?;
        let root = self.made(shelf)?;
        let bench = Bench::new(&root)?;
        bench.take(&above, name)?;
        let _lock = self.lock(book)?;
        bench.place(&root, book)?;
        for other in Shelf::LIVE.into_iter().filter(|other| *other != shelf) {
            self.take_off(book, other)?;
        }
        Ok(())
    }

    fn move_to(&self, book: &Book, shelf: Shelf) -> io::Result<Moved> {
        if self.is_bare() {
            return Ok(Moved::Missing);
        }
        let _lock = self.lock(book)?;
        let mut there = self.book(book, shelf)?.is_some();
        let mut moved = if there { Moved::Already } else { Moved::Missing };
        for other in shelf.others() {
            let Some((format, _)) = self.book(book, other)? else { continue };
            if !there {
                self.carry(&format, book, shelf)?;
                there = true;
            }
            // Nothing is left here if it could be moved in one step.
            self.take_off(book, other)?;
            moved = Moved::Moved;
        }
        Ok(moved)
    }

    /// Moves a book to a shelf where it is not: in one step, so that it is always on one of the two. Or copies it, to
    /// another file system.
    fn carry(&self, from: &Dir, book: &Book, shelf: Shelf) -> io::Result<()> {
        let (root, name) = (self.made(shelf)?, book.record_id.as_str());
        let format = root.make_sub(book.format.as_str())?;
        match from.rename(name, &format, name) {
            Ok(()) => {
                format.sync()?;
                root.sync()?;
                from.sync()
            }
            Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {
                let bench = Bench::new(&root)?;
                bench.take(from, name)?;
                bench.place(&root, book)
            }
            Err(error) => Err(error),
        }
    }

    fn remove(&self, book: &Book, from: &[Shelf]) -> io::Result<bool> {
        if self.is_bare() {
            return Ok(false);
        }
        let _lock = self.lock(book)?;
        let mut found = false;
        for shelf in from {
            found |= self.take_off(book, *shelf)?;
        }
        Ok(found)
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
    ) -> io::Result<Option<(File, BlobInfo)>> {
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

/// The directories of a path, and the name in the last of them.
fn split(path: &FilePath) -> (Vec<&str>, &str) {
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
