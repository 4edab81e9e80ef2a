//! The files of recordings, in directories or in a bucket of S3.

pub mod directories;
pub mod s3;

use app::ports::RecordingFormatId;

/// Which of so many locks is the recording's: the same in all processes and versions.
fn lock_number(book: &RecordingFormatId, locks: usize) -> usize {
    let bytes = book.record_id.as_str().bytes();
    let sum = bytes.fold(0_usize, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
    sum % locks.max(1)
}
