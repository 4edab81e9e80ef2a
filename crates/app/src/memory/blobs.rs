//! The files of recordings in a map.

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

    /// Stores the files of a format, in place of those that it has with this visibility.
    pub fn insert_files(
        &self,
        format_id: &RecordingFormatId,
        visibility: Visibility,
        files: impl IntoIterator<Item = (FilePath, Bytes)>,
    ) {
        self.lock().insert((visibility, format_id.clone()), files.into_iter().collect());
    }
}

/// Reads the regular files below a directory; their paths begin with `prefix`.
fn read_files(dir: &Path, prefix: &str, files: &mut FileMap) -> std::io::Result<()> {
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
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
        format_id: &RecordingFormatId,
        visibility: Visibility,
    ) -> Result<(), BlobError> {
        let mut files = FileMap::new();
        read_files(from, "", &mut files)
            .map_err(|error| BlobError::Unavailable(error.to_string()))?;
        let mut formats = self.lock();
        formats.retain(|(stored_as, stored), _| {
            stored != format_id || !Visibility::NOT_DELETED.contains(stored_as)
        });
        formats.insert((visibility, format_id.clone()), files);
        Ok(())
    }

    async fn move_format(
        &self,
        format_id: &RecordingFormatId,
        visibility: Visibility,
    ) -> Result<MoveOutcome, BlobError> {
        let mut formats = self.lock();
        let others = visibility.other_values();
        let elsewhere = others.filter_map(|other| formats.remove(&(other, format_id.clone())));
        let elsewhere: Vec<FileMap> = elsewhere.collect();
        let is_there = formats.contains_key(&(visibility, format_id.clone()));
        Ok(match (is_there, elsewhere.into_iter().next()) {
            (true, Some(_)) => MoveOutcome::Moved,
            (true, None) => MoveOutcome::AlreadyThere,
            (false, Some(files)) => {
                formats.insert((visibility, format_id.clone()), files);
                MoveOutcome::Moved
            }
            (false, None) => MoveOutcome::Missing,
        })
    }

    async fn remove_format(
        &self,
        format_id: &RecordingFormatId,
        from: &[Visibility],
    ) -> Result<bool, BlobError> {
        let mut formats = self.lock();
        let removed =
            from.iter().filter_map(|visibility| formats.remove(&(*visibility, format_id.clone())));
        Ok(removed.count() > 0)
    }

    async fn locate_format(
        &self,
        format_id: &RecordingFormatId,
    ) -> Result<Vec<Visibility>, BlobError> {
        let formats = self.lock();
        let is_stored =
            |visibility: &Visibility| formats.contains_key(&(*visibility, format_id.clone()));
        Ok(Visibility::ALL.into_iter().filter(is_stored).collect())
    }

    async fn list_formats(
        &self,
        visibility: Visibility,
        after: Option<&RecordingFormatId>,
        limit: usize,
    ) -> Result<Vec<RecordingFormatId>, BlobError> {
        let formats = self.lock();
        let is_listed = |(stored_as, format_id): &&(Visibility, RecordingFormatId)| {
            *stored_as == visibility && after.is_none_or(|after| format_id > after)
        };
        let listed = formats.keys().filter(is_listed).take(limit);
        Ok(listed.map(|(_, format_id)| format_id.clone()).collect())
    }

    async fn list_files(
        &self,
        format_id: &RecordingFormatId,
        visibility: Visibility,
        limit: usize,
    ) -> Result<Vec<(FilePath, u64)>, BlobError> {
        let formats = self.lock();
        let files = formats.get(&(visibility, format_id.clone())).into_iter().flatten();
        Ok(files
            .take(limit)
            .map(|(path, content)| (path.clone(), blob_info(content).size))
            .collect())
    }

    async fn read_file_info(
        &self,
        format_id: &RecordingFormatId,
        visibility: Visibility,
        path: &FilePath,
    ) -> Result<Option<BlobInfo>, BlobError> {
        let formats = self.lock();
        Ok(formats
            .get(&(visibility, format_id.clone()))
            .and_then(|files| files.get(path))
            .map(blob_info))
    }

    async fn open_file(
        &self,
        format_id: &RecordingFormatId,
        visibility: Visibility,
        path: &FilePath,
        span: Option<ByteSpan>,
    ) -> Result<Option<(BlobInfo, BlobBytes)>, BlobError> {
        let formats = self.lock();
        let Some(content) =
            formats.get(&(visibility, format_id.clone())).and_then(|files| files.get(path))
        else {
            return Ok(None);
        };
        let index = |byte: u64| usize::try_from(byte).unwrap_or(usize::MAX).min(content.len());
        let part = span.map_or_else(
            || content.clone(),
            |span| content.slice(index(span.start)..index(span.end)),
        );
        Ok(Some((blob_info(content), stream::once(async move { Ok(part) }.boxed()).boxed())))
    }

    async fn write_file(
        &self,
        format_id: &RecordingFormatId,
        visibility: Visibility,
        path: &FilePath,
        content: Bytes,
    ) -> Result<(), BlobError> {
        let missing =
            || BlobError::Unavailable("the format has no files with this visibility".to_owned());
        let mut formats = self.lock();
        let files = formats.get_mut(&(visibility, format_id.clone())).ok_or_else(missing)?;
        files.insert(path.clone(), content);
        Ok(())
    }

    async fn check_blobs(&self) -> Result<(), BlobError> {
        Ok(())
    }
}
