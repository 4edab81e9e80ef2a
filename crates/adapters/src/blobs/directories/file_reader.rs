//! Reads files of recordings: their size, time and entity tag, and their bytes as a stream.

use std::io;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use app::blocking::RECORDING_READS;
use app::ports::{BlobBytes, BlobError, BlobInfo, ByteSpan};
use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream;
use rustix::fs::Stat;

/// Size of one read, and of one chunk of the stream.
const CHUNK_BYTES: usize = 256 * 1024;

/// Describes a file by its directory entry.
pub(super) fn blob_info(stat: &Stat) -> BlobInfo {
    let size = u64::try_from(stat.st_size).unwrap_or_default();
    let since_epoch = Duration::from_secs(u64::try_from(stat.st_mtime).unwrap_or_default());
    let modified_at = UNIX_EPOCH.checked_add(since_epoch).or(Some(UNIX_EPOCH));
    // The inode is part of the tag because times of file systems are coarse: a file that replaces another one within
    // the same tick has another inode.
    let (inode, seconds, nanos) = (stat.st_ino, stat.st_mtime, stat.st_mtime_nsec);
    let etag = format!("{inode:x}-{seconds:x}-{nanos:x}-{size:x}");
    BlobInfo { size, modified_at, etag }
}

/// Streams a part of a file in chunks.
pub(super) fn stream_file(file: std::fs::File, span: ByteSpan) -> BlobBytes {
    let file = Arc::new(file);
    let chunks = stream::try_unfold(span.start, move |offset| {
        let file = Arc::clone(&file);
        async move {
            let remaining = span.end.saturating_sub(offset);
            if remaining == 0 {
                return Ok(None);
            }
            let read =
                RECORDING_READS.run_within(move || read_chunk(&file, offset, remaining)).await;
            let unavailable =
                |error: &dyn std::fmt::Display| BlobError::Unavailable(error.to_string());
            let result = read.map_err(|error| unavailable(&error))?;
            let bytes = result.map_err(|error| unavailable(&error))?;
            let next_offset = offset + u64::try_from(bytes.len()).unwrap_or(remaining);
            Ok(Some((bytes, next_offset)))
        }
    });
    chunks.boxed()
}

fn read_chunk(file: &std::fs::File, offset: u64, remaining: u64) -> io::Result<Bytes> {
    use std::os::unix::fs::FileExt as _;
    let size = usize::try_from(remaining).unwrap_or(CHUNK_BYTES).min(CHUNK_BYTES);
    let mut buffer = vec![0; size];
    let count = file.read_at(&mut buffer, offset)?;
    if count == 0 {
        return Err(io::Error::new(
            io::ErrorKind::UnexpectedEof,
            "the file was shortened while it was read",
        ));
    }
    buffer.truncate(count);
    Ok(Bytes::from(buffer))
}
