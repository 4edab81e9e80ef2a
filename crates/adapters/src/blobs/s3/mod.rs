//! Stores files of recordings in a bucket of Amazon S3 or a compatible service: `published/<format>/<record_id>/…` and
//! `unpublished/…`, with the original's layout, and `deleted/…`.
//!
//! A bucket cannot move many objects in one step. The recording's row decides what is visible: it is written after the
//! files and deleted before them. A single object is always complete. `metadata.xml` is the last object to be stored
//! under a prefix and the first to be deleted from it. So if a format is stored under several prefixes, the copy at the
//! target is complete if it has `metadata.xml`, and incomplete otherwise.

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

/// Number of objects that are uploaded or copied at the same time.
const MAX_PARALLEL: usize = 8;
/// The object whose existence means that all other objects of the format are stored.
const MARKER_FILE: &str = "metadata.xml";
/// Number of locks. Each recording belongs to one of them; moves of two recordings wait for each other only if both belong
/// to the same one.
const LOCK_COUNT: usize = 1024;
/// The object that is written to find out whether the bucket can be written to.
const WRITE_CHECK_KEY: &str = "unpublished/.scalelite-write-check";

/// Stores files of recordings in an S3 bucket.
#[derive(Clone, Debug)]
pub struct S3Blobs {
    client: S3Client,
    locks: Arc<[Mutex<()>]>,
}

impl S3Blobs {
    /// Creates a store on a bucket. Sends no request yet.
    ///
    /// # Errors
    /// If the address is not valid. The text contains no secret.
    pub fn new(settings: S3Settings) -> Result<Self, String> {
        Ok(Self {
            client: S3Client::new(settings)?,
            locks: (0..LOCK_COUNT).map(|_| Mutex::new(())).collect(),
        })
    }

    /// Locks a recording: no other task of this process moves or removes its files meanwhile. Other processes are not
    /// kept from it, since a bucket has no locks.
    async fn lock_recording(&self, format_id: &RecordingFormatId) -> MutexGuard<'_, ()> {
        self.locks[super::lock_number(format_id, LOCK_COUNT)].lock().await
    }

    /// Lists all objects below a prefix, with their sizes in bytes.
    async fn list_keys(&self, prefix: &str) -> Result<Vec<(String, u64)>, BlobError> {
        let mut keys = Vec::new();
        let mut next_token = None;
        loop {
            let page = self.client.list_page(prefix, None, next_token.as_deref()).await?;
            keys.extend(page.keys);
            next_token = page.next_token;
            if next_token.is_none() {
                return Ok(keys);
            }
        }
    }

    /// Lists all files of a format at one visibility, with their sizes in bytes.
    async fn list_format_files(
        &self,
        format_id: &RecordingFormatId,
        visibility: Visibility,
    ) -> Result<Vec<(String, u64)>, BlobError> {
        let prefix = format_prefix(format_id, visibility);
        let keys = self.list_keys(&prefix).await?.into_iter();
        let to_path = |key: &str| key.strip_prefix(&prefix).map(str::to_owned);
        let files = keys.filter_map(|(key, size)| Some((to_path(&key)?, size)));
        Ok(files.filter(|(path, _)| FilePath::parse(path).is_some()).collect())
    }

    async fn has_objects(
        &self,
        format_id: &RecordingFormatId,
        visibility: Visibility,
    ) -> Result<bool, BlobError> {
        let page =
            self.client.list_page(&format_prefix(format_id, visibility), Some(1), None).await?;
        Ok(!page.keys.is_empty())
    }

    /// Deletes all objects of a format at one visibility. Returns whether there were any.
    async fn delete_objects(
        &self,
        format_id: &RecordingFormatId,
        visibility: Visibility,
    ) -> Result<bool, BlobError> {
        let prefix = format_prefix(format_id, visibility);
        let keys = self.list_keys(&prefix).await?.into_iter().map(|(key, _)| key);
        let marker_key = format!("{prefix}{MARKER_FILE}");
        let (marker, others): (Vec<String>, Vec<String>) = keys.partition(|key| *key == marker_key);
        // The marker goes first: if the process dies in between, the rest is not mistaken for a complete format.
        self.client.delete_objects(&marker).await?;
        self.client.delete_objects(&others).await?;
        Ok(!marker.is_empty() || !others.is_empty())
    }

    /// Uploads files in parallel, and the marker file after all others.
    async fn upload_all(&self, uploads: Vec<ObjectUpload>) -> Result<(), BlobError> {
        let (marker, others): (Vec<_>, Vec<_>) = uploads
            .into_iter()
            .partition(|upload| upload.key.rsplit('/').next() == Some(MARKER_FILE));
        for uploads in [others, marker] {
            let uploads = stream::iter(uploads).map(|upload| self.client.upload_object(upload));
            uploads.buffer_unordered(MAX_PARALLEL).try_collect::<()>().await?;
        }
        Ok(())
    }

    /// Copies files in parallel, each from the visibility where it is stored, and the marker file after all others.
    async fn copy_all(
        &self,
        format_id: &RecordingFormatId,
        files: FilesByPath,
        to: Visibility,
    ) -> Result<(), BlobError> {
        let target = &format_prefix(format_id, to);
        let (marker, others): (Vec<_>, Vec<_>) =
            files.into_iter().partition(|(path, _)| path == MARKER_FILE);
        for files in [others, marker] {
            let copies = stream::iter(files).map(|(path, (from, size))| async move {
                let source = format!("{}{path}", format_prefix(format_id, from));
                self.client.copy_object(&source, &format!("{target}{path}"), size).await
            });
            copies.buffer_unordered(MAX_PARALLEL).try_collect::<()>().await?;
        }
        Ok(())
    }

    /// Lists the names between a prefix and the next slash in alphabetical order, beginning with `from`. S3 orders whole
    /// keys, including the slash after a name, which is a different order.
    async fn list_names(&self, prefix: &str, from: Option<&str>) -> Result<Vec<String>, BlobError> {
        let start = from.map(|from| format!("{prefix}{from}"));
        let (mut names, mut next_token) = (Vec::new(), None);
        loop {
            let page =
                self.client.list_prefixes(prefix, start.as_deref(), next_token.as_deref()).await?;
            let page_names = page.prefixes.iter().filter_map(|name| name.strip_prefix(prefix));
            names.extend(page_names.map(|name| name.trim_end_matches('/').to_owned()));
            next_token = page.next_token;
            if next_token.is_none() {
                names.sort_unstable();
                return Ok(names);
            }
        }
    }
}

/// Files by path, with the visibility where each is stored and its size in bytes.
type FilesByPath = BTreeMap<String, (Visibility, u64)>;

#[async_trait]
impl Blobs for S3Blobs {
    async fn put_format(
        &self,
        from: &Path,
        format_id: &RecordingFormatId,
        visibility: Visibility,
    ) -> Result<(), BlobError> {
        let _lock = self.lock_recording(format_id).await;
        let prefix = format_prefix(format_id, visibility);
        let files = walk::list_local_files(from).await?;
        let new_paths: BTreeSet<String> = files.iter().map(|file| file.path.clone()).collect();
        let uploads =
            files.into_iter().map(|file| ObjectUpload::from_file(&prefix, file)).collect();
        self.upload_all(uploads).await?;
        // Files of an earlier version that this version does not have.
        let stored =
            self.list_format_files(format_id, visibility).await?.into_iter().map(|(path, _)| path);
        let outdated = stored.filter(|path| !new_paths.contains(path));
        self.client
            .delete_objects(&outdated.map(|path| format!("{prefix}{path}")).collect::<Vec<_>>())
            .await?;
        for other_visibility in Visibility::NOT_DELETED {
            if other_visibility != visibility {
                self.delete_objects(format_id, other_visibility).await?;
            }
        }
        Ok(())
    }

    async fn move_format(
        &self,
        format_id: &RecordingFormatId,
        visibility: Visibility,
    ) -> Result<MoveOutcome, BlobError> {
        let _lock = self.lock_recording(format_id).await;
        let at_target: BTreeSet<String> = self
            .list_format_files(format_id, visibility)
            .await?
            .into_iter()
            .map(|(path, _)| path)
            .collect();
        // A process that died during a move may have left files at every visibility.
        let mut at_sources = FilesByPath::new();
        for source in visibility.other_values() {
            let files = self.list_format_files(format_id, source).await?.into_iter();
            at_sources.extend(files.map(|(path, size)| (path, (source, size))));
        }
        if at_sources.is_empty() {
            return Ok(if at_target.is_empty() {
                MoveOutcome::Missing
            } else {
                MoveOutcome::AlreadyThere
            });
        }
        if !at_target.contains(MARKER_FILE) {
            at_sources.retain(|path, _| !at_target.contains(path));
            self.copy_all(format_id, at_sources, visibility).await?;
        }
        for source in visibility.other_values() {
            self.delete_objects(format_id, source).await?;
        }
        Ok(MoveOutcome::Moved)
    }

    async fn remove_format(
        &self,
        format_id: &RecordingFormatId,
        from: &[Visibility],
    ) -> Result<bool, BlobError> {
        let _lock = self.lock_recording(format_id).await;
        let mut removed = false;
        for visibility in from {
            removed |= self.delete_objects(format_id, *visibility).await?;
        }
        Ok(removed)
    }

    async fn locate_format(
        &self,
        format_id: &RecordingFormatId,
    ) -> Result<Vec<Visibility>, BlobError> {
        let mut visibilities = Vec::new();
        for visibility in Visibility::ALL {
            if self.has_objects(format_id, visibility).await? {
                visibilities.push(visibility);
            }
        }
        Ok(visibilities)
    }

    async fn list_formats(
        &self,
        visibility: Visibility,
        after: Option<&RecordingFormatId>,
        limit: usize,
    ) -> Result<Vec<RecordingFormatId>, BlobError> {
        let mut format_ids = Vec::new();
        for name in self.list_names(visibility_prefix(visibility), None).await? {
            let Some(format) = FormatName::parse(&name) else { continue };
            if after.is_some_and(|after| format < after.format) {
                continue;
            }
            let after = after.filter(|after| after.format == format);
            let prefix = format!("{}{format}/", visibility_prefix(visibility));
            let start = after.map(|after| after.record_id.as_str());
            for name in self.list_names(&prefix, start).await? {
                let Some(record_id) = RecordId::parse(&name) else { continue };
                let format_id = RecordingFormatId { format: format.clone(), record_id };
                if after.is_some_and(|after| format_id <= *after) {
                    continue;
                }
                if format_ids.len() >= limit {
                    return Ok(format_ids);
                }
                format_ids.push(format_id);
            }
        }
        Ok(format_ids)
    }

    async fn list_files(
        &self,
        format_id: &RecordingFormatId,
        visibility: Visibility,
        limit: usize,
    ) -> Result<Vec<(FilePath, u64)>, BlobError> {
        let files = self.list_format_files(format_id, visibility).await?.into_iter();
        let paths = files.filter_map(|(path, size)| Some((FilePath::parse(&path)?, size)));
        let mut files: Vec<_> = paths.collect();
        files.sort_unstable();
        files.truncate(limit);
        Ok(files)
    }

    async fn read_file_info(
        &self,
        format_id: &RecordingFormatId,
        visibility: Visibility,
        path: &FilePath,
    ) -> Result<Option<BlobInfo>, BlobError> {
        self.client
            .fetch_info(&format!("{}{}", format_prefix(format_id, visibility), path.as_str()))
            .await
    }

    async fn open_file(
        &self,
        format_id: &RecordingFormatId,
        visibility: Visibility,
        path: &FilePath,
        span: Option<ByteSpan>,
    ) -> Result<Option<(BlobInfo, BlobBytes)>, BlobError> {
        self.client
            .open_object(
                &format!("{}{}", format_prefix(format_id, visibility), path.as_str()),
                span,
            )
            .await
    }

    async fn write_file(
        &self,
        format_id: &RecordingFormatId,
        visibility: Visibility,
        path: &FilePath,
        content: Bytes,
    ) -> Result<(), BlobError> {
        if !self.has_objects(format_id, visibility).await? {
            return Err(BlobError::Unavailable("the recording does not exist".to_owned()));
        }
        let key = format!("{}{}", format_prefix(format_id, visibility), path.as_str());
        self.client.upload_object(ObjectUpload::from_bytes(key, content)).await
    }

    async fn check_blobs(&self) -> Result<(), BlobError> {
        self.client
            .upload_object(ObjectUpload::from_bytes(WRITE_CHECK_KEY.to_owned(), Bytes::new()))
            .await?;
        self.client.delete_objects(&[WRITE_CHECK_KEY.to_owned()]).await
    }
}

fn visibility_prefix(visibility: Visibility) -> &'static str {
    match visibility {
        Visibility::Published => "published/",
        Visibility::Unpublished => "unpublished/",
        Visibility::Trash => "deleted/",
    }
}

fn format_prefix(format_id: &RecordingFormatId, visibility: Visibility) -> String {
    format!("{}{}/{}/", visibility_prefix(visibility), format_id.format, format_id.record_id)
}
