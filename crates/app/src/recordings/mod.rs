//! Recordings beyond the calls of the API: how they arrive, and their files on the way from shelf to shelf.

pub mod file_moves;
pub mod import;
pub mod retention;
pub mod upload;
