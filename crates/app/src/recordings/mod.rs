//! Recordings: how they arrive.

pub mod import;
pub mod upload;
