//! The files of BBB's player, read from the directory where the operator installed it.

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use app::ports::{BlobBytes, BlobError, BlobInfo, ByteSpan};
use bytes::BytesMut;
use domain::recording::FilePath;
use futures_util::stream::{self, StreamExt as _};
use tokio::fs::File;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};

/// Size of the pieces in which files are read, in bytes.
const CHUNK_BYTES: usize = 64 * 1024;

/// The files of the player.
pub(super) struct PlayerFiles<'a> {
    pub(super) dir: &'a Path,
}

impl PlayerFiles<'_> {
    fn full_path(&self, path: &FilePath) -> PathBuf {
        self.dir.join(path.as_str())
    }

    /// Returns size, time and tag of a file; `None` if it does not exist.
    pub(super) async fn info(&self, path: &FilePath) -> Result<Option<BlobInfo>, BlobError> {
        match tokio::fs::metadata(self.full_path(path)).await {
            Ok(metadata) if metadata.is_file() => Ok(Some(file_info(&metadata))),
            Ok(_) => Ok(None),
            Err(error) => missing_or_error(error),
        }
    }

    /// Opens a file, or a part of it; `None` if it does not exist.
    pub(super) async fn open(
        &self,
        path: &FilePath,
        span: Option<ByteSpan>,
    ) -> Result<Option<(BlobInfo, BlobBytes)>, BlobError> {
        let mut file = match File::open(self.full_path(path)).await {
            Ok(file) => file,
            Err(error) => return missing_or_error(error),
        };
        let metadata = file.metadata().await.map_err(unavailable)?;
        if !metadata.is_file() {
            return Ok(None);
        }
        let info = file_info(&metadata);
        let span = span.unwrap_or(ByteSpan { start: 0, end: info.size });
        file.seek(io::SeekFrom::Start(span.start)).await.map_err(unavailable)?;
        Ok(Some((info, stream_file(file.take(span.end.saturating_sub(span.start))))))
    }
}

fn stream_file(file: tokio::io::Take<File>) -> BlobBytes {
    let pieces = stream::try_unfold(file, |mut file| async {
        let mut piece = BytesMut::with_capacity(CHUNK_BYTES);
        let count = file.read_buf(&mut piece).await.map_err(unavailable)?;
        Ok((count > 0).then(|| (piece.freeze(), file)))
    });
    pieces.boxed()
}

fn file_info(metadata: &std::fs::Metadata) -> BlobInfo {
    let modified = metadata.modified().ok();
    let since = modified.and_then(|time| time.duration_since(UNIX_EPOCH).ok()).unwrap_or_default();
    BlobInfo {
        size: metadata.len(),
        modified_at: modified.map(|_| UNIX_EPOCH + Duration::from_secs(since.as_secs())),
        etag: format!("{:x}-{:x}", since.as_nanos(), metadata.len()),
    }
}

fn missing_or_error<T>(error: io::Error) -> Result<Option<T>, BlobError> {
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Ok(None),
        _ => Err(unavailable(error)),
    }
}

fn unavailable(error: io::Error) -> BlobError {
    BlobError::Unavailable(error.to_string())
}
