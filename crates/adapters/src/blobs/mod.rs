//! The files of recordings, in directories.

pub mod directories;
