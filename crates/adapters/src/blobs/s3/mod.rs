//! Files of recordings in a bucket of Amazon S3 or of a store that speaks like it: `published/<format>/<record_id>/…` and
//! `unpublished/…`, as the original uploads them, and `deleted/…`.
//!
//! A bucket knows no step that moves many objects at once. What is visible is said by the recording's row, which comes
//! after its files and goes before them; an object itself is always whole. `metadata.xml` is the last object
//! to arrive on a shelf and the first to leave it: a book on several shelves whose target has it was moved completely,
//! and one without it was not.

mod client;
mod content;
mod transfer;
mod walk;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use app::ports::{
    BlobBytes, BlobError, BlobInfo, Blobs, ByteSpan, MoveOutcome, RecordingFormatId, Visibility,
};
use async_trait::async_trait;
use bytes::Bytes;
use domain::recording::{FilePath, FormatName, RecordId};
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use tokio::sync::{Mutex, MutexGuard};

use self::client::S3Client;
use self::transfer::ObjectUpload;

pub use self::client::S3Settings;
pub use self::transfer::TransferLimits;

/// Objects that are uploaded or copied at a time.
const MAX_PARALLEL: usize = 8;
/// The object that says that all others are there.
const MARKER_FILE: &str = "metadata.xml";
/// So many recordings can be moved at a time without waiting for each other, unless by chance.
const LOCK_COUNT: usize = 1024;
/// Written to find out whether anything can be.
const WRITE_CHECK_KEY: &str = "unpublished/.scalelite";

/// A bucket.
#[derive(Clone, Debug)]
pub struct S3Blobs {
    client: S3Client,
    locks: Arc<[Mutex<()>]>,
}

impl S3Blobs {
    /// Files in a bucket; it is not asked yet.
    ///
    /// # Errors
    /// When its address is none, in words that hold no secret.
    pub fn new(access: S3Settings) -> Result<Self, String> {
        Ok(Self {
            client: S3Client::new(access)?,
            locks: (0..LOCK_COUNT).map(|_| Mutex::new(())).collect(),
        })
    }

    /// Nobody else in this process moves or removes files of the recording meanwhile: a bucket knows no locks.
    async fn lock_recording(&self, book: &RecordingFormatId) -> MutexGuard<'_, ()> {
        self.locks[super::lock_number(book, LOCK_COUNT)].lock().await
    }

    /// All objects below a prefix, with their sizes.
    async fn list_keys(&self, prefix: &str) -> Result<Vec<(String, u64)>, BlobError> {
        let mut found = Vec::new();
        let mut next = None;
        loop {
            let page = self.client.list_page(prefix, None, next.as_deref()).await?;
            found.extend(page.keys);
            next = page.next_token;
            if next.is_none() {
                return Ok(found);
            }
        }
    }

    /// All files of a book on a shelf, with their sizes.
    async fn list_format_files(
        &self,
        book: &RecordingFormatId,
        shelf: Visibility,
    ) -> Result<Vec<(String, u64)>, BlobError> {
        let prefix = format_prefix(book, shelf);
        let keys = self.list_keys(&prefix).await?.into_iter();
        let path = |key: &str| key.strip_prefix(&prefix).map(str::to_owned);
        let paths = keys.filter_map(|(key, size)| Some((path(&key)?, size)));
        Ok(paths.filter(|(path, _)| FilePath::parse(path).is_some()).collect())
    }

    async fn has_objects(
        &self,
        book: &RecordingFormatId,
        shelf: Visibility,
    ) -> Result<bool, BlobError> {
        let page = self.client.list_page(&format_prefix(book, shelf), Some(1), None).await?;
        Ok(!page.keys.is_empty())
    }

    async fn delete_objects(
        &self,
        book: &RecordingFormatId,
        shelf: Visibility,
    ) -> Result<bool, BlobError> {
        let prefix = format_prefix(book, shelf);
        let keys = self.list_keys(&prefix).await?.into_iter().map(|(key, _)| key);
        let last = format!("{prefix}{MARKER_FILE}");
        let (first, rest): (Vec<String>, Vec<String>) = keys.partition(|key| *key == last);
        // Whoever dies after this leaves what nobody takes for whole.
        self.client.delete_objects(&first).await?;
        self.client.delete_objects(&rest).await?;
        Ok(!first.is_empty() || !rest.is_empty())
    }

    /// Sends files side by side, and the last one last.
    async fn upload_all(&self, uploads: Vec<ObjectUpload>) -> Result<(), BlobError> {
        let (last, first): (Vec<_>, Vec<_>) = uploads
            .into_iter()
            .partition(|upload| upload.key.rsplit('/').next() == Some(MARKER_FILE));
        for uploads in [first, last] {
            let sent = stream::iter(uploads).map(|upload| self.client.upload_object(upload));
            sent.buffer_unordered(MAX_PARALLEL).try_collect::<()>().await?;
        }
        Ok(())
    }

    /// Copies files, each from the shelf where it is, and the last one last.
    async fn copy_all(
        &self,
        book: &RecordingFormatId,
        files: FilesByPath,
        to: Visibility,
    ) -> Result<(), BlobError> {
        let to = &format_prefix(book, to);
        let (last, first): (Vec<_>, Vec<_>) =
            files.into_iter().partition(|(path, _)| path == MARKER_FILE);
        for files in [first, last] {
            let copied = stream::iter(files).map(|(path, (from, size))| async move {
                let from = format!("{}{path}", format_prefix(book, from));
                self.client.copy_object(&from, &format!("{to}{path}"), size).await
            });
            copied.buffer_unordered(MAX_PARALLEL).try_collect::<()>().await?;
        }
        Ok(())
    }

    /// The names between a prefix and the next slash, from one of them on, in order: not in that of keys, where the
    /// slash behind a name counts.
    async fn list_names(&self, prefix: &str, from: Option<&str>) -> Result<Vec<String>, BlobError> {
        let start = from.map(|from| format!("{prefix}{from}"));
        let (mut found, mut next) = (Vec::new(), None);
        loop {
            let page = self.client.list_prefixes(prefix, start.as_deref(), next.as_deref()).await?;
            let names = page.prefixes.iter().filter_map(|name| name.strip_prefix(prefix));
            found.extend(names.map(|name| name.trim_end_matches('/').to_owned()));
            next = page.next_token;
            if next.is_none() {
                found.sort_unstable();
                return Ok(found);
            }
        }
    }
}

/// Files by their paths: on which shelf each is, and its bytes.
type FilesByPath = BTreeMap<String, (Visibility, u64)>;

#[async_trait]
impl Blobs for S3Blobs {
    async fn put_format(
        &self,
        from: &Path,
        book: &RecordingFormatId,
        shelf: Visibility,
    ) -> Result<(), BlobError> {
        let _lock = self.lock_recording(book).await;
        let prefix = format_prefix(book, shelf);
        let files = walk::list_local_files(from).await?;
        let came: BTreeSet<String> = files.iter().map(|file| file.path.clone()).collect();
        let uploads =
            files.into_iter().map(|file| ObjectUpload::from_file(&prefix, file)).collect();
        self.upload_all(uploads).await?;
        // What an earlier one had and this one has not.
        let before = self.list_format_files(book, shelf).await?.into_iter().map(|(path, _)| path);
        let gone = before.filter(|path| !came.contains(path));
        self.client
            .delete_objects(&gone.map(|path| format!("{prefix}{path}")).collect::<Vec<_>>())
            .await?;
        for other in Visibility::NOT_DELETED.into_iter().filter(|other| *other != shelf) {
            self.delete_objects(book, other).await?;
        }
        Ok(())
    }

    async fn move_format(
        &self,
        book: &RecordingFormatId,
        shelf: Visibility,
    ) -> Result<MoveOutcome, BlobError> {
        let _lock = self.lock_recording(book).await;
        let there: BTreeSet<String> =
            self.list_format_files(book, shelf).await?.into_iter().map(|(path, _)| path).collect();
        // Whoever died on the way may have left parts of it on all of them.
        let mut elsewhere = FilesByPath::new();
        for other in shelf.other_values() {
            let files = self.list_format_files(book, other).await?.into_iter();
            elsewhere.extend(files.map(|(path, size)| (path, (other, size))));
        }
        if elsewhere.is_empty() {
            return Ok(if there.is_empty() {
                MoveOutcome::Missing
            } else {
                MoveOutcome::AlreadyThere
            });
        }
        if !there.contains(MARKER_FILE) {
            elsewhere.retain(|path, _| !there.contains(path));
            self.copy_all(book, elsewhere, shelf).await?;
        }
        for other in shelf.other_values() {
            self.delete_objects(book, other).await?;
        }
        Ok(MoveOutcome::Moved)
    }

    async fn remove_format(
        &self,
        book: &RecordingFormatId,
        from: &[Visibility],
    ) -> Result<bool, BlobError> {
        let _lock = self.lock_recording(book).await;
        let mut found = false;
        for shelf in from {
            found |= self.delete_objects(book, *shelf).await?;
        }
        Ok(found)
    }

    async fn locate_format(&self, book: &RecordingFormatId) -> Result<Vec<Visibility>, BlobError> {
        let mut found = Vec::new();
        for shelf in Visibility::ALL {
            if self.has_objects(book, shelf).await? {
                found.push(shelf);
            }
        }
        Ok(found)
    }

    async fn list_formats(
        &self,
        shelf: Visibility,
        after: Option<&RecordingFormatId>,
        limit: usize,
    ) -> Result<Vec<RecordingFormatId>, BlobError> {
        let mut found = Vec::new();
        for name in self.list_names(visibility_prefix(shelf), None).await? {
            let Some(format) = FormatName::parse(&name) else { continue };
            if after.is_some_and(|after| format < after.format) {
                continue;
            }
            let after = after.filter(|after| after.format == format);
            let prefix = format!("{}{format}/", visibility_prefix(shelf));
            let start = after.map(|after| after.record_id.as_str());
            for name in self.list_names(&prefix, start).await? {
                let Some(record_id) = RecordId::parse(&name) else { continue };
                let book = RecordingFormatId { format: format.clone(), record_id };
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

    async fn list_files(
        &self,
        book: &RecordingFormatId,
        shelf: Visibility,
        limit: usize,
    ) -> Result<Vec<(FilePath, u64)>, BlobError> {
        let all = self.list_format_files(book, shelf).await?.into_iter();
        let paths = all.filter_map(|(path, size)| Some((FilePath::parse(&path)?, size)));
        let mut files: Vec<_> = paths.collect();
        files.sort_unstable();
        files.truncate(limit);
        Ok(files)
    }

    async fn read_file_info(
        &self,
        book: &RecordingFormatId,
        shelf: Visibility,
        path: &FilePath,
    ) -> Result<Option<BlobInfo>, BlobError> {
        self.client.fetch_info(&format!("{}{}", format_prefix(book, shelf), path.as_str())).await
    }

    async fn open_file(
        &self,
        book: &RecordingFormatId,
        shelf: Visibility,
        path: &FilePath,
        span: Option<ByteSpan>,
    ) -> Result<Option<(BlobInfo, BlobBytes)>, BlobError> {
        self.client
            .open_object(&format!("{}{}", format_prefix(book, shelf), path.as_str()), span)
            .await
    }

    async fn write_file(
        &self,
        book: &RecordingFormatId,
        shelf: Visibility,
        path: &FilePath,
        content: Bytes,
    ) -> Result<(), BlobError> {
        if !self.has_objects(book, shelf).await? {
            return Err(BlobError::Unavailable("the recording is not there".to_owned()));
        }
        let key = format!("{}{}", format_prefix(book, shelf), path.as_str());
        self.client.upload_object(ObjectUpload::from_bytes(key, content)).await
    }

    async fn check_blobs(&self) -> Result<(), BlobError> {
        self.client
            .upload_object(ObjectUpload::from_bytes(WRITE_CHECK_KEY.to_owned(), Bytes::new()))
            .await?;
        self.client.delete_objects(&[WRITE_CHECK_KEY.to_owned()]).await
    }
}

fn visibility_prefix(shelf: Visibility) -> &'static str {
    match shelf {
        Visibility::Published => "published/",
        Visibility::Unpublished => "unpublished/",
        Visibility::Trash => "deleted/",
    }
}

fn format_prefix(book: &RecordingFormatId, shelf: Visibility) -> String {
    format!("{}{}/{}/", visibility_prefix(shelf), book.format, book.record_id)
}
