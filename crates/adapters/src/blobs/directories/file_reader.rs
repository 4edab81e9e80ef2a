//! Files of a shelf while they are read: what is known of them, and their bytes.

use std::io;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use app::ports::{BlobBytes, BlobError, BlobInfo, ByteSpan};
use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream;
use rustix::fs::Stat;

/// Bytes that are read at once.
const CHUNK_BYTES: usize = 256 * 1024;

/// What a file's entry says of it.
pub(super) fn blob_info(stat: &Stat) -> BlobInfo {
    let size = u64::try_from(stat.st_size).unwrap_or_default();
    let since = u64::try_from(stat.st_mtime).unwrap_or_default();
    let modified = UNIX_EPOCH.checked_add(Duration::from_secs(since)).or(Some(UNIX_EPOCH));
    // Clocks of file systems are coarse: a file that replaces another one has another number.
    let (inode, seconds, nanos) = (stat.st_ino, stat.st_mtime, stat.st_mtime_nsec);
    let tag = format!("{inode:x}-{seconds:x}-{nanos:x}-{size:x}");
    BlobInfo { size, modified_at: modified, etag: tag }
}

/// A part of a file, in pieces.
pub(super) fn stream_file(file: std::fs::File, span: ByteSpan) -> BlobBytes {
    let file = Arc::new(file);
    let pieces = stream::try_unfold(span.start, move |from| {
        let file = Arc::clone(&file);
        async move {
            let rest = span.end.saturating_sub(from);
            if rest == 0 {
                return Ok(None);
            }
            let read = tokio::task::spawn_blocking(move || read_chunk(&file, from, rest)).await;
            let broken = |error: &dyn std::fmt::Display| BlobError::Unavailable(error.to_string());
            let bytes = read.map_err(|error| broken(&error))?.map_err(|error| broken(&error))?;
            let next = from + u64::try_from(bytes.len()).unwrap_or(rest);
            Ok(Some((bytes, next)))
        }
    });
    pieces.boxed()
}

fn read_chunk(file: &std::fs::File, from: u64, rest: u64) -> io::Result<Bytes> {
    use std::os::unix::fs::FileExt as _;
    let size = usize::try_from(rest).unwrap_or(CHUNK_BYTES).min(CHUNK_BYTES);
    let mut buffer = vec![0; size];
    let count = file.read_at(&mut buffer, from)?;
    if count == 0 {
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the file became shorter"));
    }
    buffer.truncate(count);
    Ok(Bytes::from(buffer))
}
