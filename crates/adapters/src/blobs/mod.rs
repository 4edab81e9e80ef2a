//! The files of recordings, in directories or in a bucket of S3.

pub mod directories;
pub mod s3;
