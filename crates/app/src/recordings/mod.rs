//! Recordings apart from the API calls: import, upload, retention, and the moves of their files.

pub mod changes;
pub mod claimed_blobs;
pub mod file_moves;
pub mod import;
pub mod index;
pub mod retention;
pub mod storage_move;
pub mod trash_time;
pub mod undelete;
pub mod upload;
