//! The ports of `app`, implemented on the real world: SQLite, PostgreSQL, Redis, BigBlueButton
//! over HTTP, the system clock. Nothing here decides anything.

mod archive;
pub mod bbb_http;
mod beneath;
pub mod blobs;
pub mod courier;
pub mod entropy;
mod joins;
mod memory;
pub mod postgres;
pub mod redis;
mod skew;
pub mod spool;
mod sql;
pub mod sqlite;
mod url;
