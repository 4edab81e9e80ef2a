//! Recordings beyond the calls of the API: how they arrive, and their files on the way from shelf to shelf.

pub mod import;
pub mod retention;
pub mod travel;
pub mod upload;
