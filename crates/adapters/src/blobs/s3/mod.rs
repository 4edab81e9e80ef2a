//! Files of recordings in a bucket of Amazon S3 or of a store that speaks like it: `published/<format>/<record_id>/…` and
//! `unpublished/…`, as the original uploads them, and `deleted/…`.
//!
//! A bucket knows no step that moves many objects at once. What is visible is said by the recording's row, which comes
//! after its files and goes before them; an object itself is always whole. `metadata.xml` is the last object
//! to arrive on a shelf and the first to leave it: a book on several shelves whose target has it was moved completely,
//! and one without it was not.

mod content;
mod transfer;
mod walk;
mod wire;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use app::ports::{BlobBytes, BlobError, BlobInfo, Blobs, Book, Moved, Shelf, Span};
use async_trait::async_trait;
use bytes::Bytes;
use domain::recording::{FilePath, FormatName, RecordId};
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use tokio::sync::{Mutex, MutexGuard};

use self::transfer::Upload;
use self::wire::Wire;

pub use self::transfer::Limits;
pub use self::wire::Access;

/// Objects that are uploaded or copied at a time.
const AT_ONCE: usize = 8;
/// The object that says that all others are there.
const LAST: &str = "metadata.xml";
/// So many recordings can be moved at a time without waiting for each other, unless by chance.
const LOCKS: usize = 1024;
/// Written to find out whether anything can be.
const PROBE: &str = "unpublished/.scalelite";

/// A bucket.
#[derive(Clone, Debug)]
pub struct S3Blobs {
    wire: Wire,
    locks: Arc<[Mutex<()>]>,
}

impl S3Blobs {
    /// Files in a bucket; it is not asked yet.
    ///
    /// # Errors
    /// When its address is none, in words that hold no secret.
    pub fn new(access: Access) -> Result<Self, String> {
        Ok(Self { wire: Wire::new(access)?, locks: (0..LOCKS).map(|_| Mutex::new(())).collect() })
    }

    /// Nobody else in this process moves or removes files of the recording meanwhile: a bucket knows no locks.
    async fn lock(&self, book: &Book) -> MutexGuard<'_, ()> {
        self.locks[super::stripe(book, LOCKS)].lock().await
    }

    /// All objects below a prefix, with their sizes.
    async fn keys(&self, prefix: &str) -> Result<Vec<(String, u64)>, BlobError> {
        let mut found = Vec::new();
        let mut next = None;
        loop {
            let page = self.wire.page(prefix, None, next.as_deref()).await?;
            found.extend(page.keys);
            next = page.next;
            if next.is_none() {
                return Ok(found);
            }
        }
    }

    /// All files of a book on a shelf, with their sizes.
    async fn all(&self, book: &Book, shelf: Shelf) -> Result<Vec<(String, u64)>, BlobError> {
        let prefix = prefix(book, shelf);
        let keys = self.keys(&prefix).await?.into_iter();
        let path = |key: &str| key.strip_prefix(&prefix).map(str::to_owned);
        let paths = keys.filter_map(|(key, size)| Some((path(&key)?, size)));
        Ok(paths.filter(|(path, _)| FilePath::parse(path).is_some()).collect())
    }

    async fn is_on(&self, book: &Book, shelf: Shelf) -> Result<bool, BlobError> {
        let page = self.wire.page(&prefix(book, shelf), Some(1), None).await?;
        Ok(!page.keys.is_empty())
    }

    async fn empty(&self, book: &Book, shelf: Shelf) -> Result<bool, BlobError> {
        let prefix = prefix(book, shelf);
        let keys = self.keys(&prefix).await?.into_iter().map(|(key, _)| key);
        let last = format!("{prefix}{LAST}");
        let (first, rest): (Vec<String>, Vec<String>) = keys.partition(|key| *key == last);
        // Whoever dies after this leaves what nobody takes for whole.
        self.wire.remove(&first).await?;
        self.wire.remove(&rest).await?;
        Ok(!first.is_empty() || !rest.is_empty())
    }

    /// Sends files side by side, and the last one last.
    async fn upload(&self, uploads: Vec<Upload>) -> Result<(), BlobError> {
        let (last, first): (Vec<_>, Vec<_>) =
            uploads.into_iter().partition(|upload| upload.key.rsplit('/').next() == Some(LAST));
        for uploads in [first, last] {
            let sent = stream::iter(uploads).map(|upload| self.wire.upload(upload));
            sent.buffer_unordered(AT_ONCE).try_collect::<()>().await?;
        }
        Ok(())
    }

    /// Copies files, each from the shelf where it is, and the last one last.
    async fn copy(&self, book: &Book, files: Found, to: Shelf) -> Result<(), BlobError> {
        let to = &prefix(book, to);
        let (last, first): (Vec<_>, Vec<_>) = files.into_iter().partition(|(path, _)| path == LAST);
        for files in [first, last] {
            let copied = stream::iter(files).map(|(path, (from, size))| async move {
                let from = format!("{}{path}", prefix(book, from));
                self.wire.copy(&from, &format!("{to}{path}"), size).await
            });
            copied.buffer_unordered(AT_ONCE).try_collect::<()>().await?;
        }
        Ok(())
    }

    /// The names between a prefix and the next slash, from one of them on, in order: not in that of keys, where the
    /// slash behind a name counts.
    async fn names(&self, prefix: &str, from: Option<&str>) -> Result<Vec<String>, BlobError> {
        let start = from.map(|from| format!("{prefix}{from}"));
        let (mut found, mut next) = (Vec::new(), None);
        loop {
            let page = self.wire.names(prefix, start.as_deref(), next.as_deref()).await?;
            let names = page.prefixes.iter().filter_map(|name| name.strip_prefix(prefix));
            found.extend(names.map(|name| name.trim_end_matches('/').to_owned()));
            next = page.next;
            if next.is_none() {
                found.sort_unstable();
                return Ok(found);
            }
        }
    }
}

/// Files by their paths: on which shelf each is, and its bytes.
type Found = BTreeMap<String, (Shelf, u64)>;

#[async_trait]
impl Blobs for S3Blobs {
    async fn put(&self, from: &Path, book: &Book, shelf: Shelf) -> Result<(), BlobError> {
        let _lock = self.lock(book).await;
        let prefix = prefix(book, shelf);
        let files = walk::files(from).await?;
        let came: BTreeSet<String> = files.iter().map(|file| file.path.clone()).collect();
        let uploads = files.into_iter().map(|file| Upload::of(&prefix, file)).collect();
        self.upload(uploads).await?;
        // What an earlier one had and this one has not.
        let before = self.all(book, shelf).await?.into_iter().map(|(path, _)| path);
        let gone = before.filter(|path| !came.contains(path));
        self.wire.remove(&gone.map(|path| format!("{prefix}{path}")).collect::<Vec<_>>()).await?;
        for other in Shelf::LIVE.into_iter().filter(|other| *other != shelf) {
            self.empty(book, other).await?;
        }
        Ok(())
    }

    async fn move_to(&self, book: &Book, shelf: Shelf) -> Result<Moved, BlobError> {
        let _lock = self.lock(book).await;
        let there: BTreeSet<String> =
            self.all(book, shelf).await?.into_iter().map(|(path, _)| path).collect();
        // Whoever died on the way may have left parts of it on all of them.
        let mut elsewhere = Found::new();
        for other in shelf.others() {
            let files = self.all(book, other).await?.into_iter();
            elsewhere.extend(files.map(|(path, size)| (path, (other, size))));
        }
        if elsewhere.is_empty() {
            return Ok(if there.is_empty() { Moved::Missing } else { Moved::Already });
        }
        if !there.contains(LAST) {
            elsewhere.retain(|path, _| !there.contains(path));
            self.copy(book, elsewhere, shelf).await?;
        }
        for other in shelf.others() {
            self.empty(book, other).await?;
        }
        Ok(Moved::Moved)
    }

    async fn remove(&self, book: &Book, from: &[Shelf]) -> Result<bool, BlobError> {
        let _lock = self.lock(book).await;
        let mut found = false;
        for shelf in from {
            found |= self.empty(book, *shelf).await?;
        }
        Ok(found)
    }

    async fn shelves(&self, book: &Book) -> Result<Vec<Shelf>, BlobError> {
        let mut found = Vec::new();
        for shelf in Shelf::ALL {
            if self.is_on(book, shelf).await? {
                found.push(shelf);
            }
        }
        Ok(found)
    }

    async fn books(
        &self,
        shelf: Shelf,
        after: Option<&Book>,
        limit: usize,
    ) -> Result<Vec<Book>, BlobError> {
        let mut found = Vec::new();
        for name in self.names(top(shelf), None).await? {
            let Some(format) = FormatName::parse(&name) else { continue };
            if after.is_some_and(|after| format < after.format) {
                continue;
            }
            let after = after.filter(|after| after.format == format);
            let prefix = format!("{}{format}/", top(shelf));
            let start = after.map(|after| after.record_id.as_str());
            for name in self.names(&prefix, start).await? {
                let Some(record_id) = RecordId::parse(&name) else { continue };
                let book = Book { format: format.clone(), record_id };
                if after.is_some_and(|after| book <= *after) {
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

    async fn files(
        &self,
        book: &Book,
        shelf: Shelf,
        limit: usize,
    ) -> Result<Vec<(FilePath, u64)>, BlobError> {
        let all = self.all(book, shelf).await?.into_iter();
        let paths = all.filter_map(|(path, size)| Some((FilePath::parse(&path)?, size)));
        let mut files: Vec<_> = paths.collect();
        files.sort_unstable();
        files.truncate(limit);
        Ok(files)
    }

    async fn info(
        &self,
        book: &Book,
        shelf: Shelf,
        path: &FilePath,
    ) -> Result<Option<BlobInfo>, BlobError> {
        self.wire.info(&format!("{}{}", prefix(book, shelf), path.as_str())).await
    }

    async fn open(
        &self,
        book: &Book,
        shelf: Shelf,
        path: &FilePath,
        span: Option<Span>,
    ) -> Result<Option<(BlobInfo, BlobBytes)>, BlobError> {
        self.wire.open(&format!("{}{}", prefix(book, shelf), path.as_str()), span).await
    }

    async fn write(
        &self,
        book: &Book,
        shelf: Shelf,
        path: &FilePath,
        content: Bytes,
    ) -> Result<(), BlobError> {
        if !self.is_on(book, shelf).await? {
            return Err(BlobError::Unavailable("the recording is not there".to_owned()));
        }
        let key = format!("{}{}", prefix(book, shelf), path.as_str());
        self.wire.upload(Upload::text(key, content)).await
    }

    async fn check(&self) -> Result<(), BlobError> {
        self.wire.upload(Upload::text(PROBE.to_owned(), Bytes::new())).await?;
        self.wire.remove(&[PROBE.to_owned()]).await
    }
}

fn top(shelf: Shelf) -> &'static str {
    match shelf {
        Shelf::Published => "published/",
        Shelf::Unpublished => "unpublished/",
        Shelf::Deleted => "deleted/",
    }
}

fn prefix(book: &Book, shelf: Shelf) -> String {
    format!("{}{}/{}/", top(shelf), book.format, book.record_id)
}
