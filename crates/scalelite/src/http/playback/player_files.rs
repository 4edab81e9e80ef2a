//! The files of BBB's player, read from the directory where the operator installed it.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use app::blocking::RECORDING_READS;
use app::ports::{BlobBytes, BlobError, BlobInfo, ByteSpan};
use bytes::Bytes;
use domain::recording::FilePath;
use futures_util::stream::{self, StreamExt as _};

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
        let path = self.full_path(path);
        let metadata = RECORDING_READS.run_within(move || std::fs::metadata(path)).await;
        match metadata.map_err(unavailable)? {
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
        let path = self.full_path(path);
        let open = move || -> io::Result<_> {
            // The kind is asked first: opening a pipe would wait for its writer.
            let metadata = std::fs::metadata(&path)?;
            let file = if metadata.is_file() { Some(File::open(&path)?) } else { None };
            Ok((file, metadata))
        };
        let opened = RECORDING_READS.run_within(open).await.map_err(unavailable)?;
        let (file, metadata) = match opened {
            Ok((Some(file), metadata)) => (file, metadata),
            Ok((None, _)) => return Ok(None),
            Err(error) => return missing_or_error(error),
        };
        let info = file_info(&metadata);
        let span = span.unwrap_or(ByteSpan { start: 0, end: info.size });
        Ok(Some((info, stream_file(file, span))))
    }
}

fn stream_file(file: File, span: ByteSpan) -> BlobBytes {
    let file = Arc::new(file);
    let pieces = stream::try_unfold(span.start, move |offset| {
        let file = Arc::clone(&file);
        async move {
            let length = usize::try_from(span.end.saturating_sub(offset)).unwrap_or(CHUNK_BYTES);
            if length == 0 {
                return Ok(None);
            }
            let mut piece = vec![0; length.min(CHUNK_BYTES)];
            let read = move || file.read_at(&mut piece, offset).map(|count| (piece, count));
            let read = RECORDING_READS.run_within(read).await.map_err(unavailable)?;
            let (mut piece, count) = read.map_err(unavailable)?;
            piece.truncate(count);
            let next_offset = offset + u64::try_from(count).unwrap_or_default();
            Ok((count > 0).then(|| (Bytes::from(piece), next_offset)))
        }
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

fn unavailable(error: impl std::fmt::Display) -> BlobError {
    BlobError::Unavailable(error.to_string())
}
