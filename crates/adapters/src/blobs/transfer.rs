//! Copies formats from one storage to another by way of a local directory.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use app::ports::{BlobError, Blobs, Entropy as _, RecordingFormatId, Visibility};
use app::recordings::storage_move::FormatCopier;
use async_trait::async_trait;
use futures_util::StreamExt as _;
use tokio::io::AsyncWriteExt as _;

use crate::entropy::OsEntropy;

/// Maximum number of files of a format.
const MAX_FILES: usize = 1_000_000;
/// Prefix of the directories in which files lie on their way.
pub(crate) const WORK_DIR_PREFIX: &str = "transfer-";

/// Copies formats between two storages.
pub struct BlobsCopier {
    /// Where the files are.
    pub source: Arc<dyn Blobs>,
    /// Where they are to be.
    pub target: Arc<dyn Blobs>,
    /// A local directory with space for the largest format.
    pub work_dir: PathBuf,
}

#[async_trait]
impl FormatCopier for BlobsCopier {
    async fn copy_format(
        &self,
        format_id: &RecordingFormatId,
        visibility: Visibility,
    ) -> Result<(), BlobError> {
        let name = format!("{WORK_DIR_PREFIX}{}", OsEntropy.generate_uuid());
        let dir = self.work_dir.join(name);
        let files = dir.join(format_id.record_id.as_str());
        let result = match self.fetch_files(format_id, visibility, &files).await {
            Ok(()) => self.store_files(&files, format_id, visibility).await,
            Err(error) => Err(error),
        };
        let removed = tokio::fs::remove_dir_all(&dir).await;
        if let Err(error) = removed.or_else(ignore_missing) {
            tracing::warn!(dir = %dir.display(), %error, "directory not removed");
        }
        result
    }
}

impl BlobsCopier {
    async fn fetch_files(
        &self,
        format_id: &RecordingFormatId,
        visibility: Visibility,
        to: &Path,
    ) -> Result<(), BlobError> {
        tokio::fs::create_dir_all(to).await.map_err(|error| file_error(&error))?;
        for (path, _) in self.source.list_files(format_id, visibility, MAX_FILES).await? {
            let opened = self.source.open_file(format_id, visibility, &path, None).await?;
            let Some((_, mut bytes)) = opened else { continue };
            // The parts of a path are plain names, none of which leads upwards.
            let file = to.join(path.as_str());
            let parent = file.parent().unwrap_or(to);
            tokio::fs::create_dir_all(parent).await.map_err(|error| file_error(&error))?;
            let mut file =
                tokio::fs::File::create_new(&file).await.map_err(|error| file_error(&error))?;
            while let Some(chunk) = bytes.next().await {
                file.write_all(&chunk?).await.map_err(|error| file_error(&error))?;
            }
            file.flush().await.map_err(|error| file_error(&error))?;
        }
        Ok(())
    }

    async fn store_files(
        &self,
        from: &Path,
        format_id: &RecordingFormatId,
        visibility: Visibility,
    ) -> Result<(), BlobError> {
        if visibility != Visibility::Trash {
            return self.target.put_format(from, format_id, visibility).await;
        }
        // Files are stored as unpublished first: nothing is shown of a deleted recording.
        self.target.put_format(from, format_id, Visibility::Unpublished).await?;
        self.target.remove_format(format_id, &[Visibility::Trash]).await?;
        self.target.move_format(format_id, Visibility::Trash).await.map(drop)
    }
}

fn ignore_missing(error: io::Error) -> io::Result<()> {
    if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) }
}

fn file_error(error: &io::Error) -> BlobError {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            BlobError::Full(error.to_string())
        }
        _ => BlobError::Unavailable(error.to_string()),
    }
}
