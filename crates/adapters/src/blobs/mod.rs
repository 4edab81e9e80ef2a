//! Storage for the files of recordings: in directories, or in an S3 bucket.

pub mod directories;
pub mod s3;
pub mod transfer;

use app::ports::RecordingFormatId;

/// Returns which of `lock_count` locks belongs to the recording. All processes and versions compute the same number.
fn lock_number(format_id: &RecordingFormatId, lock_count: usize) -> usize {
    let bytes = format_id.record_id.as_str().bytes();
    let hash = bytes.fold(0_usize, |hash, byte| hash.wrapping_mul(31).wrapping_add(byte.into()));
    hash % lock_count.max(1)
}
